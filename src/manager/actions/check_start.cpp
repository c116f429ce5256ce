#include "manager/actions/check_start.h"

#include "base/error.h"
#include "base/try.h"
#include "contract/control.h"
#include "contract/names.h"
#include "far/far_task.h"
#include "manager/actions/name.h"
#include "manager/link/idempotency.h"
#include "manager/link/limits.h"
#include "manager/link/program.h"
#include "manager/link/spawn.h"
#include "manager/status/assess.h"

#include <signal.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>

namespace perdure::manager {
namespace {

constexpr std::size_t kMostFollowed = 64;

Result<> check_restart(const StartOptions& options) {
  const RestartOptions& restart = options.restart;
  const bool has_when = restart.when != RestartOptions::When::never;
  if (!has_when && (restart.most || restart.delay != RestartOptions().delay))
    return fail(ErrorCode::usage, "how often and when to restart is for on-failure and always: say which");
  if (has_when && !options.detached)
    return fail(ErrorCode::usage, "a task in the foreground is not restarted: its caller waits for the first end");
  if (has_when && !options.on.empty())
    return fail(ErrorCode::usage, "a task on an executor is not restarted: leave out one of them");
  if (restart.most.value_or(0) < 0) return fail(ErrorCode::usage, "the most restarts are negative: 0 means no limit");
  if (restart.delay.count() < 0) return fail(ErrorCode::usage, "the delay before a restart is negative");
  return {};
}

// A task of another program has no runner that could report its end.
Result<> check_predecessor(const TaskManager& manager, const store::Session& session, const TaskId& id) {
  TRY(const auto task, manager.get(id));
  if (!task.detached)
    return fail(ErrorCode::usage,
                fmt::format("{} is in the foreground: only a background task can be followed", id.str()));
  if (is_terminal(task.status) || task.status == Status::queued || is_own_record(session, task) ||
      far::is_mirror(session, task))
    return {};
  return fail(
      ErrorCode::usage,
      fmt::format("{} belongs to another program, which does not tell when it ends: it can't be followed", id.str()));
}

}  // namespace

Result<std::string> working_folder(const StartOptions& options) {
  std::error_code error;
  const auto path = std::filesystem::absolute(options.cwd.empty() ? "." : options.cwd, error).lexically_normal();
  std::string text = path.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  if (error) {  // there is no current folder to start from
    const auto was = std::filesystem::read_symlink("/proc/self/cwd", error).string();
    return launch_failure(126, ENOENT,
                          fmt::format("the folder in which this program works was removed ({}): give another as `cwd`",
                                      was.empty() ? "its name is unknown" : was));
  }
  if (options.cwd.empty()) return text;  // it is this program's, so it is there
  struct stat about{};
  if (::stat(text.c_str(), &about) != 0)
    return launch_failure(126, errno, fmt::format("cannot run in {}: {}", text, describe_errno(errno)));
  if (!S_ISDIR(about.st_mode))
    return launch_failure(126, ENOTDIR, fmt::format("cannot run in {}: it is not a folder", text));
  return text;
}

bool follows(const StartOptions& options) {
  return !options.after.empty() || !options.after_any.empty();
}

std::string followed(const StartOptions& options) {
  std::string text;
  for (const auto& id : options.after) text += (text.empty() ? "" : " ") + id.str();
  for (const auto& id : options.after_any) text += (text.empty() ? "~" : " ~") + id.str();
  return text;
}

Result<> check_start(const StartOptions& options) {
  const auto holds_nul = [](const std::string& text) { return text.contains('\0'); };
  if (options.argv.empty() == !options.shell_line)
    return fail(ErrorCode::usage, "nothing to run: give a command or a shell line, not both");
  if (!options.detached && (options.queue || follows(options)))
    return fail(ErrorCode::usage,
                "a task in the foreground needs no slot, so it can't wait for one: leave out one of them");
  if (!options.detached && options.idempotency_key)
    return fail(ErrorCode::usage, "an idempotency key is for background tasks: one in the foreground leaves no record");
  if ((options.input == Input::inherit) != (options.input_fd >= 0) || (options.input_fd >= 0 && options.detached))
    return fail(ErrorCode::usage,
                "a descriptor is the input of a foreground task with Input::inherit, and of no other");
  if (options.stop_signal < 0 || options.stop_signal > SIGRTMAX)
    return fail(ErrorCode::usage, fmt::format("{} is not a signal number", options.stop_signal));
  TRY_VOID(check_restart(options));
  if (options.name) TRY_VOID(check_name(*options.name));
  if (options.detached && (options.stream_fd >= 0 || options.on_timeout == OnTimeout::detach || options.detach_timeout))
    return fail(ErrorCode::usage, "a stream and what detaches a task are for the foreground");
  if (options.detach_timeout && options.detach_timeout->count() < 0)
    return fail(ErrorCode::usage, "the detach timeout is negative: 0 means none");
  if (options.after.size() + options.after_any.size() > kMostFollowed)
    return fail(ErrorCode::usage, fmt::format("a task follows at most {} others", kMostFollowed));
  if (options.priority < 0 || options.priority > contract::kMostPriority)
    return fail(ErrorCode::usage,
                fmt::format("the priority {} is not from 0 to {}", options.priority, contract::kMostPriority));
  if (options.timeout.count() < 0) return fail(ErrorCode::usage, "the timeout is negative: 0 means none");
  if (options.grace.count() < 0) return fail(ErrorCode::usage, "the grace is negative: 0 means SIGKILL at once");
  if (options.idle_timeout.count() < 0) return fail(ErrorCode::usage, "the idle timeout is negative: 0 means none");
  TRY_VOID(check_limits(options));
  if (options.output_limit.value_or(0) < 0) return fail(ErrorCode::usage, "the output limit is negative: 0 means none");
  if (options.idempotency_key) TRY_VOID(KeyReservation::check(*options.idempotency_key));
  for (const auto& command : options.on_end)
    if (command.empty() || holds_nul(command))
      return fail(ErrorCode::usage, "a command of on_end is empty, or holds a NUL byte");
  for (const auto& word : options.argv)
    if (holds_nul(word)) return fail(ErrorCode::usage, "an argument of the command holds a NUL byte");
  if (options.shell_line && holds_nul(*options.shell_line))
    return fail(ErrorCode::usage, "the shell line holds a NUL byte");
  for (const auto& [name, value] : options.env)
    if (name.empty() || name.contains('=') || holds_nul(name) || holds_nul(value))
      return fail(ErrorCode::usage, fmt::format("'{}' can't be the name of an environment variable", name));
  return {};
}

Result<> check_predecessors(const TaskManager& manager, const store::Session& session, const StartOptions& options) {
  for (const auto* ids : {&options.after, &options.after_any})
    for (const auto& id : *ids) TRY_VOID(check_predecessor(manager, session, id));
  return {};
}

}  // namespace perdure::manager
