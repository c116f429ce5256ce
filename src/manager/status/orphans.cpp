#include "manager/status/orphans.h"

#include "base/clock.h"
#include "base/process.h"
#include "contract/names.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <unordered_set>

namespace perdure::manager {
namespace {

constexpr std::int64_t kPatienceMs = 5'000;

// A pid, session or group number can be a stranger's by now. A session keeps its number from being given away while
// it has members, so members of the dead runner's session are ours, unless a new process has become that pid.
bool was_led_by_runner(const ProcessLook& look, const Task& task) {
  if (!task.runner || look.session != task.runner->pid || look.start_ticks < task.runner->start_ticks) return false;
  return !look_at_process(task.runner->pid);
}

bool is_runner(pid_t pid) {
  return environment_value(pid, contract::kRunnerVariable).has_value();
}

}  // namespace

std::vector<ProcessIdentity> find_remains(const store::Session& session, const Task& task) {
  std::vector<ProcessIdentity> found;
  std::unordered_set<pid_t> seen;
  std::vector<pid_t> queue;
  const std::string marker = session.marker(task.id);
  for (const pid_t pid : all_processes()) {
    const auto look = look_at_process(pid);
    if (!look || look->is_dead() || (task.runner && look->start_ticks < task.runner->start_ticks)) continue;
    if (was_led_by_runner(*look, task) || environment_value(pid, contract::kTaskVariable) == marker)
      queue.push_back(pid);
  }
  while (!queue.empty()) {
    const pid_t pid = queue.back();
    queue.pop_back();
    const auto look = look_at_process(pid);
    if (!look || look->is_dead() || !seen.insert(pid).second || is_runner(pid)) continue;
    found.push_back({pid, look->start_ticks});
    std::ranges::copy(children_of(pid), std::back_inserter(queue));
  }
  return found;
}

std::vector<ProcessIdentity> end_remains(const store::Session& session, const Task& task) {
  const std::int64_t until = steady_ms() + kPatienceMs;
  while (true) {
    auto remains = find_remains(session, task);
    if (remains.empty()) return remains;
    for (const auto& process : remains) {
      auto pidfd = open_pidfd(process.pid);
      // Looked at again behind the pidfd: from here on the number can't become somebody else's.
      if (!pidfd || !is_alive(process) || is_runner(static_cast<pid_t>(process.pid))) continue;
      if (!signal_pidfd(pidfd->get(), SIGKILL)) continue;
      pollfd ended{.fd = pidfd->get(), .events = POLLIN};
      static_cast<void>(::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(1, until - steady_ms()))));
    }
    if (steady_ms() >= until) return find_remains(session, task);
  }
}

}  // namespace perdure::manager
