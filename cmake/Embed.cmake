# embed_text(TARGET NAME FILE): compiles FILE into TARGET as `const char NAME[]`, NUL-terminated, and `const size_t NAME_len`.
set(EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(embed_text target name file)
	cmake_path(ABSOLUTE_PATH file NORMALIZE)
	set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
	add_custom_command(OUTPUT ${out} DEPENDS ${file} ${EMBED_SCRIPT}
		COMMAND ${CMAKE_COMMAND} -DEMBED_IN=${file} -DEMBED_OUT=${out} -DEMBED_NAME=${name} -P ${EMBED_SCRIPT})
	target_sources(${target} PRIVATE ${out})
endfunction()

if(EMBED_IN)
	file(READ ${EMBED_IN} hex HEX)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	file(WRITE ${EMBED_OUT} "#include <stddef.h>\nextern const char ${EMBED_NAME}[];\nextern const size_t ${EMBED_NAME}_len;\n"
		"const char ${EMBED_NAME}[] = {${bytes}0};\nconst size_t ${EMBED_NAME}_len = sizeof ${EMBED_NAME} - 1;\n")
endif()
