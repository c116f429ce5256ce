# layer(NAME SOURCES ... USES ... [LINKS ...])
#
# A folder of src/ as a library. USES names the layers it may include: it is the
# link line and, through layers.txt, what tools/check_layers.py holds the
# #include lines to. There is no second list to keep in step.
file(WRITE ${CMAKE_BINARY_DIR}/layers.txt "")
function(layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  if(ARG_SOURCES)
    add_library(perdure_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(perdure_${name} PRIVATE perdure_flags)
  else()
    add_library(perdure_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(perdure_${name} ${scope} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  list(TRANSFORM ARG_USES PREPEND perdure_ OUTPUT_VARIABLE libs)
  target_link_libraries(perdure_${name} ${scope} ${libs} ${ARG_LINKS})
  list(JOIN ARG_USES " " uses)
  file(APPEND ${CMAKE_BINARY_DIR}/layers.txt "${name}: ${uses}\n")
endfunction()
