# What is installed, and the three Debian packages that `cpack` makes of it: dev, central and remote.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/libsync)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# What the library is linked with, for those who link it: a static library does not carry it along.
get_target_property(libraries sync LINK_LIBRARIES)
set(SYNC_REQUIRES "")
set(SYNC_FIND "")
foreach(library IN LISTS libraries)
	if(library MATCHES "^PkgConfig::(.+)$")
		set(module ${${CMAKE_MATCH_1}_MODULE_NAME})
		list(APPEND SYNC_REQUIRES ${module})
		string(APPEND SYNC_FIND "pkg_check_modules(${CMAKE_MATCH_1} REQUIRED IMPORTED_TARGET ${module})\n")
	endif()
endforeach()
list(JOIN SYNC_REQUIRES " " SYNC_REQUIRES)
set(SYNC_PREFIX /prefix)
cmake_path(RELATIVE_PATH SYNC_PREFIX BASE_DIRECTORY /prefix/${pkgconfig_dir})
configure_file(cmake/libsync.pc.in libsync.pc @ONLY)
configure_package_config_file(cmake/libsyncConfig.cmake.in libsyncConfig.cmake INSTALL_DESTINATION ${config_dir}
	NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(libsyncConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS sync EXPORT libsync
	ARCHIVE COMPONENT dev
	FILE_SET HEADERS COMPONENT dev)
install(EXPORT libsync NAMESPACE libsync:: FILE libsyncTargets.cmake DESTINATION ${config_dir} COMPONENT dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libsyncConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/libsyncConfigVersion.cmake
	DESTINATION ${config_dir} COMPONENT dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libsync.pc DESTINATION ${pkgconfig_dir} COMPONENT dev)

file(GLOB documents CONFIGURE_DEPENDS docs/*.md)
foreach(component dev central remote)
	set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/libsync-${component})
	install(FILES LICENSE RENAME copyright DESTINATION ${doc_dir} COMPONENT ${component})
	install(FILES ${documents} DESTINATION ${doc_dir} COMPONENT ${component})
endforeach()

# At installation, which may name another prefix than configuration did; cpack's is a folder that only packs.
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
foreach(program central remote)
	install(TARGETS ${program} RUNTIME COMPONENT ${program})
	install(CODE "set(SYNC_PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
		if(SYNC_PREFIX MATCHES /_CPack_Packages/)
			set(SYNC_PREFIX ${CPACK_PACKAGING_INSTALL_PREFIX})
		endif()
		set(SYNC_BIN \"\${SYNC_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
		set(SYNC_DOC \"\${SYNC_PREFIX}/${CMAKE_INSTALL_DATADIR}/doc/libsync-${program}\")
		configure_file(\"${CMAKE_CURRENT_SOURCE_DIR}/cmake/${program}.service.in\" \"${CMAKE_CURRENT_BINARY_DIR}/${program}.service\" @ONLY)"
		COMPONENT ${program})
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${program}.service DESTINATION lib/systemd/system COMPONENT ${program})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL dev central remote)
set(CPACK_PACKAGE_CONTACT "libsync maintainers <root@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # asks dpkg-shlibdeps when cpack runs, not before

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libsync-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libcjson-dev, libcurl4-openssl-dev, libinih-dev, libpq-dev, libsodium-dev, libsqlite3-dev (>= 3.40), \
libxxhash-dev, libzstd-dev, uuid-dev")
set(CPACK_DEBIAN_DEV_DESCRIPTION "${PROJECT_DESCRIPTION}: headers and static library")

set(CPACK_DEBIAN_CENTRAL_PACKAGE_NAME libsync-central)
set(CPACK_DEBIAN_CENTRAL_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CENTRAL_PACKAGE_DEPENDS "libsqlite3-0 (>= 3.40), libssl3") # OpenSSL is loaded at run time: dpkg-shlibdeps does not see it
set(CPACK_DEBIAN_CENTRAL_DESCRIPTION "${PROJECT_DESCRIPTION}: the central server")

set(CPACK_DEBIAN_REMOTE_PACKAGE_NAME libsync-remote)
set(CPACK_DEBIAN_REMOTE_PACKAGE_SECTION net)
set(CPACK_DEBIAN_REMOTE_PACKAGE_DEPENDS "libsqlite3-0 (>= 3.40)")
set(CPACK_DEBIAN_REMOTE_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_REMOTE_DESCRIPTION "${PROJECT_DESCRIPTION}: the program of a site")
if(PROJECT_IS_TOP_LEVEL AND NOT SYNC_SANITIZE)
	include(CPack)
endif()
