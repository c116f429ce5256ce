include(CMakePackageConfigHelpers)

install(DIRECTORY include/perdure TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(TARGETS libperdure EXPORT perdure-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS perdure-runner perdure-webhook RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/perdure)
install(FILES LICENSE CHANGELOG.md TYPE DOC)

# find_package(perdure) -> perdure::perdure
set(_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/perdure)
install(EXPORT perdure-targets NAMESPACE perdure:: FILE perdure-config.cmake DESTINATION ${_config_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/perdure-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/perdure-config-version.cmake DESTINATION ${_config_dir})

# pkg-config: written at install time, because `cmake --install --prefix` may change the prefix.
string(CONFIGURE [[
  file(READ "@PROJECT_SOURCE_DIR@/cmake/perdure.pc.in" _text)
  set(prefix "${CMAKE_INSTALL_PREFIX}")
  string(CONFIGURE "${_text}" _text @ONLY)
  file(WRITE "@CMAKE_BINARY_DIR@/perdure.pc" "${_text}")
]] _write_pc @ONLY)
string(PREPEND _write_pc "
  set(PROJECT_VERSION \"${PROJECT_VERSION}\")
  set(PROJECT_DESCRIPTION \"${PROJECT_DESCRIPTION}\")
  set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
  set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
")
install(CODE "${_write_pc}")
install(FILES ${CMAKE_BINARY_DIR}/perdure.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET perdure)
  install(TARGETS perdure RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The program knows its verbs and options; nobody keeps a second list.
  install(CODE "
    foreach(_shell bash zsh fish)
      execute_process(COMMAND \"$<TARGET_FILE:perdure>\" completion \${_shell}
                      OUTPUT_FILE \"${CMAKE_BINARY_DIR}/completion.\${_shell}\" COMMAND_ERROR_IS_FATAL ANY)
    endforeach()")
  install(FILES ${CMAKE_BINARY_DIR}/completion.bash
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME perdure)
  install(FILES ${CMAKE_BINARY_DIR}/completion.zsh
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _perdure)
  install(FILES ${CMAKE_BINARY_DIR}/completion.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME perdure.fish)
endif()
