#include "mcp/service/service.h"

#include "base/words.h"
#include "contract/names.h"
#include "mcp/protocol/client.h"

#include <sys/stat.h>

#include <fmt/format.h>

#include <cstdlib>
#include <memory>

namespace perdure::mcp {
namespace {

std::string project_root(const std::string& start) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(start.c_str(), nullptr), &std::free);
  std::string absolute = real == nullptr ? start : real.get();
  for (std::string folder = absolute; folder.size() > 1; folder.erase(folder.rfind('/'))) {
    struct stat found{};
    if (::stat((folder + "/.git").c_str(), &found) == 0) return folder;
  }
  return absolute;
}

std::string owner_in(std::string_view client, std::string_view project) {
  return fmt::format("{}@{}", client.empty() ? "mcp" : client, project);
}

}  // namespace

std::string default_owner(std::string_view client, const std::string& folder) {
  return owner_in(client, project_root(folder));
}

Service::Service(TaskManager& manager, ServiceOptions options)
    : manager_(manager), options_(std::move(options)), project_(project_root(".")), own_task_(manager.own_task()) {}

std::string Service::owner_of(const Caller& caller) const {
  if (options_.owner) return *options_.owner;
  if (!own_task_) return owner_in(caller.name, project_);
  const std::lock_guard lock(mutex_);
  if (own_agent_) return *own_agent_;
  // A subagent's server is started before the agent has an id; its requests come afterwards.
  const auto task = manager_.get(*own_task_);
  if (!task || task->kind != Kind::agent || !task->agent.id) return own_task_->str();
  own_agent_ = task->agent.id->text;
  return *own_agent_;
}

std::int64_t Service::preview_limit(const Caller& caller) {
  return traits_of(caller).inline_bytes;
}

std::expected<Task, std::string> Service::find(const Caller& caller, std::string_view id, bool all_owners) const {
  auto task = look_at(id);
  if (!task && task.error().code == ErrorCode::task_not_found)
    return std::unexpected(
        fmt::format("no task {} here; ", id) +
        with_tool_names("@TaskList with active_only=false shows yours, with all_owners=true those of others", caller));
  if (!task) return std::unexpected(task.error().message);
  if (!all_owners && task->owner != owner_of(caller))
    return std::unexpected(fmt::format("{} belongs to {}, not to you: pass all_owners=true if you mean it", id,
                                       task->owner ? "another owner, " + *task->owner : "no owner"));
  return std::move(*task);
}

Result<Task> Service::look_at(std::string_view id) const {
  auto parsed = TaskId::parse(id_in_reference(id));
  if (!parsed || !parsed->has_record_form()) {
    // Ids of the oldest builds have the form of a name (I21).
    if (auto named = manager_.named(id); named && *named) parsed = (*named)->id;
  }
  if (!parsed) return std::unexpected(parsed.error());
  auto task = manager_.get(*parsed);
  if (!task || !task->found.runner_gone) return task;
  auto settled =
      manager_.wait({.ids = {*parsed}, .timeout = std::chrono::milliseconds(0), .part_of_longer_wait = true});
  if (!settled) return std::unexpected(settled.error());
  return settled->only();
}

void Service::note_started(const TaskId& id) {
  {
    const std::lock_guard lock(mutex_);
    started_.push_back(id);
  }
  if (options_.on_start) options_.on_start();
}

void Service::begin_telling(const std::vector<std::string>& ids) {
  const std::lock_guard lock(mutex_);
  telling_.insert(ids.begin(), ids.end());
}

void Service::end_telling(const std::vector<std::string>& ids) {
  const std::lock_guard lock(mutex_);
  for (const auto& id : ids)
    if (const auto found = telling_.find(id); found != telling_.end()) telling_.erase(found);
}

std::multiset<std::string> Service::telling() const {
  const std::lock_guard lock(mutex_);
  return telling_;
}

void Service::stop_started() {
  std::vector<TaskId> started;
  {
    const std::lock_guard lock(mutex_);
    started.swap(started_);
  }
  // A task that has ended, or was removed, need not be stopped; the error would reach no client.
  for (const auto& id : started) {
    const auto task = manager_.get(id);
    if (!task || is_terminal(task->status)) continue;
    [[maybe_unused]] const auto stopped =
        manager_.stop(id, {.reason = "Session closed", .suppress_notification = true});
  }
}

}  // namespace perdure::mcp
