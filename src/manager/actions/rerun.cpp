#include "base/error.h"
#include "base/try.h"
#include "base/words.h"
#include "manager/actions/start_file.h"
#include "manager/link/launch_kind.h"
#include "manager/link/state.h"

#include <fmt/format.h>

namespace perdure {

using namespace manager;

namespace {

// A command line for the user to paste instead. Both forms of a record's command are lines for a shell.
std::unexpected<Error> not_known(const Task& task, std::string_view why) {
  return fail(ErrorCode::usage,
              fmt::format("{} can't be started again: {}; write `perdure run --cwd {} -c {}`", task.id.str(), why,
                          shell_word(task.origin.cwd.value_or(".")), shell_word(task.process.command)));
}

}  // namespace

Result<Task> TaskManager::rerun(const TaskId& id, const RerunOptions& options) {
  TRY_VOID(state_->act_and_revive());
  auto task = get(id);
  if (!task) return std::unexpected(task.error());
  if (task->kind != Kind::process)
    return fail(ErrorCode::usage, fmt::format("{} is not a command: only a command can be started again{}", id.str(),
                                              task->kind == Kind::agent ? "; see `perdure agent --resume`" : ""));
  if (task->executor) return not_known(*task, "it ran on an executor");
  auto start = read_start(state_->session, id);
  if (!start) return not_known(*task, "no start of it is kept that this user signed");
  Work work;
  if (!is_terminal(task->status)) {
    if (task->found.unverified || task->found.runner_gone)
      return fail(ErrorCode::task_limit_exceeded, fmt::format("{} may be alive: see `perdure reconcile`", id.str()));
    if (!options.if_running || options.if_running == IfRunning::refuse)
      return fail(ErrorCode::task_limit_exceeded,
                  fmt::format("{} runs still: stop it, or say --if-running replace", id.str()));
    if (options.if_running == IfRunning::give_back) {
      task->found.existing = true;
      task->found.same_command = true;
      return task;
    }
    if (own_task() == id)
      return fail(ErrorCode::usage, fmt::format("{} is the task that asks: it can't replace itself", id.str()));
    work.replaces = id;
  }
  start->if_running = options.if_running.value_or(IfRunning::give_back);
  start->queue = options.queue;
  start->priority = options.priority;
  start->idempotency_key = options.idempotency_key;
  return launch(*start, work);
}

}  // namespace perdure
