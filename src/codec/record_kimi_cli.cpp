#include "base/clock.h"
#include "base/try.h"
#include "codec/fields.h"
#include "codec/record.h"

#include <cmath>

// The oldest format: a folder for each task, with spec.json for the request and runtime.json for the result. Times are
// seconds with a fraction.
namespace perdure::codec {
namespace {

std::optional<std::int64_t> time_ms(Fields& fields, std::string_view key, Need need) {
  const Member* const member = fields.find(key);
  if (member == nullptr || (member->type == JsonType::null && need == Need::optional)) {
    if (need == Need::required) fields.refuse(key, "is missing");
    return std::nullopt;
  }
  const auto seconds = number_of(*member);
  if (!seconds || *seconds < 0 || *seconds * 1000 > static_cast<double>(kMostTime)) {
    fields.refuse(key, fmt::format("is {}, not a time in seconds", member->raw.substr(0, 40)));
    return std::nullopt;
  }
  return static_cast<std::int64_t>(std::llround(*seconds * 1000));
}

// In these files null means absent.
std::optional<std::string> text_or_null(Fields& fields, std::string_view key) {
  const Member* const member = fields.find(key);
  if (member == nullptr || member->type == JsonType::null) return std::nullopt;
  return fields.text(key, Need::optional);
}

std::optional<std::int64_t> integer_or_null(Fields& fields, std::string_view key, std::int64_t least,
                                            std::int64_t most) {
  return fields.integer(key, Need::optional, least, most, true);
}

struct Runtime {
  Status status = Status::running;  // `created`
  std::optional<std::int64_t> started, finished, exit_code, pid;
  std::optional<std::string> reason;
};

std::optional<Runtime> read_runtime(std::string_view bytes) {
  const auto members = split_object(bytes);
  if (!members || bytes.size() > kMaxRecordBytes) return std::nullopt;
  Fields fields(*members);
  Runtime runtime;
  const auto name = fields.text("status", Need::required).value_or("");
  const bool timed_out = fields.boolean("timed_out").value_or(false);
  const auto status = status_from(name);
  if (name == "created" || name == "starting" || name == "awaiting_approval") {
    runtime.status = Status::running;
  } else if (status && *status != Status::queued && *status != Status::timed_out) {
    runtime.status = *status == Status::failed && timed_out ? Status::timed_out : *status;
  } else {
    return std::nullopt;
  }
  runtime.started = time_ms(fields, "started_at", Need::optional);
  runtime.finished = time_ms(fields, "finished_at", Need::optional);
  if (!runtime.finished && is_terminal(runtime.status))
    runtime.finished = time_ms(fields, "updated_at", Need::required);
  runtime.exit_code = integer_or_null(fields, "exit_code", INT32_MIN, INT32_MAX);
  runtime.pid = integer_or_null(fields, "child_pid", 0, kMostPid);
  runtime.reason = text_or_null(fields, "failure_reason");
  if (!fields.problem().empty()) return std::nullopt;
  return runtime;
}

void read_agent(Fields& fields, Task& task) {
  const Member* const payload = fields.find("kind_payload");
  if (payload == nullptr || payload->type != JsonType::object) return;
  const auto members = split_object(payload->raw);
  if (!members) return fields.refuse("kind_payload", members.error().message);
  Fields inside(*members);
  if (auto id = text_or_null(inside, "agent_id")) task.agent.id = AgentId{std::move(*id)};
  task.agent.type = text_or_null(inside, "subagent_type");
  if (!inside.problem().empty()) fields.refuse("kind_payload", inside.problem());
}

}  // namespace

Result<Task> decode_kimi_cli(const KimiCliFiles& files, std::string_view folder) {
  if (files.spec.size() > kMaxRecordBytes) return fail(ErrorCode::record_invalid, "is too long");
  TRY(const auto members, split_object(files.spec));
  Fields fields(members);
  const auto id_text = fields.text("id", Need::required);
  if (!id_text) return fail(ErrorCode::record_invalid, fields.problem());
  auto id = TaskId::parse(*id_text);
  if (!id) return fail(ErrorCode::record_invalid, "id: is not a task id");
  if (*id_text != folder)
    return fail(ErrorCode::record_invalid, fmt::format("id: is {}, but the folder is {}", *id_text, folder));

  Task task{.id = std::move(*id)};
  const auto kind = fields.text("kind", Need::required).value_or("");
  static_cast<void>(fields.integer("version", Need::required, 0, kMostInt));
  static_cast<void>(fields.text("session_id", Need::required));
  task.kind = kind == "bash" ? Kind::process : kind == "agent" ? Kind::agent : Kind::other;
  task.kind_name = task.kind == Kind::other ? kind : std::string(name_of(task.kind));
  task.description = fields.text("description", Need::required).value_or("");
  const auto created = time_ms(fields, "created_at", Need::required);
  task.origin.parent_tool_call_id = text_or_null(fields, "tool_call_id");
  if (auto command = text_or_null(fields, "command"); command && task.kind == Kind::process)
    task.process.command = std::move(*command);
  task.origin.cwd = text_or_null(fields, "cwd");
  if (const auto seconds = integer_or_null(fields, "timeout_s", 0, kMostInt / 1000))
    task.limits.timeout_ms = *seconds * 1000;
  if (task.kind == Kind::agent) read_agent(fields, task);
  if (!fields.problem().empty()) return fail(ErrorCode::record_invalid, fields.problem());

  const Runtime runtime = files.runtime ? read_runtime(*files.runtime).value_or(Runtime{}) : Runtime{};
  task.status = runtime.status;
  task.started_at = time_at(runtime.started.value_or(*created));
  if (is_terminal(task.status)) {
    task.ended_at = time_at(runtime.finished);
    if (runtime.exit_code && task.kind == Kind::process) task.process.exit_code = static_cast<int>(*runtime.exit_code);
  }
  if (task.kind == Kind::process) task.process.pid = runtime.pid.value_or(0);
  task.stop_reason = runtime.reason;
  task.found.shape = Shape::kimi_cli;
  return task;
}

}  // namespace perdure::codec
