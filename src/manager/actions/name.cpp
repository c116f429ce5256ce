#include "manager/actions/name.h"

#include "base/error.h"
#include "base/try.h"
#include "contract/names.h"
#include "manager/link/program.h"
#include "manager/link/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

// Names of tasks (L65): names/<hex> holds the id of the task that had the name last.
namespace perdure {
namespace manager {
namespace {

constexpr std::size_t kMaxNameBytes = 63;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_in_name(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

Error held_by(const Task& holder, std::string_view why) {
  Error error{
      .code = ErrorCode::task_limit_exceeded,
      .message = fmt::format("the name '{}' belongs to {}, which {}", holder.name.value_or(""), holder.id.str(), why)};
  error.details["task"] = holder.id.str();
  return error;
}

}  // namespace

Result<> check_name(const std::string& name) {
  const bool is_formed =
      !name.empty() && name.size() <= kMaxNameBytes && is_letter(name.front()) && std::ranges::all_of(name, is_in_name);
  if (!is_formed)
    return fail(
        ErrorCode::usage,
        fmt::format("'{}' is not a name: expected a letter and up to 62 letters, digits, '.', '_' or '-'", name));
  if (TaskId::names_record(name))
    return fail(ErrorCode::usage, fmt::format("'{}' has the form of a task id: choose another name", name));
  for (const Kind kind : {Kind::process, Kind::agent, Kind::question})
    if (name == name_of(kind) || name == "bash")
      return fail(ErrorCode::usage, fmt::format("'{}' is a kind of task: choose another name", name));
  return {};
}

Result<std::optional<Task>> live_task_of(const TaskManager& manager, const store::Session& session,
                                         const KeyReservation& name) {
  if (!name.known()) return std::nullopt;
  auto task = manager.get(*name.known());
  if (!task && task.error().code == ErrorCode::task_not_found) {
    // A launch whose manager was killed may still be in progress; a foreground task is found only by its runner.
    const auto known = name.find_known(session);
    if (!known) return std::nullopt;
    task = manager.get(*known);
  }
  if (!task && task.error().code == ErrorCode::task_not_found) return std::nullopt;
  if (!task) return std::unexpected(task.error());
  if (is_terminal(task->status)) return std::nullopt;
  return std::move(*task);
}

Result<std::optional<Task>> decide_about_name(const TaskManager& manager, const StartOptions& options,
                                              const std::string& cwd, const Task& holder) {
  if (holder.found.unverified || holder.found.runner_gone)
    return std::unexpected(held_by(holder, "may be alive: see `perdure reconcile`"));
  if (options.if_running == IfRunning::refuse)
    return std::unexpected(held_by(holder, "runs already: stop it, or say --if-running return or replace"));
  if (options.if_running == IfRunning::replace) {
    if (manager.own_task() == holder.id)
      return std::unexpected(held_by(holder, "is the task that asks: it can't replace itself"));
    return std::nullopt;
  }
  Task task = holder;
  task.found.existing = true;
  const std::string command = options.shell_line ? *options.shell_line : shell_quoted(options.argv);
  task.found.same_command = task.process.command == command && task.origin.cwd == cwd;
  return task;
}

}  // namespace manager

Result<std::optional<Task>> TaskManager::named(std::string_view name) const {
  TRY_VOID(state_->check_open());
  const std::string text(name);
  if (!manager::check_name(text)) return std::nullopt;
  const auto id = manager::KeyReservation::look_up(state_->session, text, contract::kNamesDir);
  if (!id) return std::nullopt;
  auto task = get(*id);
  if (!task && task.error().code == ErrorCode::task_not_found) return std::nullopt;
  if (!task) return std::unexpected(task.error());
  if (task->name != text) return std::nullopt;  // the start that noted it failed
  return std::move(*task);
}

}  // namespace perdure
