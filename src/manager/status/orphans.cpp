#include "manager/status/orphans.h"

#include "base/clock.h"
#include "base/process.h"
#include "contract/names.h"
#include "store/runner_lock.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace perdure::manager {
namespace {

constexpr std::int64_t kEndPatienceMs = 5'000;

// The kernel does not reuse the number of a session that has members, so members of the dead runner's session are the
// task's, unless a new process has that pid. A zombie leader counts as dead.
bool was_led_by_runner(const ProcessLook& look, const Task& task, const std::optional<ProcessIdentity>& holder) {
  // The number counts only if the lock page names it too: a record alone is no proof (L52).
  if (!task.host.runner || !holder || holder->pid != task.host.runner->pid || look.session != holder->pid) return false;
  if (look.start_ticks < holder->start_ticks) return false;
  const auto leader = look_at_process(holder->pid);
  return !leader || (leader->is_dead() && leader->start_ticks == holder->start_ticks);
}

bool is_of_this_user(pid_t pid) {
  struct stat about{};
  return ::stat(fmt::format("/proc/{}", pid).c_str(), &about) == 0 && about.st_uid == ::geteuid();
}

std::optional<TaskId> parsed_id(const std::string& text) {
  auto id = TaskId::parse(text);
  return id ? std::optional(std::move(*id)) : std::nullopt;
}

// The runner of another task is no part of this task. Its environment alone is no proof: the program must be a
// perdure-runner, and the task that it names must have its lock held.
bool is_living_runner(pid_t pid) {
  if (!program_of(pid).ends_with("/perdure-runner")) return false;
  const auto mark = environment_value(pid, contract::kRunnerVariable);
  const auto at = mark ? mark->find('@') : std::string::npos;
  const auto id = at == std::string::npos ? std::nullopt : parsed_id(mark->substr(0, at));
  if (!id) return false;
  const store::Session session(mark->substr(at + 1));
  return store::is_runner_alive(session, *id).value_or(false) || store::has_leftovers(session, *id).value_or(false);
}

}  // namespace

Remains find_remains(const store::Session& session, const Task& task) {
  Remains found;
  std::unordered_set<pid_t> seen;
  std::vector<pid_t> queue;
  const auto notes = store::read_runner_notes(session, task.id);
  const std::string legacy_mark = session.marker(task.id);
  const auto is_marked = [&](pid_t pid) {
    if (!notes.key.empty()) return environment_value(pid, contract::kKeyVariable) == notes.key;
    return environment_value(pid, contract::kTaskVariable) == legacy_mark;
  };
  for (const pid_t pid : all_processes()) {
    const auto look = look_at_process(pid);
    if (!look || look->is_dead() || (task.host.runner && look->start_ticks < task.host.runner->start_ticks)) continue;
    // Reading the environment of a process that hangs in the kernel may hang as well.
    const bool is_readable = look->state != 'D' && can_read_environment(pid);
    const bool is_led = was_led_by_runner(*look, task, notes.holder);
    if (!is_readable && !is_led && is_of_this_user(pid)) ++found.unread;
    if (is_led || (is_readable && is_marked(pid))) queue.push_back(pid);
  }
  while (!queue.empty()) {
    const pid_t pid = queue.back();
    queue.pop_back();
    const auto look = look_at_process(pid);
    if (!look || look->is_dead() || !seen.insert(pid).second || is_living_runner(pid)) continue;
    found.processes.push_back({pid, look->start_ticks});
    std::ranges::copy(children_of(pid), std::back_inserter(queue));
  }
  return found;
}

std::vector<ProcessIdentity> end_remains(const store::Session& session, const Task& task) {
  const std::int64_t until = steady_ms() + kEndPatienceMs;
  while (true) {
    auto remains = find_remains(session, task).processes;
    if (remains.empty()) return remains;
    for (const auto& process : remains) {
      auto pidfd = open_pidfd(process.pid);
      // Checked again with the pidfd open: from here on the pid can't be reused.
      if (!pidfd || !is_alive(process) || is_living_runner(static_cast<pid_t>(process.pid))) continue;
      if (!signal_pidfd(pidfd->get(), SIGKILL)) continue;
      pollfd ended{.fd = pidfd->get(), .events = POLLIN};
      static_cast<void>(::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(1, until - steady_ms()))));
    }
    if (steady_ms() >= until) return find_remains(session, task).processes;
  }
}

}  // namespace perdure::manager
