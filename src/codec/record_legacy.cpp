#include "base/clock.h"
#include "base/try.h"
#include "codec/fields.h"

// The records of builds before the current shape: snake_case, one shape for processes and agents (docs/internals/disk-format.md).
namespace perdure::codec {
namespace {

// That build wrote "" or blanks for "none".
std::optional<std::string> unless_blank(std::optional<std::string> text) {
  if (text && text->find_first_not_of(" \t\r\n") == std::string::npos) return std::nullopt;
  return text;
}

Status status_of(Fields& fields, bool timed_out) {
  const auto name = fields.text("status", Need::required).value_or("");
  if (name == "awaiting_approval") return Status::running;
  const auto status = status_from(name);
  if (!status || *status == Status::queued)
    fields.refuse("status", fmt::format("'{}' is not known", name.substr(0, 40)));
  // A process that was `killed` with the reason "Timed out" stays killed: that build did not distinguish the two.
  if (status == Status::failed && timed_out) return Status::timed_out;
  return status.value_or(Status::running);
}

void check_shell(Fields& fields) {
  const Member* const shell = fields.find("shell_info");
  if (shell == nullptr) return;
  const auto members = shell->type == JsonType::object ? split_object(shell->raw) : fail(ErrorCode::record_invalid, "");
  if (!members)
    return fields.refuse("shell_info", fmt::format("is {}, not an object of its own", name_of(shell->type)));
  Fields inside(*members);
  static_cast<void>(inside.text("name", Need::required));
  static_cast<void>(inside.text("path", Need::optional));
  static_cast<void>(inside.text("cwd", Need::optional));
  if (!inside.problem().empty()) fields.refuse("shell_info", inside.problem());
}

}  // namespace

Result<Task> decode_legacy(const std::vector<Member>& members, std::string_view stem) {
  Fields fields(members);
  TRY(auto id, checked_id(fields, "task_id", stem));
  const bool agent = id.str().starts_with("agent-");
  Task task{.id = std::move(id)};
  task.kind = agent ? Kind::agent : Kind::process;
  task.kind_name = name_of(task.kind);
  task.description = fields.text("description", Need::required).value_or("");
  const auto command = fields.text("command", Need::required);
  const auto pid = fields.integer("pid", Need::required, 0, kMostPid);
  const auto exit_code = fields.integer("exit_code", Need::required, INT32_MIN, INT32_MAX, true);
  task.status = status_of(fields, fields.boolean("timed_out").value_or(false));
  task.started_at = time_at(fields.integer("started_at", Need::required, 0, kMostTime).value_or(0));
  task.ended_at = time_at(fields.integer("ended_at", Need::required, 0, kMostTime, true));
  if (fields.find("ended_at") != nullptr) check_end(fields, "ended_at", is_terminal(task.status), ms_of(task.ended_at));
  if (exit_code && !is_terminal(task.status)) fields.refuse("exit_code", "is a number although the task is running");
  task.stop_reason = unless_blank(fields.text("stop_reason", Need::optional));
  task.limits.timeout_ms = fields.integer("timeout_ms", Need::optional, 0, kMostInt);
  auto agent_id = unless_blank(fields.text("agent_id", Need::optional));
  auto subagent_type = unless_blank(fields.text("subagent_type", Need::optional));
  static_cast<void>(fields.text("approval_reason", Need::optional));
  check_shell(fields);
  if (!fields.problem().empty()) return fail(ErrorCode::record_invalid, fields.problem());
  if (agent) {
    if (agent_id) task.agent.id = AgentId{std::move(*agent_id)};
    task.agent.type = std::move(subagent_type);
  } else {
    task.process.command = command.value_or("");
    task.process.pid = pid.value_or(0);
    if (exit_code) task.process.exit_code = static_cast<int>(*exit_code);
  }
  return task;
}

}  // namespace perdure::codec
