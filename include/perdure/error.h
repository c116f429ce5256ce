#pragma once

#include <perdure/export.h>

#include <expected>
#include <map>
#include <string>
#include <string_view>

namespace perdure {

/// What went wrong, as a program may want to tell it apart. name_of() gives the word that the
/// command line and the protocols print, for example `task.not_found`.
enum class ErrorCode {
  task_not_found,       ///< no record, no live folder with that id
  task_id_empty,        ///< an id was asked for and none was given
  task_id_invalid,      ///< not of the form `prefix-xxxxxxxx` (docs/internals/disk-format.md)
  task_limit_exceeded,  ///< max_running_tasks are running already; nothing of the task ran
  task_launch_failed,   ///< the command or its runner could not be started; no record is left
  task_not_running,     ///< asked of a task that has ended
  task_wait_cycle,      ///< the wait would wait for itself
  task_input_held,      ///< another process types into the task (TaskManager::hold_input)
  agent_not_found,
  agent_not_owned,
  agent_busy,
  question_closed,
  session_unusable,  ///< the session folder cannot be made, read or written; os_error says why
  session_closed,
  record_invalid,  ///< a record exists and no known shape fits it; the message names the key
  output_expired,  ///< these bytes of the output are not kept
  storage_full,    ///< no space, no quota or no inodes left
  config_invalid,
  usage,  ///< the request itself makes no sense
};

/// The stable word of a code, for example "task.not_found".
[[nodiscard]] PERDURE_API std::string_view name_of(ErrorCode code);

/// One failure: a code for programs and a sentence for people.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::usage;
  int os_error = 0;          ///< errno where the operating system said no, else 0
  std::string message = {};  ///< what was being done: which thing: what to do
  std::map<std::string, std::string> details = {};

  /// True where the same request may succeed later without being changed (full disk, limit reached).
  [[nodiscard]] PERDURE_API bool retryable() const;
};

/// The outcome of anything that the world, and not a bug, can make fail. Nothing of Perdure throws.
template <class T = void>
using Result = std::expected<T, Error>;

}  // namespace perdure
