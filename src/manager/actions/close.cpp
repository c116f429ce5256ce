#include "base/error.h"
#include "base/try.h"
#include "contract/control.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/status/foreground.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace perdure {
namespace {

constexpr const char* kReason = "Session closed";

}  // namespace

Result<std::vector<Task>> TaskManager::close() {
  TRY_VOID(state_->check_may_act());
  auto active = list({.leftovers = true});
  if (!active) return active;
  // A caller inside a task must be able to finish that task's work (L60).
  const auto own = own_line();
  std::erase_if(*active, [&](const Task& task) {
    return task.origin.lifetime != "session" || std::ranges::find(own, task.id) != own.end();
  });
  // All are asked before the first is waited for, so that their graces run in parallel.
  for (const auto& task : *active) {
    auto client = manager::RunnerClient::connect(state_->session, task.id);
    if (client && *client && (*client)->send(fmt::format("{} -1 {}", contract::kStopQuietly, kReason)))
      static_cast<void>((*client)->receive());
  }
  std::vector<Task> stopped;
  std::optional<Error> failure;
  for (const auto& task : *active) {
    auto ended = stop(task.id, {.reason = kReason, .grace = {}, .by = {}, .suppress_notification = true});
    if (ended) {
      stopped.push_back(std::move(*ended));
    } else if (ended.error().code != ErrorCode::task_not_found && !failure) {
      failure = ended.error();
    }
  }
  if (failure) return std::unexpected(std::move(*failure));
  state_->closed = true;
  state_->held->clear();  // foreground tasks of this manager continue in the background
  return stopped;
}

}  // namespace perdure
