# Boost.JSON and {fmt} as small static libraries, compiled here from the headers that Debian ships.
# RE2 (search, src/view) and terminfo (src/top): as archives where the command line is static, else as Debian's shared ones.
#
# Debian's libboost_json.a is not position independent and there is no libfmt.a, so with Debian's
# binaries neither a shared libperdure without dependencies nor a static command line can be linked.
# One translation unit each costs six seconds, once. The names are those of the packages' own targets.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)

add_library(perdure_boost_json STATIC cmake/third_party/boost_json.cpp)
target_compile_definitions(perdure_boost_json PUBLIC BOOST_JSON_STATIC_LINK BOOST_ALL_NO_LIB)
target_link_libraries(perdure_boost_json PUBLIC Boost::headers)
# Without link-time optimisation: what g++ 12 warned of in the LTO link was Boost's own inlined code, in that step only.
set_target_properties(perdure_boost_json PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
add_library(Boost::json ALIAS perdure_boost_json)

find_path(PERDURE_FMT_INCLUDE fmt/format-inl.h REQUIRED)
add_library(perdure_fmt STATIC cmake/third_party/fmt.cpp)
target_include_directories(perdure_fmt SYSTEM PUBLIC ${PERDURE_FMT_INCLUDE})
add_library(fmt::fmt ALIAS perdure_fmt)

# The common headers, compiled once: half of the time of a build is theirs.
if(PERDURE_QUICK)
  add_library(perdure_common_headers STATIC cmake/third_party/common_headers.cpp)
  target_link_libraries(perdure_common_headers PRIVATE perdure_flags perdure_boost_json perdure_fmt)
  target_precompile_headers(perdure_common_headers PRIVATE ${PROJECT_SOURCE_DIR}/cmake/common_headers.h)
endif()
# Of ncurses only libtinfo, what a terminal can do: src/top draws by itself, so that one table of widths holds for all.
find_path(PERDURE_RE2_INCLUDE re2/re2.h REQUIRED)
find_path(PERDURE_TERMINFO_INCLUDE term.h REQUIRED)
if(PERDURE_STATIC_CLI AND NOT PERDURE_SANITIZE)
  find_library(PERDURE_RE2 libre2.a REQUIRED)
  find_library(PERDURE_TERMINFO libtinfo.a REQUIRED)
else()
  find_library(PERDURE_RE2 re2 REQUIRED)
  find_library(PERDURE_TERMINFO tinfo REQUIRED)
endif()
add_library(perdure_re2 INTERFACE)
target_include_directories(perdure_re2 SYSTEM INTERFACE ${PERDURE_RE2_INCLUDE})
target_link_libraries(perdure_re2 INTERFACE ${PERDURE_RE2} Threads::Threads)
add_library(perdure_terminfo INTERFACE)
target_include_directories(perdure_terminfo SYSTEM INTERFACE ${PERDURE_TERMINFO_INCLUDE})
target_link_libraries(perdure_terminfo INTERFACE ${PERDURE_TERMINFO})
