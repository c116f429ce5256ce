#include "codec/record.h"

#include "base/clock.h"
#include "base/try.h"
#include "codec/fields.h"
#include "codec/json.h"

#include <array>

namespace perdure::codec {
namespace {

constexpr std::array kEvidence = {Evidence::runner_killed, Evidence::rebooted, Evidence::never_started,
                                  Evidence::process_gone,  Evidence::adopted,  Evidence::engine_gone,
                                  Evidence::node_fail};

constexpr std::array kOnDeadline = {OnDeadline::wait, OnDeadline::take_default, OnDeadline::expire};
constexpr std::array kQuestionOutcomes = {QuestionOutcome::answered, QuestionOutcome::dismissed,
                                          QuestionOutcome::expired, QuestionOutcome::withdrawn};

template <class T, std::size_t N>
std::optional<T> read_word(Fields& fields, std::string_view key, const std::array<T, N>& known) {
  const auto word = fields.text(key, Need::optional);
  if (!word) return std::nullopt;
  for (const T value : known)
    if (name_of(value) == *word) return value;
  fields.refuse(key, fmt::format("'{}' is not known", word->substr(0, 40)));
  return std::nullopt;
}

Kind kind_from(std::string_view name) {
  if (name == "process") return Kind::process;
  if (name == "agent") return Kind::agent;
  if (name == "question") return Kind::question;
  return Kind::other;
}

void read_common(Fields& fields, Task& task) {
  task.description = fields.text("description", Need::required).value_or("");
  task.kind_name = fields.text("kind", Need::required).value_or("");
  task.kind = kind_from(task.kind_name);
  if (task.kind_name.empty()) fields.refuse("kind", "is empty");
  const auto status_name = fields.text("status", Need::required).value_or("");
  const auto status = status_from(status_name);
  // A queued task has no record, so this status is invalid in one.
  if (!status || *status == Status::queued)
    fields.refuse("status", fmt::format("'{}' is not known", status_name.substr(0, 40)));
  task.status = status.value_or(Status::running);
  task.detached = fields.boolean("detached").value_or(true);
  task.started_at = time_at(fields.integer("startedAt", Need::required, 0, kMostTime).value_or(0));
  task.ended_at = time_at(fields.integer("endedAt", Need::required, 0, kMostTime, true));
  if (fields.find("endedAt") != nullptr) check_end(fields, "endedAt", is_terminal(task.status), ms_of(task.ended_at));
  task.stop_reason = fields.text("stopReason", Need::optional);
  task.notification.suppressed = fields.boolean("terminalNotificationSuppressed");
  task.limits.timeout_ms = fields.integer("timeoutMs", Need::optional, 0, kMostInt);
  task.origin.parent_tool_call_id = fields.text("parentToolCallId", Need::optional);
  task.notification.resume_reminded = fields.boolean("resumeReminded");
  task.queue.queued_at = time_at(fields.integer("queuedAt", Need::optional, 0, kMostTime));
  if (const auto priority = fields.integer("priority", Need::optional, 0, kMostInt))
    task.queue.priority = static_cast<int>(std::min<std::int64_t>(*priority, INT32_MAX));
  task.queue.after = fields.text("after", Need::optional);
}

// Other programs may use this key for their own values: that must not invalidate a record.
void read_usage(const Fields& fields, Task& task) {
  const Member* const usage = fields.find("usage");
  const auto members = usage != nullptr && usage->type == JsonType::object ? split_object(usage->raw)
                                                                           : fail(ErrorCode::record_invalid, "");
  if (!members) return;
  for (const auto& member : *members)
    if (const auto count = integer_of(member))
      task.agent.usage[string_of({.raw = fmt::format("\"{}\"", member.key), .type = JsonType::string})] = *count;
}

void read_kind(Fields& fields, Task& task) {
  if (task.kind == Kind::process) {
    task.process.command = fields.text("command", Need::required).value_or("");
    task.process.pid = fields.integer("pid", Need::required, 0, kMostPid).value_or(0);
    const auto code = fields.integer("exitCode", Need::required, INT32_MIN, INT32_MAX, true);
    if (code) task.process.exit_code = static_cast<int>(*code);
    if (code && !is_terminal(task.status)) fields.refuse("exitCode", "is a number although the task is running");
  }
  if (task.kind == Kind::agent) {
    if (auto id = fields.text("agentId", Need::optional)) task.agent.id = AgentId{std::move(*id)};
    task.agent.type = fields.text("subagentType", Need::optional);
    task.agent.model = fields.text("model", Need::optional);
    task.agent.thinking_effort = fields.text("thinkingEffort", Need::optional);
    task.agent.stop_code = fields.text("stopCode", Need::optional);
    read_usage(fields, task);
    // Not part of the format: another program may use this key with another meaning.
    const Member* const pid = fields.find("pid");
    if (pid != nullptr && fields.find("runner") != nullptr) task.process.pid = integer_of(*pid).value_or(0);
  }
  if (task.kind == Kind::question) {
    task.question.count = fields.integer("questionCount", Need::required, 0, kMostInt);
    task.question.tool_call_id = fields.text("toolCallId", Need::optional);
    task.question.on_deadline = read_word(fields, "onDeadline", kOnDeadline);
    task.question.outcome = read_word(fields, "questionOutcome", kQuestionOutcomes);
    if (task.question.outcome && !is_terminal(task.status))
      fields.refuse("questionOutcome", "is there although the question is open");
  }
}

void read_runner(Fields& fields, Task& task) {
  const Member* const runner = fields.find("runner");
  if (runner == nullptr) return;
  const auto members =
      runner->type == JsonType::object ? split_object(runner->raw) : fail(ErrorCode::record_invalid, "");
  if (!members) return fields.refuse("runner", fmt::format("is {}, not an object of its own", name_of(runner->type)));
  Fields inside(*members);
  const auto pid = inside.integer("pid", Need::required, 1, kMostPid);
  const auto ticks = inside.integer("startTicks", Need::required, 0, kMostInt);
  if (!inside.problem().empty()) return fields.refuse("runner", inside.problem());
  task.host.runner = ProcessIdentity{*pid, *ticks};
}

void read_session_folder(Fields& fields, Task& task) {
  const Member* const folder = fields.find("sessionFolder");
  if (folder == nullptr) return;
  const auto members =
      folder->type == JsonType::object ? split_object(folder->raw) : fail(ErrorCode::record_invalid, "");
  if (!members)
    return fields.refuse("sessionFolder", fmt::format("is {}, not an object of its own", name_of(folder->type)));
  Fields inside(*members);
  auto inode = inside.text("inode", Need::required);
  auto birth_time = inside.text("birthTime", Need::optional);
  if (!inside.problem().empty()) return fields.refuse("sessionFolder", inside.problem());
  task.host.session_folder = FolderIdentity{.inode = std::move(*inode), .birth_time = std::move(birth_time)};
}

void read_signature(Fields& fields, Task& task) {
  const Member* const signature = fields.find("signature");
  if (signature == nullptr) return;
  const auto members =
      signature->type == JsonType::object ? split_object(signature->raw) : fail(ErrorCode::record_invalid, "");
  if (!members) return fields.refuse("signature", "is not an object of its own");
  Fields inside(*members);
  auto key = inside.text("key", Need::required);
  auto value = inside.text("value", Need::required);
  if (!inside.problem().empty()) return fields.refuse("signature", inside.problem());
  task.notification.signature = Signature{.key = std::move(*key), .value = std::move(*value)};
}

void read_executor(Fields& fields, Task& task) {
  const Member* const executor = fields.find("executor");
  if (executor == nullptr) return;
  const auto members =
      executor->type == JsonType::object ? split_object(executor->raw) : fail(ErrorCode::record_invalid, "");
  if (!members)
    return fields.refuse("executor", fmt::format("is {}, not an object of its own", name_of(executor->type)));
  Fields inside(*members);
  ExecutorState state;
  state.name = inside.text("name", Need::required).value_or("");
  state.type = inside.text("type", Need::required).value_or("");
  state.token = inside.text("token", Need::required).value_or("");
  const auto text = [&](std::string_view key) { return inside.text(key, Need::optional); };
  const auto time = [&](std::string_view key) { return inside.integer(key, Need::optional, 0, kMostTime); };
  state.place = text("place");
  state.node = text("node");
  state.machine_id = text("machineId");
  state.boot_id = text("bootId");
  state.state = text("state");
  state.reason = text("reason");
  state.exit = text("exit");
  state.submitted_at = time_at(time("submittedAt"));
  state.started_at = time_at(time("startedAt"));
  state.seen_at = time_at(time("seenAt"));
  state.silent_since = time_at(time("silentSince"));
  state.late = text("late");
  if (!inside.problem().empty()) return fields.refuse("executor", inside.problem());
  task.executor = std::move(state);
}

void read_labels(Fields& fields, Task& task) {
  const Member* const labels = fields.find("labels");
  if (labels == nullptr) return;
  const auto members =
      labels->type == JsonType::object ? split_object(labels->raw) : fail(ErrorCode::record_invalid, "");
  if (!members) return fields.refuse("labels", fmt::format("is {}, not an object of its own", name_of(labels->type)));
  for (const auto& member : *members) {
    if (member.type != JsonType::string) return fields.refuse("labels", "holds something that is not a string");
    task.labels.emplace(string_of({.raw = fmt::format("\"{}\"", member.key), .type = JsonType::string}),
                        string_of(member));
  }
}

void read_survivors(Fields& fields, Task& task) {
  const Member* const survivors = fields.find("survivors");
  if (survivors == nullptr) return;
  if (survivors->type != JsonType::array)
    return fields.refuse("survivors", fmt::format("is {}, not an array", name_of(survivors->type)));
  std::string_view rest = survivors->raw.substr(1, survivors->raw.size() - 2);
  while (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    item.remove_prefix(std::min(item.size(), item.find_first_not_of(" \t\r\n")));
    item = item.substr(0, item.find_last_not_of(" \t\r\n") + 1);
    const auto pid = integer_of({.raw = item, .type = JsonType::integer});
    if (!pid || *pid < 1 || *pid > kMostPid) return fields.refuse("survivors", "contains a value that is not a pid");
    task.process.survivors.push_back(*pid);
  }
}

// What others may write in its place is theirs, and no reason to refuse a record.
void read_attempts(const Fields& fields, Task& task) {
  const Member* const attempts = fields.find("attempts");
  if (attempts == nullptr || attempts->type != JsonType::object || !task.restart.policy) return;
  const auto members = split_object(attempts->raw);
  if (!members) return;
  Fields inside(*members);
  task.restart.count = inside.integer("count", Need::optional, 0, INT32_MAX).value_or(0);
  const Member* const last = inside.find("last");
  const auto items =
      last != nullptr && last->type == JsonType::array ? split_array(last->raw) : fail(ErrorCode::record_invalid, "");
  if (!items) return;
  for (const auto& item : *items) {
    const auto parts = item.type == JsonType::object ? split_object(item.raw) : fail(ErrorCode::record_invalid, "");
    if (!parts) continue;
    Fields one(*parts);
    const auto started = one.integer("startedAt", Need::required, 0, kMostTime);
    const auto ended = one.integer("endedAt", Need::required, 0, kMostTime);
    const auto code = one.integer("exitCode", Need::optional, INT32_MIN, INT32_MAX, true);
    const auto signal = one.integer("signal", Need::optional, 1, 255);
    const auto offset = one.integer("outputOffset", Need::optional, 0, kMostInt).value_or(0);
    if (!started || !ended) continue;
    Attempt attempt{.started_at = time_at(*started), .ended_at = time_at(*ended), .output_offset = offset};
    if (code) attempt.exit_code = static_cast<int>(*code);
    if (signal) attempt.signal = static_cast<int>(*signal);
    task.restart.last.push_back(attempt);
  }
}

void read_own(Fields& fields, Task& task) {
  read_runner(fields, task);
  read_executor(fields, task);
  read_labels(fields, task);
  read_survivors(fields, task);
  const auto number = [&](std::string_view key) { return fields.integer(key, Need::optional, 0, kMostInt); };
  task.limits.timeout_from = time_at(number("timeoutFrom"));
  task.limits.idle_timeout_ms = number("idleTimeoutMs");
  task.limits.memory_max = number("memoryMax");
  task.limits.cpu_max_milli = number("cpuMaxMilli");
  task.limits.pids_max = number("pidsMax");
  task.limits.cgroup = fields.text("cgroup", Need::optional);
  task.timed_out_by = fields.text("timedOutBy", Need::optional);
  task.host.boot_id = fields.text("bootId", Need::optional);
  task.host.machine_id = fields.text("machineId", Need::optional);
  task.host.name = fields.text("hostName", Need::optional);
  task.host.pid_namespace = fields.text("pidNamespace", Need::optional);
  read_session_folder(fields, task);
  read_signature(fields, task);
  task.owner = fields.text("owner", Need::optional);
  task.origin.lifetime = fields.text("lifetime", Need::optional);
  task.origin.cwd = fields.text("cwd", Need::optional);
  task.origin.idempotency_key = fields.text("idempotencyKey", Need::optional);
  task.name = fields.text("name", Need::optional);
  task.process.input = fields.text("input", Need::optional);
  task.restart.policy = fields.text("restart", Need::optional);
  task.restart.most = number("restartMax");
  read_attempts(fields, task);
  if (const auto signal = fields.integer("stopSignal", Need::optional, 1, 64))
    task.process.stop_signal = static_cast<int>(*signal);
  if (const Member* const on_end = fields.find("onEnd")) {
    auto commands = strings_of(*on_end);
    if (!commands) fields.refuse("onEnd", "is not an array of strings");
    task.notification.on_end = std::move(commands).value_or(std::vector<std::string>());
  }
  task.notification.channel = fields.text("notifiedVia", Need::optional);
  task.notification.delivered_by = fields.text("deliveredBy", Need::optional);
  task.host.in_process = fields.boolean("inProcess");
  task.recovered = fields.boolean("recovered");
  if (const auto signal = fields.integer("signal", Need::optional, 1, 255))
    task.process.signal = static_cast<int>(*signal);
  task.output.bytes = number("outputBytes");
  task.output.dropped_bytes = number("droppedBytes");
  task.output.dropped_at = number("droppedAt");
  task.output.unstored_bytes = number("unstoredBytes");
  task.process.leftovers = number("leftovers");
  task.notification.notified_at = time_at(number("notifiedAt"));
  task.started_seq = number("startedSeq");
  task.ended_seq = number("endedSeq");
  task.lost_evidence = read_word(fields, "lostEvidence", kEvidence);
  task.process.unread_processes = number("unreadProcesses");
}

Result<Task> decode_current(const std::vector<Member>& members, std::string_view stem) {
  Fields fields(members);
  TRY(auto id, checked_id(fields, "taskId", stem));
  Task task{.id = std::move(id)};
  read_common(fields, task);
  read_kind(fields, task);
  read_own(fields, task);
  if (!fields.problem().empty()) return fail(ErrorCode::record_invalid, fields.problem());
  return task;
}

}  // namespace

void check_end(Fields& fields, std::string_view key, bool terminal, const std::optional<std::int64_t>& ended) {
  if (terminal && !ended) fields.refuse(key, "is null although the task has ended");
  if (!terminal && ended) fields.refuse(key, "is a time although the task is running");
}

Result<TaskId> checked_id(Fields& fields, std::string_view key, std::string_view stem) {
  const auto text = fields.text(key, Need::required);
  if (!text) return fail(ErrorCode::record_invalid, fields.problem());
  auto id = TaskId::parse(*text);
  if (!id || !id->has_record_form()) return fail(ErrorCode::record_invalid, fmt::format("{}: is not a task id", key));
  if (*text != stem)
    return fail(ErrorCode::record_invalid, fmt::format("{}: is {}, but the file is {}.json", key, *text, stem));
  return id;
}

Result<Task> decode(std::string_view bytes, std::string_view stem) {
  if (bytes.size() > kMaxRecordBytes)
    return fail(ErrorCode::record_invalid,
                fmt::format("is {} bytes long, more than {}", bytes.size(), kMaxRecordBytes));
  TRY(auto members, split_object(bytes));
  const Fields fields(members);
  const bool current = fields.find("taskId") != nullptr;
  const bool legacy = fields.find("task_id") != nullptr;
  if (current && legacy) return fail(ErrorCode::record_invalid, "taskId and task_id: only one of them may be there");
  // Without either key, the spelling of the times says which of them is missing.
  const bool reads_legacy = legacy || (!current && fields.find("started_at") != nullptr);
  auto task = reads_legacy ? decode_legacy(members, stem) : decode_current(members, stem);
  if (!task) return task;
  task->found.shape = legacy ? Shape::legacy : Shape::current;
  task->found.raw = bytes;
  return task;
}

}  // namespace perdure::codec
