# Installs BUILD below WORK, and makes tests/consumer of what was installed and nothing else: with pkg-config, and with find_package().
function(run)
	execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/moved)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/moved/prefix) # where it was installed must not matter
set(prefix ${WORK}/moved/prefix)

foreach(program central remote)
	run(${prefix}/bin/${program} --version)
endforeach()

file(GLOB_RECURSE found ${prefix}/libsync.pc)
cmake_path(GET found PARENT_PATH folder)
set(ENV{PKG_CONFIG_PATH} ${folder})
execute_process(COMMAND ${PKG_CONFIG} --cflags --libs libsync OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
separate_arguments(own UNIX_COMMAND "${FLAGS}")
run(${CC} ${own} ${consumer}/main.c -o by_pkgconfig ${flags})
run(./by_pkgconfig)

unset(ENV{PKG_CONFIG_PATH})
run(${CMAKE_COMMAND} -S ${consumer} -B found -G ${GENERATOR} -DCMAKE_C_COMPILER=${CC} -DCMAKE_C_FLAGS=${FLAGS} -DCMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build found)
run(found/consumer)
