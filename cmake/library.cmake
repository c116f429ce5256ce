# libperdure.so: every layer below the front ends. Objects, not archives: an archive would leave out what
# no other object asks for, and that is the public interface itself.
set(_objects "")
foreach(_layer base task codec store trust config far manager conditions)
  if(TARGET perdure_${_layer})
    list(APPEND _objects $<TARGET_OBJECTS:perdure_${_layer}>)
  endif()
endforeach()

# Below 1.0 every minor version may change what programs were compiled against, so that each has a soname of its own.
set(_soversion ${PROJECT_VERSION_MAJOR})
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(_soversion 0.${PROJECT_VERSION_MINOR})
endif()

add_library(libperdure SHARED ${_objects})
add_library(perdure::perdure ALIAS libperdure)
set_target_properties(libperdure PROPERTIES
  OUTPUT_NAME perdure EXPORT_NAME perdure LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${_soversion}
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/libperdure.map)
target_compile_features(libperdure PUBLIC cxx_std_23)
target_include_directories(libperdure PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(libperdure PRIVATE Boost::json fmt::fmt Threads::Threads)
target_link_options(libperdure PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/libperdure.map)
if(NOT PERDURE_SANITIZE)
  target_link_options(libperdure PRIVATE -Wl,--no-undefined)
endif()
