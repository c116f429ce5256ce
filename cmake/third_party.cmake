# Boost.JSON and {fmt} as small static libraries, compiled here from the headers that Debian ships.
#
# Debian's libboost_json.a is not position independent and there is no libfmt.a, so with Debian's
# binaries neither a shared libperdure without dependencies nor a static command line can be linked.
# One translation unit each costs six seconds, once. The names are those of the packages' own targets.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)

add_library(perdure_boost_json STATIC cmake/third_party/boost_json.cpp)
target_compile_definitions(perdure_boost_json PUBLIC BOOST_JSON_STATIC_LINK BOOST_ALL_NO_LIB)
target_link_libraries(perdure_boost_json PUBLIC Boost::headers)
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
