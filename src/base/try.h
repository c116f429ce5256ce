#pragma once

#include "base/error.h"

#include <utility>

// Propagates the error of a Result to the caller, in a function that returns a Result:
//
//   TRY(auto task, find_task(session, id));  // auto task = the value, or return the error
//   TRY_VOID(check_open());                  // go on, or return the error
//
// TRY is two statements, so it must be in a block, not after an `if` without braces. It declares a value, which is
// moved out of the Result.
#define PERDURE_TRY_NAME_(line) try_result_##line
#define PERDURE_TRY_NAME(line) PERDURE_TRY_NAME_(line)

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration can't have any
#define TRY(declaration, ...)                                                                             \
  auto PERDURE_TRY_NAME(__LINE__) = __VA_ARGS__;                                                          \
  if (!PERDURE_TRY_NAME(__LINE__)) return std::unexpected(std::move(PERDURE_TRY_NAME(__LINE__)).error()); \
  declaration = *std::move(PERDURE_TRY_NAME(__LINE__))
// NOLINTEND(bugprone-macro-parentheses)

#define TRY_VOID(...)                                                             \
  if (auto PERDURE_TRY_NAME(__LINE__) = __VA_ARGS__; !PERDURE_TRY_NAME(__LINE__)) \
  return std::unexpected(std::move(PERDURE_TRY_NAME(__LINE__)).error())
