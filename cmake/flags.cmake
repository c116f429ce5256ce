set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

add_library(perdure_flags INTERFACE)
target_compile_options(perdure_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Woverloaded-virtual -Wimplicit-fallthrough -Wextra-semi
  -Wno-missing-field-initializers  # designated initialisers name what differs from the default
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>  # std::stable_sort of libstdc++ 12 calls what C++17 deprecated
  # The counter of events changes as a pair of words (contract/seq.h). g++ obeys the function's own attribute; clang does not.
  $<$<AND:$<CXX_COMPILER_ID:Clang>,$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>>:-mcx16>
  $<$<BOOL:${PERDURE_WERROR}>:-Werror>)

if(PERDURE_SANITIZE)
  list(JOIN PERDURE_SANITIZE "," _sanitizers)
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${_sanitizers})
endif()
if(PERDURE_FUZZ)
  # Coverage in the layers too: a fuzzer that sees only its own file is blind.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
