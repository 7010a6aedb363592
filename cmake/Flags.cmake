# sync_flags: what every file of ours is compiled with.
set(SYNC_SANITIZE "" CACHE STRING "sanitizers, comma separated")
option(SYNC_WERROR "warnings are errors" OFF)
option(SYNC_FUZZ "build the fuzz targets with libFuzzer" OFF)
option(SYNC_FAULTS "deliberate faults that the simulator must find: only it can be built then (tests/sim/faults)" OFF)

add_library(sync_flags INTERFACE)
target_compile_features(sync_flags INTERFACE c_std_17)
target_compile_definitions(sync_flags INTERFACE _GNU_SOURCE SYNC_VERSION="${PROJECT_VERSION}")
target_compile_options(sync_flags INTERFACE -std=gnu17 -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Wvla -Wformat=2
	-Wno-missing-field-initializers -fno-strict-aliasing $<$<BOOL:${SYNC_WERROR}>:-Werror>)
# GCC cannot follow that outputs are written whenever SYNC_OK comes back, and would guess.
target_compile_options(sync_flags INTERFACE $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(SYNC_SANITIZE)
	target_compile_options(sync_flags INTERFACE -fsanitize=${SYNC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
	target_link_options(sync_flags INTERFACE -fsanitize=${SYNC_SANITIZE})
endif()
if(SYNC_FAULTS)
	target_compile_definitions(sync_flags INTERFACE SYNC_FAULTS)
endif()
if(SYNC_FUZZ)
	target_compile_options(sync_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
