#include "manager/far/contact.h"

#include "base/clock.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/fields.h"
#include "codec/record.h"
#include "manager/far/mirror.h"
#include "manager/far/said_there.h"
#include "manager/far/turn.h"
#include "manager/link/program.h"
#include "store/ownership.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace perdure::manager {
namespace {

constexpr std::int64_t kFarewellMs = 5'000;

void check_slurm(const ExecutorDefinition& executor, ExecutorReport& report) {
  report.place = executor.folder;
  if (auto answers = far::check_answers(executor.folder); !answers) {
    report.problems.push_back(answers.error().message);
    return;
  }
  const auto version = far::slurm_version();
  const auto settings =
      version ? far::slurm_settings() : Result<std::map<std::string, std::string>>(std::unexpected(version.error()));
  if (!settings) {
    report.problems.push_back(settings.error().message);
    return;
  }
  report.facts.push_back("version: " + *version);
  for (const auto& [key, name] :
       {std::pair{"ClusterName", "cluster"}, std::pair{"KillWait", "time to end (KillWait)"},
        std::pair{"AccountingStorageType", "accounting"}, std::pair{"MinJobAge", "ended jobs are known for"}})
    if (const auto found = settings->find(key); found != settings->end())
      report.facts.push_back(fmt::format("{}: {}", name, found->second));
  const store::Session folder(executor.folder);
  if (auto made = folder.create(); !made) {
    report.problems.push_back(made.error().message);
    return;
  }
  if (auto fine = store::check_owner(folder); !fine) report.problems.push_back(fine.error().message);
  report.is_usable = report.problems.empty();
}

}  // namespace

Error error_there(const far::Answer& answer, const std::string& place) {
  Error error{.code = ErrorCode::task_launch_failed, .message = {}};
  std::string_view text = answer.output;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto whole = codec::split_object(text);
  const codec::Member* inside = nullptr;
  if (whole) inside = codec::Fields(*whole).find("error");
  const auto members = inside != nullptr ? codec::split_object(inside->raw) : fail(ErrorCode::record_invalid, "");
  if (members) {
    codec::Fields fields(*members);
    const auto code = fields.text("code", codec::Need::optional).value_or("");
    for (int i = 0; i <= static_cast<int>(ErrorCode::usage); ++i)
      if (name_of(static_cast<ErrorCode>(i)) == code) error.code = static_cast<ErrorCode>(i);
    error.message = fmt::format("{}: {}", place, fields.text("message", codec::Need::optional).value_or(""));
    if (const codec::Member* const details = fields.find("details"))
      if (const auto pairs = codec::split_object(details->raw))
        for (const auto& pair : *pairs)
          if (pair.type == codec::JsonType::string) error.details[std::string(pair.key)] = codec::string_of(pair);
    return error;
  }
  const std::string why = last_line(answer.errors.empty() ? answer.output : answer.errors);
  error.message = fmt::format("{}: perdure ended with {} there: {}", place, answer.exit_status, why);
  return error;
}

FarContact::FarContact(const store::Session& session, Executors executors, std::string runner, Telemetry& telemetry)
    : session_(session),
      executors_(std::move(executors)),
      runner_(std::move(runner)),
      telemetry_(telemetry),
      cancel_(executors_ && !executors_->empty() ? ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1) {}

FarContact::~FarContact() {
  const std::uint64_t one = 1;
  if (cancel_) static_cast<void>(!::write(cancel_.get(), &one, sizeof one));
  for (auto& [name, following] : followed_)
    if (following.thread.joinable()) following.thread.join();
  // The bytes are on their way, and the process that wrote them may exit at once.
  for (auto& [id, channel] : inputs_) {
    channel.limit(steady_ms() + kFarewellMs);
    static_cast<void>(channel.rest());
  }
}

Result<const ExecutorDefinition*> FarContact::find(const std::string& name) const {
  const auto found = executors_ ? executors_->find(name) : decltype(executors_->find(name))();
  if (!executors_ || found == executors_->end())
    return fail(
        ErrorCode::usage,
        fmt::format("no executor '{}' is configured: see `perdure executors` and docs/guide/elsewhere.md", name));
  const ExecutorDefinition& executor = found->second;
  if (!executor.untrusted.empty())
    return fail(ErrorCode::config_invalid,
                fmt::format("the executor '{}' stands in {}, which is not trusted: move it to your own configuration",
                            name, executor.untrusted));
  return &executor;
}

Result<far::Host> FarContact::host_of(const ExecutorDefinition& executor) const {
  if (executor.type != ExecutorDefinition::Type::ssh)
    return fail(ErrorCode::usage, fmt::format("the executor '{}' is not reached by a shell", executor.name));
  if (!executor.install) return far::Host(executor, std::nullopt);
  TRY(auto own, programs());
  return far::Host(executor, std::move(own));
}

Result<far::Programs> FarContact::programs() const {
  TRY(auto runner, find_runner(runner_));
  return far::find_programs(runner);
}

Result<far::KnownHost> FarContact::meet(const ExecutorDefinition& executor) const {
  if (auto known = far::known_host(session_, executor.name)) return *known;
  auto host = host_of(executor);
  if (!host) return std::unexpected(host.error());
  TRY(auto met, host->introduce({.until = steady_ms() + kCallMs, .cancel_fd = cancel_.get()}));
  if (met.ends_at_logout && !met.lingers)
    return fail(ErrorCode::task_launch_failed,
                fmt::format("{} ends all processes of a login when it ends (KillUserProcesses of logind): run "
                            "`loginctl enable-linger` there once",
                            far::place_of(executor)));
  const far::KnownHost known{.machine = met.from.machine_id, .in_scope = met.ends_at_logout};
  TRY_VOID(far::note_host(session_, executor.name, known));
  return known;
}

Result<Task> FarContact::place(const far::FarTask& task, const std::string& machine, std::int64_t until) const {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  std::vector<std::string> words = task.words;
  for (const auto& one : turn_of(session_, task).followed)
    words.insert(words.begin() + 1, (one.may_fail ? "--after-any=" : "--after=") + one.place);
  auto answer = host->call(words, machine, {.until = until, .cancel_fd = cancel_.get()}, task.in_scope, task.input);
  if (!answer) return std::unexpected(answer.error());
  if (answer->exit_status != 0) {
    Error error = error_there(*answer, far::place_of(**executor));
    // ssh itself exits with 255 if the connection was lost after the start: only the answer counts.
    if (answer->exit_status == 255 && answer->output.empty()) return far::far_failure(far::kUnreachable, error.message);
    error.details["refused"] = "true";
    return std::unexpected(std::move(error));
  }
  if (const auto waiting = waiting_in(last_line(answer->output)))
    return note_waiting(session_, task.planned.id, *waiting);
  auto there = decode_any(last_line(answer->output));
  if (!there)
    return far::far_failure(far::kUnreachable, fmt::format("an answer of {} is not understood: {}",
                                                           far::place_of(**executor), there.error().message));
  return take_over(session_, telemetry_, task.planned.id, *there, answer->from);
}

std::optional<Cluster> FarContact::cluster_of(const std::string& executor) const {
  auto known = find(executor);
  if (!known || (*known)->type != ExecutorDefinition::Type::slurm) return std::nullopt;
  return Cluster(session_, **known, telemetry_);
}

Result<Task> FarContact::submit(const far::FarTask& task) const {
  const TaskId& id = task.planned.id;
  if (task.is_parked) {  // it may be that it never starts
    if (task.stop || turn_of(session_, task).state == Turn::State::never) static_cast<void>(settle_unplaced(task));
    TRY(auto record, store::find_record(session_, id));
    if (record) return std::move(*record);
    if (auto waiting = far::unplaced(session_, id)) return std::move(*waiting);
    return task.planned;
  }
  if (const auto cluster = cluster_of(task.executor())) {
    auto submitted = cluster->submit(task);
    // It may run there all the same: the next process that asks finds it by its key, or submits it.
    if (!submitted && far::is_far_failure(submitted.error(), far::kUnreachable))
      if (auto waiting = far::unplaced(session_, id)) return std::move(*waiting);
    return submitted;
  }
  const std::int64_t until = steady_ms() + kCallMs;
  auto placed = place(task, {}, until);
  // The key makes it harmless to start it again.
  if (!placed && far::is_far_failure(placed.error(), far::kUnreachable)) placed = place(task, {}, until);
  if (placed) return placed;
  const bool may_run =
      far::is_far_failure(placed.error(), far::kUnreachable) && placed.error().message.contains(" is cut off");
  if (may_run) {
    if (auto waiting = far::unplaced(session_, id)) return std::move(*waiting);
  }
  return placed;
}

std::vector<far::FarTask> FarContact::tasks_of(const std::string& executor) const {
  std::vector<far::FarTask> tasks;
  const auto ids = far::entries(session_);
  if (!ids) return tasks;
  for (const auto& id : *ids) {
    auto record = store::find_record(session_, id);
    if (!record) continue;
    if (*record && is_terminal((*record)->status)) {
      static_cast<void>(far::remove_entry(session_, id));  // its writer was killed in between
      continue;
    }
    auto task = far::read_far_task(session_, id);
    if (task && (executor.empty() || task->executor() == executor)) tasks.push_back(std::move(*task));
  }
  return tasks;
}

// Does the host know a task with that key? Then it is taken over.
Result<bool> FarContact::find_by_key(const far::FarTask& task) const {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  const std::vector<std::string> words{"mirror", "--once"};
  far::Welcome from;
  auto channel = host->open(words, {}, {.until = steady_ms() + kCallMs, .cancel_fd = cancel_.get()}, &from);
  if (!channel) return std::unexpected(channel.error());
  TRY_VOID(channel->send(fmt::format("key {}\n", task.key)));
  channel->end_input();
  TRY(auto line, channel->line());
  const Frame frame = frame_of(line);
  if (frame.word == "unknown" || frame.word == "nosession") return false;
  if (frame.word != "record" || frame.bytes < 0 || static_cast<std::size_t>(frame.bytes) > kMostFrame)
    return far::far_failure(far::kUnreachable,
                            fmt::format("an answer of {} is not understood: {}", far::place_of(**executor), line));
  auto bytes = channel->bytes(static_cast<std::size_t>(frame.bytes));
  if (!bytes) return std::unexpected(bytes.error());
  if (const auto waiting = waiting_in(*bytes)) {
    TRY_VOID(note_waiting(session_, task.planned.id, *waiting));
    return true;
  }
  auto there = decode_any(*bytes);
  if (!there) return std::unexpected(there.error());
  auto taken = take_over(session_, telemetry_, task.planned.id, *there, from);
  if (!taken) return std::unexpected(taken.error());
  return true;
}

// The process that submits a task holds its entry until the task is placed. A free entry means that this process was
// killed, or that the task waits here.
Result<> FarContact::settle_unplaced(const far::FarTask& task) const {
  if (const auto cluster = cluster_of(task.executor())) return cluster->settle_unplaced(task);
  const TaskId& id = task.planned.id;
  TRY(auto right, far::take_entry(session_, id));
  if (!right) return {};
  auto again = far::read_far_task(session_, id);
  if (!again || again->place) return {};
  const auto kill = [&](const std::string& reason) -> Result<> {
    auto ended =
        end_without_record(session_, telemetry_, id, {.status = Status::killed, .evidence = {}, .reason = reason});
    if (!ended) return std::unexpected(ended.error());
    return {};
  };
  if (again->stop) {
    TRY(auto is_known, again->is_parked ? Result<bool>(false) : find_by_key(*again));
    return is_known ? Result<>() : kill(again->stop->reason);
  }
  if (again->is_parked) {
    const Turn turn = turn_of(session_, *again);
    if (turn.state == Turn::State::waits) return {};
    if (turn.state == Turn::State::never) return kill(turn.reason);
    // From here on the place may know of it, whatever becomes of this process.
    again->is_parked = false;
    if (auto written = far::write_far_task(session_, *again); !written) return written;
  }
  auto placed = place(*again, again->machine, steady_ms() + kCallMs);
  if (placed) return {};
  FarEnd end;
  if (far::is_far_failure(placed.error(), far::kReplaced)) {
    end = {.status = Status::lost, .evidence = Evidence::engine_gone, .reason = placed.error().message};
  } else if (placed.error().details.contains("refused")) {
    end = {.status = Status::failed, .evidence = {}, .reason = "not submitted: " + placed.error().message};
  } else {
    return std::unexpected(placed.error());
  }
  auto ended = end_without_record(session_, telemetry_, id, end);
  if (!ended) return std::unexpected(ended.error());
  return {};
}

Result<far::Answer> FarContact::call(const far::FarTask& task, const std::vector<std::string>& words,
                                     std::int64_t until) const {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  if (const auto cluster = cluster_of(task.executor())) {
    TRY(auto step, cluster->call(task, words, std::max<std::int64_t>(1, until - steady_ms())));
    return far::Answer{.from = {}, .exit_status = step.exit_status, .output = step.output, .errors = step.errors};
  }
  TRY(auto host, host_of(**executor));
  return host.call(words, {}, {.until = until, .cancel_fd = cancel_.get()});
}

Result<int> FarContact::open_input(const far::FarTask& task) {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  const std::vector<std::string> words{"write", *task.place, "--json"};
  TRY(auto channel, host->open(words, {}, {.until = steady_ms() + kCallMs}));
  Fd input = channel.take_input();
  const std::scoped_lock lock(mutex_);
  inputs_.emplace(task.planned.id, std::move(channel));
  return input.release();
}

Result<> FarContact::end_inputs(const TaskId& id) {
  std::vector<far::Channel> channels;
  {
    const std::scoped_lock lock(mutex_);
    const auto [first, last] = inputs_.equal_range(id);
    for (auto at = first; at != last; ++at) channels.push_back(std::move(at->second));
    inputs_.erase(first, last);
  }
  Result<> all;
  for (auto& channel : channels) {
    channel.limit(steady_ms() + kCallMs);
    far::Answer answer;
    auto output = channel.rest();
    auto status = output ? channel.finish() : Result<int>(std::unexpected(output.error()));
    if (!status) {
      all = std::unexpected(status.error());
      continue;
    }
    answer.exit_status = *status;
    answer.output = std::move(*output);
    answer.errors = channel.error_text();
    if (*status != 0) all = std::unexpected(error_there(answer, id.str()));
  }
  return all;
}

Result<ExecutorReport> FarContact::check(const std::string& name) const {
  auto executor = find(name);
  if (!executor) return std::unexpected(executor.error());
  ExecutorReport report{.name = name,
                        .type = std::string(name_of((*executor)->type)),
                        .place = far::place_of(**executor),
                        .facts = {},
                        .problems = {}};
  const auto problem = [&](const Error& error) {
    report.problems.push_back(error.message);
    return report;
  };
  if ((*executor)->type == ExecutorDefinition::Type::slurm) {
    check_slurm(**executor, report);
    return report;
  }
  auto host = host_of(**executor);
  if (!host) return problem(host.error());
  const far::ChannelOptions options{.until = steady_ms() + kCallMs, .cancel_fd = cancel_.get()};
  const std::int64_t began = steady_ms();
  auto met = host->introduce(options);
  if (!met) return problem(met.error());
  report.facts.push_back(fmt::format("reached: in {} ms", steady_ms() - began));
  report.facts.push_back(fmt::format("host: {} ({})", met->from.node, met->architecture));
  report.facts.push_back(fmt::format("machine: {}", met->from.machine_id));
  if (met->ends_at_logout && !met->lingers)
    report.problems.push_back("logind there ends what a login started: run `loginctl enable-linger` there once");
  if (met->ends_at_logout && met->lingers)
    report.facts.emplace_back("logout: tasks get a scope of their own, so that they outlive the login");
  const std::vector<std::string> words{"version"};
  auto answer = host->call(words, {}, options);
  if (!answer) return problem(answer.error());
  if (answer->exit_status != 0) return problem(error_there(*answer, report.place));
  report.facts.push_back(fmt::format("perdure: {}", last_line(answer->output)));
  report.is_usable = report.problems.empty();
  return report;
}

}  // namespace perdure::manager
