include(CMakePackageConfigHelpers)

# Two parts, which Debian packages separately: `dev` is the library with its headers, all else the programs.

install(DIRECTORY include/perdure TYPE INCLUDE COMPONENT dev FILES_MATCHING PATTERN "*.h")
install(TARGETS libperdure EXPORT perdure-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev NAMELINK_COMPONENT dev)
install(TARGETS perdure-runner perdure-webhook RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/perdure)
install(FILES LICENSE CHANGELOG.md README.md ARCHITECTURE.md TYPE DOC)
# The help points to docs/NAME.md; README.md links to it.
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

# find_package(perdure) -> perdure::perdure
set(_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/perdure)
install(EXPORT perdure-targets NAMESPACE perdure:: FILE perdure-config.cmake DESTINATION ${_config_dir} COMPONENT dev)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/perdure-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/perdure-config-version.cmake DESTINATION ${_config_dir} COMPONENT dev)

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
install(CODE "${_write_pc}" COMPONENT dev)
install(FILES ${CMAKE_BINARY_DIR}/perdure.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

if(TARGET perdure)
  install(TARGETS perdure RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The program knows its verbs, options and settings: it prints its completions and man pages itself. Where it was
  # cross-compiled, the emulator runs it.
  install(CODE "
    set(_perdure ${CMAKE_CROSSCOMPILING_EMULATOR} \"$<TARGET_FILE:perdure>\")
    foreach(_shell bash zsh fish)
      execute_process(COMMAND \${_perdure} completion \${_shell}
                      OUTPUT_FILE \"${CMAKE_BINARY_DIR}/completion.\${_shell}\" COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
    foreach(_page perdure.1 perdure-config.5 perdure-runner.8)
      execute_process(COMMAND \${_perdure} __man \${_page}
                      OUTPUT_FILE \"${CMAKE_BINARY_DIR}/\${_page}\" COMMAND_ERROR_IS_FATAL ANY)
    endforeach()")
  install(FILES ${CMAKE_BINARY_DIR}/completion.bash
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME perdure)
  install(FILES ${CMAKE_BINARY_DIR}/completion.zsh
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _perdure)
  install(FILES ${CMAKE_BINARY_DIR}/completion.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME perdure.fish)
  install(FILES ${CMAKE_BINARY_DIR}/perdure.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${CMAKE_BINARY_DIR}/perdure-config.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
  install(FILES ${CMAKE_BINARY_DIR}/perdure-runner.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
endif()

# For coding agents: a Claude Code plugin and a Gemini CLI extension (docs/guide/setup.md).
set(_integrations ${CMAKE_BINARY_DIR}/integrations)
foreach(_file claude-code/.claude-plugin/plugin.json gemini/gemini-extension.json)
  configure_file(integrations/${_file}.in ${_integrations}/${_file} @ONLY)
endforeach()
install(DIRECTORY integrations/ ${_integrations}/ DESTINATION ${CMAKE_INSTALL_DATADIR}/perdure
        PATTERN "*.in" EXCLUDE)
