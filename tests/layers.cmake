cmake_minimum_required(VERSION 3.25)
# Fails when a file includes a later layer, or a package's header in a file that is not named for it (docs/style.md).
set(layers base schema codec db exchange legacy files)
set(public_of_base error buf time compress crypto http settings command log trouble)
set(public_of_schema entity ddl)
set(public_of_codec frame)
set(public_of_db db records)
set(public_of_exchange bundle exchange explain site)
# header=files that may include it; a driver of several files has a header that includes the package's
set(packages
	"sqlite3.h=libsync/db/sqlite.c"
	"libpq-fe.h=libsync/db/postgres.h"
	"db/postgres.h=libsync/db/postgres.c,libsync/db/postgres_batch.c,libsync/db/postgres_error.c,libsync/db/postgres_run.c"
	"cJSON.h=libsync/codec/json.c"
	"curl/curl.h=libsync/base/http.c"
	"zstd.h=libsync/base/compress.c"
	"zdict.h=libsync/base/compress.c"
	"sodium.h=libsync/base/crypto.c"
	"xxhash.h=libsync/base/crypto.c"
	"uuid/uuid.h=libsync/base/crypto.c"
	"ini.h=libsync/base/settings.c"
	"argp.h=libsync/base/settings.c,libsync/base/command.c"
	"civetweb.h=central/http.c"
)

set(faults 0)
macro(fault file text)
	message(SEND_ERROR "${file}: ${text}")
	math(EXPR faults "${faults} + 1")
endmacro()

function(layer_of_header name ret)
	set(${ret} -1 PARENT_SCOPE)
	set(i 0)
	foreach(layer IN LISTS layers)
		if(name IN_LIST public_of_${layer})
			set(${ret} ${i} PARENT_SCOPE)
		endif()
		math(EXPR i "${i} + 1")
	endforeach()
endfunction()

# A public header belongs to its module's layer; schema's may name db's types (ddl.h speaks of dialects).
file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/libsync/*.[ch] ${ROOT}/central/*.[ch] ${ROOT}/remote/*.[ch])
foreach(file IN LISTS files)
	string(REPLACE "/" ";" parts ${file})
	list(GET parts 0 top)
	list(GET parts 1 folder)
	file(STRINGS ${ROOT}/${file} lines REGEX "^#include ")
	list(FIND layers "${folder}" mine)
	foreach(line IN LISTS lines)
		string(REGEX REPLACE "^#include [<\"]([^>\"]+)[>\"].*" "\\1" header "${line}")
		if(header MATCHES "^libsync/([a-z]+)\\.h$" AND top STREQUAL "libsync" AND mine GREATER -1)
			layer_of_header(${CMAKE_MATCH_1} theirs)
			if(theirs EQUAL -1)
				fault(${file} "includes ${header}, which no layer lists (tests/layers.cmake)")
			elseif(theirs GREATER mine AND NOT (folder STREQUAL "schema" AND header STREQUAL "libsync/ddl.h"))
				fault(${file} "is in ${folder} and includes ${header} of a later layer")
			endif()
		elseif(header MATCHES "^(base|schema|codec|db|exchange|legacy|files)/")
			list(FIND layers "${CMAKE_MATCH_1}" theirs)
			if(NOT top STREQUAL "libsync" AND NOT header STREQUAL "base/internal.h")
				fault(${file} "includes the library's inner header ${header}")
			elseif(top STREQUAL "libsync" AND theirs GREATER mine)
				fault(${file} "is in ${folder} and includes ${header} of a later layer")
			endif()
		elseif(header MATCHES "^(central|remote)/" AND NOT header MATCHES "^${top}/")
			fault(${file} "includes ${header} across programs")
		endif()
		foreach(package IN LISTS packages)
			string(REPLACE "=" ";" pair "${package}")
			list(GET pair 0 name)
			list(GET pair 1 allowed)
			string(REPLACE "," ";" allowed "${allowed}")
			if(header STREQUAL name AND NOT file IN_LIST allowed)
				fault(${file} "includes ${name}, which only ${allowed} may")
			endif()
		endforeach()
	endforeach()
endforeach()
if(faults EQUAL 0)
	list(LENGTH files n)
	message(STATUS "layers hold in ${n} files")
endif()
