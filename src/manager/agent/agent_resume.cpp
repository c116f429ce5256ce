#include "manager/agent/agent_resume.h"

#include "base/error.h"
#include "far/far_task.h"
#include "manager/status/assess.h"
#include "store/agent.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace perdure::manager {
namespace {

using Turns = std::vector<Task>;

std::unexpected<Error> not_found(std::string message) {
  return fail(ErrorCode::agent_not_found, std::move(message));
}

// A task id is easily mistaken for an agent's id, so the error explains the difference (L28).
std::unexpected<Error> explain_unknown(const TaskManager& manager, const std::string& id) {
  const auto task_id = TaskId::parse(id);
  const auto task = task_id ? manager.get(*task_id) : Result<Task>(std::unexpected(task_id.error()));
  if (!task)
    return not_found(
        fmt::format("no subagent of this session has the agent id '{}': see `perdure list --all --kind agent`", id));
  if (task->kind != Kind::agent)
    return not_found(
        fmt::format("'{}' is a task, and no subagent's: only a conversation with an agent can be resumed", id));
  if (!task->agent.id)
    return not_found(fmt::format("'{}' is a task whose agent never had a session: there is nothing to go on with", id));
  Error error =
      not_found(fmt::format("'{}' is a task; the id of its agent is '{}': use that one", id, task->agent.id->text))
          .error();
  error.details["agentId"] = task->agent.id->text;
  return std::unexpected(std::move(error));
}

Result<Turns> turns_of(const TaskManager& manager, const store::Session& session, const AgentOptions& options) {
  auto all = manager.list({.ended = true, .kind = Kind::agent});
  if (!all) return std::unexpected(all.error());
  Turns turns;
  std::set<std::string> agents;
  bool foreign = false;
  for (auto& task : *all) {
    if (!task.agent.id || task.agent.id->text != *options.resume) continue;
    const bool ours = task.status == Status::queued || is_own_record(session, task) || far::is_mirror(session, task);
    foreign |= !ours;
    if (!ours || (!options.agent.empty() && task.agent.type != options.agent)) continue;
    agents.insert(task.agent.type.value_or(""));
    turns.push_back(std::move(task));
  }
  if (turns.empty() && foreign)
    return not_found(
        fmt::format("'{}' is another program's subagent: only that program can resume it", *options.resume));
  if (turns.empty()) return explain_unknown(manager, *options.resume);
  if (agents.size() > 1)
    return fail(ErrorCode::usage, fmt::format("{} each have a conversation '{}': say which one with --agent",
                                              fmt::join(agents, " and "), *options.resume));
  return turns;
}

}  // namespace

Result<Conversation> take_up(TaskManager& manager, const store::Session& session, const AgentOptions& options) {
  // An unknown id must create nothing on disk (L47), so it is looked up before the lock is made, and again with the
  // lock.
  if (auto known = turns_of(manager, session, options); !known) return std::unexpected(known.error());
  auto lock = store::lock_conversations(session);
  if (!lock) return std::unexpected(lock.error());
  auto turns = turns_of(manager, session, options);
  if (!turns) return std::unexpected(turns.error());
  const Task& last = turns->back();
  const auto& owner = options.start.owner;
  // L43: a caller that names an owner sees only that owner's agents.
  if (owner && owner != last.owner) {
    Error error{.code = ErrorCode::agent_not_owned,
                .message = fmt::format("the subagent '{}' belongs to {}, not to {}", *options.resume,
                                       last.owner.value_or("nobody"), *owner)};
    if (last.owner) error.details["owner"] = *last.owner;
    return std::unexpected(std::move(error));
  }
  for (auto& turn : *turns) {
    if (is_terminal(turn.status)) continue;
    // If its runner was killed, its turn is over once its processes are.
    if (turn.found.runner_gone)
      if (auto settled =
              manager.wait({.ids = {turn.id}, .timeout = std::chrono::seconds(10), .part_of_longer_wait = true});
          settled && !settled->ended.empty())
        continue;
    Error error{
        .code = ErrorCode::agent_busy,
        .message = fmt::format("{} works with the subagent '{}' just now: wait for it (`perdure wait {}`) or stop it",
                               turn.id.str(), *options.resume, turn.id.str())};
    error.details["task"] = turn.id.str();
    return std::unexpected(std::move(error));
  }
  return Conversation{.last = last, .lock = std::move(*lock)};
}

}  // namespace perdure::manager
