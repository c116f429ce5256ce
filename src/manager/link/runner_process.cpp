#include "manager/link/runner_process.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "base/try.h"
#include "contract/names.h"
#include "store/runner_lock.h"

#include <fmt/format.h>

#include <charconv>

namespace perdure::manager {
namespace {

// The folder may have been renamed since. The record identifies it; if it does not, the process's environment does.
bool says_it_runs(pid_t pid, const store::Session& session, const Task& task) {
  const auto mark = environment_value(pid, contract::kRunnerVariable);
  if (!mark) return false;
  return task.host.session_folder ? mark->starts_with(task.id.str() + "@") : *mark == session.marker(task.id);
}

std::optional<RunnerProcess> hold(const store::Session& session, const ProcessIdentity& identity, const Task& task) {
  if (identity.start_ticks <= 0) return std::nullopt;
  auto pidfd = open_pidfd(identity.pid);
  if (!pidfd) return std::nullopt;
  const auto look = look_at_process(identity.pid);
  if (!look || look->is_dead() || look->is_exiting || look->start_ticks != identity.start_ticks) return std::nullopt;
  if (!says_it_runs(look->pid, session, task)) return std::nullopt;
  return RunnerProcess{
      .pidfd = std::move(*pidfd), .identity = identity, .is_stopped = look->state == 'T' || look->state == 't'};
}

}  // namespace

bool is_copy(const store::Session& session, const Task& task) {
  if (!task.host.session_folder) return false;
  const auto here = identity_of_folder(session.path());
  return here && *here != *task.host.session_folder;
}

std::optional<RunnerProcess> find_runner_process(const store::Session& session, const Task& task) {
  if (is_copy(session, task)) return std::nullopt;
  // A pid is meaningful only in its pid namespace and boot.
  if (task.host.boot_id && *task.host.boot_id != boot_id()) return std::nullopt;
  if (task.host.pid_namespace && *task.host.pid_namespace != own_pid_namespace()) return std::nullopt;
  if (const auto holder = store::read_runner_notes(session, task.id).holder)
    if (auto found = hold(session, *holder, task)) return found;
  return task.host.runner ? hold(session, *task.host.runner, task) : std::nullopt;
}

Result<> leave_stop_wish(const store::Session& session, const TaskId& id, const StopWish& wish) {
  TRY(auto folder, session.open_folder(id));
  return replace_file(folder.get(), contract::kStopWish,
                      fmt::format("{} {}\n{}\n", wish.grace_ms, wish.is_quiet ? 1 : 0, wish.escaped_reason),
                      session.folder_path(id) + "/" + contract::kStopWish);
}

std::optional<StopWish> read_stop_wish(const store::Session& session, const TaskId& id) {
  auto folder = session.open_folder(id);
  if (!folder) return std::nullopt;
  const auto text = read_regular_file(folder->get(), contract::kStopWish, contract::kMaxReasonBytes + 64L, "stop.wish");
  if (!text) return std::nullopt;
  StopWish wish;
  std::string_view rest = *text;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), wish.grace_ms);
  if (error != std::errc()) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (rest.size() < 4 || rest[0] != ' ' || rest[2] != '\n') return std::nullopt;
  wish.is_quiet = rest[1] == '1';
  rest.remove_prefix(3);
  wish.escaped_reason = std::string(rest.substr(0, rest.find('\n')));
  return wish;
}

}  // namespace perdure::manager
