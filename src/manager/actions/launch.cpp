#include "base/clock.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/agent_plan.h"
#include "codec/record.h"
#include "contract/control.h"
#include "contract/names.h"
#include "far/far_task.h"
#include "manager/actions/check_start.h"
#include "manager/actions/name.h"
#include "manager/actions/start_file.h"
#include "manager/far/start.h"
#include "manager/link/idempotency.h"
#include "manager/link/identity.h"
#include "manager/link/launch_kind.h"
#include "manager/link/launch_spec.h"
#include "manager/link/program.h"
#include "manager/link/spawn.h"
#include "manager/link/state.h"
#include "manager/link/task_ids.h"
#include "manager/link/telemetry.h"
#include "manager/notify/hooks.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "manager/status/queue.h"
#include "store/active.h"
#include "store/agent.h"
#include "store/records.h"
#include "trust/signature.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

namespace perdure {

using namespace manager;

namespace {

constexpr std::int64_t kDefaultTruncateLimit = 64 << 20;  // rule L24

// What the runner writes is known to it alone; everything else of the record is settled here.
Task constant_part(const TaskId& id, const StartOptions& options, const Work& work, const std::string& cwd) {
  Task task{.id = id};
  if (work.is_agent) {
    task.kind = Kind::agent;
    task.kind_name = name_of(Kind::agent);
    if (!work.subagent_type.empty()) task.agent.type = work.subagent_type;
    if (!options.on.empty()) task.agent.id = work.resumes;
  } else {
    task.process.command = options.shell_line ? *options.shell_line : shell_quoted(options.argv);
  }
  task.description = options.description.empty() ? first_line_of(work.is_agent ? work.prompt : task.process.command)
                                                 : options.description;
  task.origin.cwd = cwd;
  task.owner = options.owner;
  task.labels = options.labels;
  task.origin.parent_tool_call_id = options.tool_call_id;
  task.notification.delivered_by = options.delivered_by;
  if (options.idle_timeout.count() > 0) task.limits.idle_timeout_ms = options.idle_timeout.count();
  note_limits(options, task);
  task.origin.idempotency_key = options.idempotency_key;
  task.name = options.name;
  if (options.restart.when != RestartOptions::When::never) {
    task.restart.policy = options.restart.when == RestartOptions::When::always ? "always" : "on-failure";
    if (const auto most = most_restarts(options.restart); most > 0) task.restart.most = most;
  }
  if (options.stop_signal > 0) task.process.stop_signal = options.stop_signal;
  if (options.terminal) {
    task.process.input = "terminal";
  } else if (options.input != Input::null) {
    task.process.input = options.input == Input::pipe ? "pipe" : "inherited";
  }
  task.notification.on_end = options.on_end;
  if (options.session_lifetime) task.origin.lifetime = "session";
  if (options.queue || follows(options)) {
    task.queue.queued_at = time_at(now_ms());
    task.queue.priority = options.priority;
    if (follows(options)) task.queue.after = followed(options);
  }
  return task;  // where it runs is the runner's to say: that may be elsewhere
}

std::int64_t take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

// The runner's answer to a launch (contract/control.h), as success or as an error for people.
Result<> understand(std::string_view answer, const Launch& launch) {
  const std::string_view word = answer.substr(0, answer.find(' '));
  answer.remove_prefix(std::min(answer.size(), word.size() + 1));
  if (word == "running" || word == "queued") return {};
  if (word == "waiting") {
    const auto waiting = take_number(answer);
    const auto cap = take_number(answer);
    return fail(
        ErrorCode::task_limit_exceeded,
        fmt::format("max_running_tasks is {} and {} tasks wait for a slot already: queue this one, too, or raise it",
                    cap, waiting));
  }
  if (word == "limit") {
    const auto held = take_number(answer);
    const auto cap = take_number(answer);
    return fail(
        ErrorCode::task_limit_exceeded,
        fmt::format("{} background tasks are running and max_running_tasks is {}: wait for one to end, or raise it",
                    held, cap));
  }
  const auto os_error = static_cast<int>(take_number(answer));
  if (word == "exec")
    return launch_failure(
        os_error == ENOENT ? 127 : 126, os_error,
        fmt::format("cannot run '{}': {}: {}", launch.argv.front(), launch.program, describe_errno(os_error)));
  if (word == "cwd")
    return launch_failure(126, os_error, fmt::format("cannot run in {}: {}", launch.cwd, describe_errno(os_error)));
  if (word == "failed") return fail_os(os_error, "the runner could not", answer, ErrorCode::task_launch_failed);
  return launch_failure(126, 0, "perdure-runner ended without an answer: it was killed, or is no perdure-runner");
}

// The task as the runner's answer "running PID STARTED_MS" alone tells of it.
Task as_answered(Task task, std::string_view answer, std::string record, std::chrono::milliseconds timeout) {
  answer.remove_prefix(std::min(answer.size(), answer.find(' ') + 1));
  task.process.pid = take_number(answer);
  task.started_at = time_at(take_number(answer));
  task.found.source = std::move(record);
  if (timeout.count() > 0) task.limits.timeout_ms = timeout.count();
  return task;
}

// The record, whose other half is in the answer: this process does not read what was just written (D51).
Result<Task> recorded_task(const TaskId& id, std::string_view constant_members, std::string_view answer,
                           const std::string& path) {
  const auto comma = answer.find(',');
  if (comma == std::string_view::npos) return fail(ErrorCode::record_invalid, "the runner did not say");
  TRY(auto task, codec::decode(fmt::format("{{{}{}\n", constant_members, answer.substr(comma)), id.str()));
  task.found.source = path;
  return task;
}

Result<Launch> plan_launch(const StartOptions& options, const ManagerOptions& manager, const std::string& cwd) {
  Launch launch;
  launch.argv = options.shell_line ? std::vector<std::string>{options.shell, "-c", *options.shell_line} : options.argv;
  launch.environment = environment_for(options, cwd);
  launch.cwd = cwd;
  const auto path = launch.environment.find("PATH");
  auto program = find_program(launch.argv.front(), path == launch.environment.end() ? "" : path->second, cwd);
  if (!program) return std::unexpected(program.error());
  launch.program = *program;
  launch.owner = options.owner.value_or("");
  launch.timeout = options.timeout;
  launch.idle_timeout = options.idle_timeout;
  launch.input = options.input;
  launch.input_fd = options.input_fd;
  launch.stop_signal = options.stop_signal;
  launch.restart = options.restart;
  launch.terminal = options.terminal;
  launch.grace = options.grace;
  const bool truncates = options.on_output_limit == OnOutputLimit::truncate;
  launch.output_limit = options.output_limit.value_or(truncates ? kDefaultTruncateLimit : 0);
  launch.on_output_limit = options.on_output_limit;
  launch.leftovers = options.leftovers;
  launch.max_running = manager.max_running_tasks.value_or(0);
  launch.sync_output = options.sync_output;
  launch.foreground = !options.detached;
  launch.on_timeout = options.on_timeout;
  launch.detach_timeout = options.detach_timeout;
  launch.stream_fd = options.stream_fd;
  launch.queued = options.queue || follows(options);
  launch.priority = options.priority;
  launch.after = followed(options);
  launch.telemetry_file = manager.telemetry_file;
  launch.hooks = plan_hooks(manager.hooks, options.on_end);
  return launch;
}

}  // namespace

Result<Task> TaskManager::start(const StartOptions& options) {
  if (auto fine = state_->check_may_act(); !fine) return std::unexpected(fine.error());
  static_cast<void>(store::complete_active(state_->session));
  if (!state_->has_revived)
    static_cast<void>(
        manager::revive_next(state_->session, state_->options.runner, *state_->telemetry, std::vector<TaskId>()));
  return launch(options, {});
}

// A job: folder and command are those of the node, so what is missing is found out there.
Result<Task> TaskManager::launch_job(const StartOptions& options, const Work& work) {
  std::error_code error;
  const std::string cwd =
      std::filesystem::absolute(options.cwd.empty() ? "." : options.cwd, error).lexically_normal().string();
  StartOptions there = options;
  there.memory_max = 0;  // limits are the engine's
  there.cpu_max = 0;
  if (work.is_agent) there.argv.front() = "/bin/sh";  // stands for Perdure's own program on the node
  auto launch = plan_launch(there, state_->options, cwd);
  if (!launch && there.shell_line) return std::unexpected(launch.error());
  if (!launch) {
    there.argv.insert(there.argv.begin(), "/usr/bin/env");
    launch = plan_launch(there, state_->options, cwd);
  }
  if (!launch) return std::unexpected(launch.error());
  launch->agent = work.is_agent;
  if (work.resumes)
    launch->note = codec::note_members({.agent_id = work.resumes->text, .model = {}, .stop_code = {}, .usage = {}});
  return start_job({state_->session, *state_->telemetry, *state_->far}, options, work, std::move(*launch),
                   [&](const TaskId& id) { return constant_part(id, options, work, cwd); });
}

Result<Task> TaskManager::launch(const StartOptions& options, const Work& work) {
  TRY_VOID(check_start(options));
  if (work.is_agent && options.restart.when != RestartOptions::When::never)
    return fail(ErrorCode::usage, "a subagent is not restarted: see `perdure agent --resume`");
  if (!options.on.empty()) {
    auto executor = state_->far->find(options.on);
    if (!executor) return std::unexpected(executor.error());
    TRY_VOID(check_predecessors(*this, state_->session, options));
    if ((*executor)->type == ExecutorDefinition::Type::slurm) return launch_job(options, work);
    return start_far({state_->session, *state_->telemetry, *state_->far}, options, work,
                     [&](const TaskId& id) { return constant_part(id, options, work, options.cwd); });
  }
  auto cwd = working_folder(options);
  if (!cwd) return std::unexpected(cwd.error());
  auto runner = find_runner(state_->options.runner);
  if (!runner) return std::unexpected(runner.error());
  const auto& session = state_->session;
  // A command that is not there must not even make the session's folder.
  auto launch = plan_launch(options, state_->options, *cwd);
  if (!launch) return std::unexpected(launch.error());
  TRY_VOID(check_predecessors(*this, session, options));
  if (auto made = session.create(); !made) return std::unexpected(made.error());
  launch->told_first = told_first(session, *cwd);

  std::optional<KeyReservation> key;
  if (options.idempotency_key) {
    auto reserved = KeyReservation::take(session, *options.idempotency_key);
    if (!reserved) return std::unexpected(reserved.error());
    if (const auto known = reserved->find_known(session)) {
      if (auto task = get(*known)) return task;
    }
    key = std::move(*reserved);
  }

  std::optional<KeyReservation> name;
  std::optional<Task> holder;  // a live task with that name
  if (options.name) {
    auto reserved = KeyReservation::take(session, *options.name, contract::kNamesDir);
    if (!reserved) return std::unexpected(reserved.error());
    auto live = live_task_of(*this, session, *reserved);
    if (!live) return std::unexpected(live.error());
    if (*live) {
      auto given_back = decide_about_name(*this, options, *cwd, **live);
      if (!given_back) return std::unexpected(given_back.error());
      if (*given_back) return std::move(**given_back);
    }
    holder = std::move(*live);
    name = std::move(*reserved);
  }

  if (!holder && work.replaces) {
    auto replaced = get(*work.replaces);
    if (!replaced) return std::unexpected(replaced.error());
    if (!is_terminal(replaced->status)) holder = std::move(*replaced);
  }

  auto id = claim_id(session, work.id_prefix);
  if (!id) return std::unexpected(id.error());
  const auto give_up = [&](Error error) -> Result<Task> {
    if (work.is_agent) store::remove_plan(session, *id);
    remove_start(session, *id);
    ::rmdir(session.folder_path(*id).c_str());
    return std::unexpected(std::move(error));
  };
  if (work.is_agent)
    if (auto written = store::write_plan(session, *id, work.plan); !written) return give_up(written.error());
  if (key)
    if (auto noted = key->note(*id); !noted) return give_up(noted.error());
  if (holder)
    if (auto there = check_can_run(launch->program, launch->argv.front(), launch->cwd); !there)
      return give_up(there.error());
  if (holder)
    if (auto stopped = stop(holder->id, {.reason = fmt::format("Replaced by {}", id->str())}); !stopped)
      return give_up(stopped.error());
  if (name)
    if (auto noted = name->note(*id); !noted) return give_up(noted.error());
  const std::string marker = session.marker(*id);
  mark_environment(launch->environment, *id, session.path());
  Task constant = constant_part(*id, options, work, *cwd);
  if (!constant.notification.on_end.empty())
    if (auto signature =
            trust::sign(session, *id, trust::Purpose::on_end, trust::on_end_bytes(constant.notification.on_end)))
      constant.notification.signature = std::move(*signature);
  launch->constant_members = codec::constant_members(constant);
  launch->agent = work.is_agent;
  if (work.resumes) {
    // The runner has it apart from what never changes: the driver may have more to say.
    constant.agent.id = work.resumes;
    launch->note = codec::note_members({.agent_id = work.resumes->text, .model = {}, .stop_code = {}, .usage = {}});
  }
  launch->limits = plan_limits(options, *id);
  launch->description = constant.description;
  if (launch->constant_members.size() > codec::kMaxRecordBytes - 65536)
    return give_up(fail(ErrorCode::usage,
                        "the command with its description and labels is too long for a record: put it into a script")
                       .error());
  if (launch->queued) launch->entry_text = queue_entry_text(session, constant, launch_spec(*launch));
  // Not in an entry of the queue, which may be started again after the next boot.
  if (!launch->queued) launch->identity = identity_members(session);
  auto spec = memory_file(launch_spec(*launch));
  if (!spec) return give_up(spec.error());
  if (!work.is_agent && options.detached) write_start(session, *id, options, *cwd);
  auto answer = spawn_runner({.runner = *runner,
                              .session = session.path(),
                              .id = id->str(),
                              .marker = marker,
                              .spec = *spec,
                              .foreground = launch->foreground,
                              .stream_fd = launch->stream_fd,
                              .input_fd = launch->input_fd,
                              .entry = {}});
  if (!answer) return give_up(answer.error());
  if (auto understood = understand(answer->line, *launch); !understood) return give_up(understood.error());
  if (launch->foreground) {
    Task task = as_answered(std::move(constant), answer->line, session.record_path(*id), options.timeout);
    task.detached = false;
    state_->held->add(*id, std::move(answer->caller), task);
    return task;
  }
  // It runs, whatever keeps us from reading its record: an error here would have a caller start it a second time.
  Task task = as_answered(std::move(constant), answer->line, session.record_path(*id), options.timeout);
  if (answer->line != contract::kQueuedAnswer) {
    if (auto recorded = recorded_task(*id, launch->constant_members, answer->line, task.found.source))
      task = std::move(*recorded);
  } else if (auto found = find_task(session, *state_->held, *id); found && *found) {
    task = std::move((*found)->task);
  } else {
    task.status = Status::queued;
    task.started_at = task.queue.queued_at.value_or(TimePoint());
    task.limits.timeout_ms.reset();
  }
  state_->telemetry->started(task);
  return task;
}

}  // namespace perdure
