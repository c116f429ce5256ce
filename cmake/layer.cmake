# layer(NAME SOURCES ... USES ... [LINKS ...] [EXPORTS ...] [ROOMS])
# room(LAYER NAME SOURCES ... [USES ...])
#
# A layer is a folder of src/ as a library; a room is a folder inside it. USES of a layer names the layers it may
# include, and USES of a room the rooms of its own layer. The sources at the top of a layer may include all its rooms;
# no room may include the top. ROOMS: all its sources are in rooms. A header in a room is private to its layer unless EXPORTS names it.
#
# With PERDURE_UNITY each room is compiled as one file: what is in an unnamed namespace must differ in name within a room.
#
# USES is the link line too, and, through layers.txt, what tools/check_layers.py checks every #include against.
file(WRITE ${CMAKE_BINARY_DIR}/layers.txt "")
function(layer name)
  cmake_parse_arguments(ARG "ROOMS" "" "SOURCES;USES;LINKS;EXPORTS" ${ARGN})
  if(ARG_SOURCES OR ARG_ROOMS)
    add_library(perdure_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(perdure_${name} PRIVATE perdure_flags)
    if(PERDURE_QUICK)
      target_precompile_headers(perdure_${name} REUSE_FROM perdure_common_headers)
    endif()
    if(PERDURE_UNITY)
      set_target_properties(perdure_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
      set_source_files_properties(${ARG_SOURCES} PROPERTIES UNITY_GROUP ${name})
    endif()
  else()
    add_library(perdure_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(perdure_${name} ${scope} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  list(TRANSFORM ARG_USES PREPEND perdure_ OUTPUT_VARIABLE libs)
  target_link_libraries(perdure_${name} ${scope} ${libs} ${ARG_LINKS})
  note_layer(${name} USES ${ARG_USES} EXPORTS ${ARG_EXPORTS})
endfunction()

# note_layer(NAME [USES ...] [EXPORTS ...]): for the checker only, where the layer is a program.
function(note_layer name)
  cmake_parse_arguments(ARG "" "" "USES;EXPORTS" ${ARGN})
  list(JOIN ARG_USES " " uses)
  file(APPEND ${CMAKE_BINARY_DIR}/layers.txt "${name}: ${uses}\n")
  foreach(header ${ARG_EXPORTS})
    file(APPEND ${CMAKE_BINARY_DIR}/layers.txt "export: ${header}\n")
  endforeach()
endfunction()

function(room layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  set(target perdure_${layer})
  if(NOT TARGET ${target})
    set(target perdure-${layer})
  endif()
  list(TRANSFORM ARG_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/${layer}/${name}/)
  if(PERDURE_UNITY)
    set_source_files_properties(${ARG_SOURCES} PROPERTIES UNITY_GROUP ${name})
  endif()
  target_sources(${target} PRIVATE ${ARG_SOURCES})
  list(JOIN ARG_USES " " uses)
  file(APPEND ${CMAKE_BINARY_DIR}/layers.txt "${layer}/${name}: ${uses}\n")
endfunction()
