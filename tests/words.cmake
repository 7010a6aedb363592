# Fails when a file of the repository speaks of what is unfinished, or of a machine that it was written on.
# The brackets keep this file from finding itself.
execute_process(COMMAND ${GIT} -c safe.directory=${ROOT} grep -nIE "TO[D]O|FIX[M]E|/hom[e]/|/wor[k]/|[.][.]/share[d]" WORKING_DIRECTORY ${ROOT}
	OUTPUT_VARIABLE found RESULT_VARIABLE result)
if(result EQUAL 0)
	message(FATAL_ERROR "words that do not belong into the repository:\n${found}")
elseif(NOT result EQUAL 1)
	message(FATAL_ERROR "git grep: ${result}")
endif()
