#include "manager/far/start.h"

#include "base/clock.h"
#include "codec/record.h"
#include "contract/names.h"
#include "far/far_task.h"
#include "manager/far/contact.h"
#include "manager/far/turn.h"
#include "manager/link/idempotency.h"
#include "manager/link/program.h"
#include "manager/link/task_ids.h"
#include "manager/link/telemetry.h"
#include "store/records.h"
#include "trust/signature.h"

#include <unistd.h>

#include <fmt/format.h>

namespace perdure::manager {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostPrompt = 1 << 20;

std::string in_ms(milliseconds time) {
  return fmt::format("{}ms", time.count());
}

std::string_view word_of(Leftovers leftovers) {
  switch (leftovers) {
    case Leftovers::keep: return "keep";
    case Leftovers::kill: return "kill";
    case Leftovers::wait: return "wait";
  }
  return "keep";
}

// Removes a task that did not start: nothing of it may be found later.
void take_back(const store::Session& session, const TaskId& id) {
  static_cast<void>(far::remove_entry(session, id));
  ::unlink((session.folder_path(id) + "/" + contract::kFarFile).c_str());
  ::rmdir(session.folder_path(id).c_str());
}

}  // namespace

Result<> check_far(const ExecutorDefinition& executor, const StartOptions& options, const Work& work) {
  const auto refuse = [&](std::string_view option, std::string_view why) -> Result<> {
    return fail(ErrorCode::usage, fmt::format("{} with --on {}: {}", option, executor.name, why));
  };
  const bool to_slurm = executor.type == ExecutorDefinition::Type::slurm || !executor.on.empty();
  if (work.prompt.size() > kMostPrompt)
    return refuse("the prompt", "it is longer than 1 MiB: put it into a file there that the agent reads");
  if (!options.detached) return refuse("--foreground", "a task elsewhere runs in the background: use --wait");
  if (options.terminal) return refuse("--pty", "a task elsewhere has no terminal");
  if (options.queue && !to_slurm) return refuse("--queue", "a task on another host does not wait for a slot");
  if (options.input == Input::pipe && to_slurm) return refuse("--stdin pipe", "a job has no input");
  if (!options.cwd.empty() && options.cwd.front() != '/') return refuse("--cwd", "give an absolute path of that host");
  if (!to_slurm && (options.cpus > 0 || !options.gpus.empty() || !options.partition.empty() ||
                    options.time_limit.count() > 0 || !options.executor_options.empty()))
    return refuse("--cpus, --gpus, --partition, --time-limit and --executor-option", "they are for slurm");
  return {};
}

std::vector<std::string> far_words(const ExecutorDefinition& executor, const StartOptions& options, const Work& work,
                                   const std::string& description, const std::string& key) {
  std::vector<std::string> words{work.is_agent ? "agent" : "run", "--json", "--idempotency-key=" + key,
                                 "--description=" + description};
  const auto add = [&](std::string_view option, std::string_view value) {
    words.push_back(fmt::format("{}={}", option, value));
  };
  if (!executor.on.empty()) add("--on", executor.on);
  if (options.queue) words.emplace_back("--queue");
  if (!options.cwd.empty()) add("--cwd", options.cwd);
  for (const auto& [name, value] : options.env) add("--env", name + "=" + value);
  if (options.clear_env) words.emplace_back("--clear-env");
  if (options.timeout.count() > 0) add("--timeout", in_ms(options.timeout));
  if (options.idle_timeout.count() > 0) add("--idle-timeout", in_ms(options.idle_timeout));
  add("--grace", in_ms(options.grace));
  if (options.output_limit) add("--output-limit", fmt::to_string(*options.output_limit));
  add("--on-output-limit", options.on_output_limit == OnOutputLimit::stop ? "stop" : "truncate");
  if (!work.is_agent) add("--leftovers", word_of(options.leftovers));
  if (options.input == Input::pipe) add("--stdin", "pipe");
  if (options.memory_max > 0) add("--memory-max", fmt::to_string(options.memory_max));
  if (options.cpu_max > 0) add("--cpu-max", fmt::to_string(options.cpu_max));
  if (options.pids_max > 0) add("--pids-max", fmt::to_string(options.pids_max));
  if (options.cpus > 0) add("--cpus", fmt::to_string(options.cpus));
  if (!options.gpus.empty()) add("--gpus", options.gpus);
  if (!options.partition.empty()) add("--partition", options.partition);
  if (options.time_limit.count() > 0) add("--time-limit", in_ms(options.time_limit));
  for (const auto& option : options.executor_options) add("--executor-option", option);
  if (work.is_agent) {
    words.insert(words.end(), work.words.begin(), work.words.end());
    words.emplace_back("-");  // the prompt is what it reads
    return words;
  }
  words.emplace_back("--");
  if (options.shell_line) {
    words.insert(words.end(), {options.shell, "-c", *options.shell_line});
  } else {
    words.insert(words.end(), options.argv.begin(), options.argv.end());
  }
  return words;
}

namespace {

// A key may be known already; else it is noted for the new task.
Result<std::optional<Task>> find_known(const store::Session& session, const StartOptions& options,
                                       std::optional<KeyReservation>& key) {
  if (!options.idempotency_key) return std::nullopt;
  auto reserved = KeyReservation::take(session, *options.idempotency_key);
  if (!reserved) return std::unexpected(reserved.error());
  if (const auto known = reserved->find_known(session)) {
    if (auto task = store::find_record(session, *known); task && *task) return std::move(**task);
    if (auto task = far::unplaced(session, *known)) return std::move(*task);
  }
  key = std::move(*reserved);
  return std::nullopt;
}

Task planned_record(const FarSide& side, const ExecutorDefinition& executor, const StartOptions& options,
                    Task planned) {
  planned.queue.queued_at = time_at(now_ms());
  if (!planned.notification.on_end.empty())
    if (auto signature = trust::sign(side.session, planned.id, trust::Purpose::on_end,
                                     trust::on_end_bytes(planned.notification.on_end)))
      planned.notification.signature = std::move(*signature);
  ExecutorState about;
  about.name = executor.name;
  about.type = name_of(executor.type);
  about.token = fmt::format("perdure-{}-{}", machine_id().substr(0, 8), planned.id.str());
  about.submitted_at = time_at(now_ms());
  planned.executor = std::move(about);
  if (options.timeout.count() > 0) planned.limits.timeout_ms = options.timeout.count();
  return planned;
}

// Everything is durable before the other host is contacted: after a crash, the next process knows what to ask for.
Result<Task> send(const FarSide& side, const far::FarTask& sent, std::optional<KeyReservation>& key) {
  const TaskId& id = sent.planned.id;
  const auto give_up = [&](Error error) -> Result<Task> {
    take_back(side.session, id);
    return std::unexpected(std::move(error));
  };
  if (auto written = far::write_far_task(side.session, sent); !written) return give_up(written.error());
  if (auto entered = far::enter(side.session, id); !entered) return give_up(entered.error());
  auto right = far::take_entry(side.session, id);
  if (!right) return give_up(right.error());
  if (key)
    if (auto noted = key->note(id); !noted) return give_up(noted.error());
  if (sent.is_parked) *right = std::nullopt;
  auto task = side.contact.submit(sent);
  if (!task) return give_up(task.error());
  if (sent.is_parked) return task;
  side.telemetry.started_alone(*task);
  return task;
}

}  // namespace

Result<Task> start_job(const FarSide& side, const StartOptions& options, const Work& work, Launch launch,
                       const std::function<Task(const TaskId&)>& record) {
  auto executor = side.contact.find(options.on);
  if (!executor) return std::unexpected(executor.error());
  if (auto fine = check_far(**executor, options, work); !fine) return std::unexpected(fine.error());
  Cluster cluster(side.session, **executor, side.telemetry);
  if (auto answers = cluster.check_answers(); !answers) return std::unexpected(answers.error());
  auto programs = side.contact.programs();
  if (!programs) return std::unexpected(programs.error());
  if (auto made = side.session.create(); !made) return std::unexpected(made.error());
  auto waiting = far::entries(side.session);
  if (!waiting) return std::unexpected(waiting.error());
  const bool is_full = static_cast<std::int64_t>(waiting->size()) >= (*executor)->max_submitted;
  if (is_full && !options.queue)
    return fail(ErrorCode::task_limit_exceeded,
                fmt::format("{} tasks of {} have not ended: max_submitted allows no more; --queue waits",
                            waiting->size(), options.on));
  std::optional<KeyReservation> key;
  auto known = find_known(side.session, options, key);
  if (!known) return std::unexpected(known.error());
  if (*known) return std::move(**known);
  auto id = claim_id(side.session, work.id_prefix);
  if (!id) return std::unexpected(id.error());
  far::FarTask sent{.planned = planned_record(side, **executor, options, record(*id)),
                    .key = {},
                    .machine = {},
                    .place = {},
                    .words = {},
                    .input = {},
                    .stop = {}};
  const store::Session there((*executor)->folder);
  mark_environment(launch.environment, *id, there.path());
  launch.environment[contract::kSessionVariable] = there.path();
  launch.environment.erase("PERDURE_ON");
  Task constant = sent.planned;
  constant.notification.on_end.clear();
  constant.notification.signature.reset();
  constant.queue = {};
  constant.agent.id.reset();  // the runner has it apart, as `note`
  constant.origin.idempotency_key.reset();
  launch.constant_members = codec::constant_members(constant);
  launch.description = constant.description;
  if (work.is_agent) {
    launch.program = Cluster::folder_of(**executor, *programs) + "/perdure";
    launch.argv.front() = launch.program;
  }
  launch.timeout = deadline_in_job(**executor, options);
  launch.sync_output = true;
  launch.queued = false;
  launch.max_running = 0;
  launch.hooks.clear();
  launch.telemetry_file.clear();
  launch.owner.clear();
  if (auto prepared = cluster.prepare(sent, options, work, *programs, launch_spec(launch)); !prepared) {
    take_back(side.session, *id);
    return std::unexpected(prepared.error());
  }
  // What has ended meanwhile is known before it is decided who waits for it.
  for (const auto& id_before : predecessors_of(sent))
    if (auto before = far::read_far_task(side.session, id_before);
        before && before->place && before->executor() == options.on && far::is_entered(side.session, id_before))
      static_cast<void>(cluster.look({*before}));
  sent.is_parked = is_full || turn_of(side.session, sent).state != Turn::State::may_start;
  auto task = send(side, sent, key);
  if (!task) static_cast<void>(cluster.remove(*id));
  return task;
}

Result<Task> start_far(const FarSide& side, const StartOptions& options, const Work& work,
                       const std::function<Task(const TaskId&)>& record) {
  auto executor = side.contact.find(options.on);
  if (!executor) return std::unexpected(executor.error());
  if (auto fine = check_far(**executor, options, work); !fine) return std::unexpected(fine.error());
  if (auto made = side.session.create(); !made) return std::unexpected(made.error());
  std::optional<KeyReservation> key;
  auto known = find_known(side.session, options, key);
  if (!known) return std::unexpected(known.error());
  if (*known) return std::move(**known);
  auto host = side.contact.meet(**executor);
  if (!host) return std::unexpected(host.error());
  auto id = claim_id(side.session, work.id_prefix);
  if (!id) return std::unexpected(id.error());
  Task planned = planned_record(side, **executor, options, record(*id));
  if (!host->machine.empty()) planned.executor->machine_id = host->machine;
  const std::string far_key = fmt::format("perdure:{}:{}", machine_id(), id->str());
  const std::string description = planned.description;
  far::FarTask sent{.planned = std::move(planned),
                    .key = far_key,
                    .machine = host->machine,
                    .place = {},
                    .words = far_words(**executor, options, work, description, far_key),
                    .input = work.is_agent ? work.prompt : "",
                    .in_scope = host->in_scope,
                    .stop = {}};
  sent.is_parked = turn_of(side.session, sent).state != Turn::State::may_start;
  return send(side, sent, key);
}

}  // namespace perdure::manager
