#pragma once

#include "base/error.h"

#include <utility>

// An error of a Result is handed to the caller, who returns a Result, too:
//
//   TRY(auto task, find_task(session, id));  // auto task = the value, or return the error
//   TRY_VOID(check_open());                  // go on, or return the error
//
// TRY is two statements, so that it stands in a block and not behind an `if` without braces. What it declares is a value
// of its own, moved out of the Result.
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
