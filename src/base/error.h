#pragma once

#include <perdure/error.h>

#include <string>
#include <string_view>

namespace perdure {

[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, std::string message);

/// Failure of a system call, from errno: `return fail_errno("opening", path);`. A full disk is storage_full,
/// everything else `otherwise`.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string_view doing, std::string_view object,
                                                ErrorCode otherwise = ErrorCode::session_unusable);

/// The same for a saved errno.
[[nodiscard]] std::unexpected<Error> fail_os(int os_error, std::string_view doing, std::string_view object,
                                             ErrorCode otherwise = ErrorCode::session_unusable);

/// Does this errno mean that the file does not exist, as opposed to being inaccessible?
[[nodiscard]] bool is_absence(int os_error);

/// The operating system's message for an errno; thread-safe.
[[nodiscard]] std::string describe_errno(int os_error);

}  // namespace perdure
