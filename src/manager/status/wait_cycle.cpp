#include "manager/status/wait_cycle.h"

#include "contract/control.h"
#include "contract/names.h"
#include "manager/link/runner_client.h"

#include <poll.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>

namespace perdure::manager {
namespace {

// The tasks whose processes wait for that one, or that are queued behind it.
std::vector<TaskId> waiters_of(const store::Session& session, const TaskId& id) {
  std::vector<TaskId> waiters;
  auto client = RunnerClient::connect(session, id);
  if (!client || !*client || !(*client)->send(contract::kWaiters)) return waiters;
  constexpr int kPatienceMs = 1'000;
  pollfd answered{.fd = (*client)->fd(), .events = POLLIN, .revents = 0};
  if (::poll(&answered, 1, kPatienceMs) <= 0) return waiters;
  const auto line = (*client)->receive();
  std::string_view words = line ? std::string_view(*line) : std::string_view();
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    if (auto waiter = TaskId::parse(word); waiter && word != contract::kWaiters) waiters.push_back(std::move(*waiter));
  }
  return waiters;
}

}  // namespace

std::optional<TaskId> task_inside(const store::Session& session) {
  // Neither is ever changed here, so reading them is safe: NOLINTBEGIN(concurrency-mt-unsafe)
  const char* const name = std::getenv(contract::kTaskVariable);
  const char* const where = std::getenv(contract::kSessionVariable);
  // NOLINTEND(concurrency-mt-unsafe)
  if (name == nullptr) return std::nullopt;
  const std::string_view text = name;
  const auto at = text.find('@');  // the environment of a task of 0.1 holds both in one variable
  auto id = TaskId::parse(text.substr(0, at));
  if (!id) return std::nullopt;
  const bool is_here = at != std::string_view::npos
                           ? session.marker(*id) == text
                           : where != nullptr && store::Session(where).path() == session.path();
  return is_here ? std::optional(std::move(*id)) : std::nullopt;
}

std::string wait_request(const store::Session& session) {
  const auto inside = task_inside(session);
  return inside ? fmt::format("{} {}", contract::kWait, inside->str()) : std::string(contract::kWait);
}

Result<> check_cycle(const store::Session& session, const TaskId& self, const std::vector<TaskId>& targets) {
  std::map<TaskId, TaskId> waits_for;  // the task from which each was reached
  std::vector<TaskId> next{self};
  while (!next.empty()) {
    const TaskId id = next.back();
    next.pop_back();
    for (const auto& waiter : waiters_of(session, id)) {
      if (waiter == self || !waits_for.emplace(waiter, id).second) continue;
      next.push_back(waiter);
      if (std::ranges::find(targets, waiter) == targets.end()) continue;
      std::string path = fmt::format("{} waits for {}", self.str(), waiter.str());
      for (TaskId at = waiter; at != self; at = waits_for.at(at))
        path += fmt::format(", {} for {}", at.str(), waits_for.at(at).str());
      return fail(ErrorCode::task_wait_cycle, path + ": none of them would ever end: wait for it from outside");
    }
  }
  return {};
}

}  // namespace perdure::manager
