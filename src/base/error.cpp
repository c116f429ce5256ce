#include "base/error.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace perdure {
namespace {

constexpr std::array<std::string_view, 19> kNames = {"task.not_found",
                                                     "task.id_empty",
                                                     "task.id_invalid",
                                                     "task.limit_exceeded",
                                                     "task.launch_failed",
                                                     "task.not_running",
                                                     "task.wait_cycle",
                                                     "task.input_held",
                                                     "agent.not_found",
                                                     "agent.not_owned",
                                                     "agent.busy",
                                                     "question.closed",
                                                     "session.unusable",
                                                     "session.closed",
                                                     "record.invalid",
                                                     "output.expired",
                                                     "storage.full",
                                                     "config.invalid",
                                                     "usage"};

}  // namespace

std::string_view name_of(ErrorCode code) {
  return kNames.at(static_cast<std::size_t>(code));
}

bool Error::retryable() const {
  return code == ErrorCode::storage_full || code == ErrorCode::task_limit_exceeded || code == ErrorCode::agent_busy ||
         code == ErrorCode::task_input_held;
}

std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{.code = code, .message = std::move(message)});
}

std::unexpected<Error> fail_os(int os_error, std::string_view doing, std::string_view object, ErrorCode otherwise) {
  const bool full = os_error == ENOSPC || os_error == EDQUOT;
  std::string message(doing);
  message.append(" ").append(object).append(": ").append(describe_errno(os_error));
  return std::unexpected(
      Error{.code = full ? ErrorCode::storage_full : otherwise, .os_error = os_error, .message = std::move(message)});
}

std::unexpected<Error> fail_errno(std::string_view doing, std::string_view object, ErrorCode otherwise) {
  return fail_os(errno, doing, object, otherwise);
}

bool is_absence(int os_error) {
  return os_error == ENOENT || os_error == ENOTDIR || os_error == ELOOP;
}

std::string describe_errno(int os_error) {
  return std::generic_category().message(os_error);
}

}  // namespace perdure
