#include "mcp/service/describe.h"

#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace perdure::mcp {
namespace {

// Of no use to a model, and it pays for every word.
constexpr std::array<std::string_view, 6> kInternal = {"runner",     "bootId",   "machineId",
                                                       "startedSeq", "endedSeq", "labels"};

std::string snake(std::string_view camel) {
  std::string text;
  for (const char c : camel) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0) text += '_';
    text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

}  // namespace

json::object describe(const Task& task) {
  // What a record of another program holds may be of any bytes; here it is one that we parsed.
  boost::system::error_code error;
  json::value record = json::parse(to_valid_utf8(record_json(task)), error);
  json::object members;
  if (error || !record.is_object()) return {{"task_id", task.id.str()}, {"status", name_of(task.status)}};
  for (auto& member : record.get_object())
    if (!member.value().is_null() && std::ranges::find(kInternal, std::string_view(member.key())) == kInternal.end())
      members[snake(member.key())] = std::move(member.value());
  if (!task.labels.empty()) {
    json::object labels;
    for (const auto& [name, value] : task.labels) labels[name] = value;
    members["labels"] = std::move(labels);
  }
  if (task.runner_gone) members["runner_gone"] = true;
  if (task.unverified) members["unverified"] = true;
  return members;
}

std::string lines_of(const json::object& members) {
  std::string text;
  for (const auto& member : members) {
    const auto& value = member.value();
    text += fmt::format("{}: {}\n", std::string_view(member.key()),
                        value.is_string() ? std::string(value.get_string()) : json::serialize(value));
  }
  return text;
}

std::optional<std::string_view> terminal_reason(const Task& task) {
  if (task.status == Status::timed_out) return "timed_out";
  if (task.status == Status::killed && task.stop_reason) return "stopped";
  if (task.status == Status::failed && task.stop_reason) return "failed";
  return std::nullopt;
}

std::string outcome_sentence(const Task& task) {
  switch (task.status) {
    case Status::queued: return "It waits for a free slot.";
    case Status::running:
      if (task.kind == Kind::question) return "It waits for an answer.";
      return task.runner_gone  ? "Its keeper was killed; what is left of it is being ended."
             : task.unverified ? "It runs by its record; nothing here can prove it."
                               : "It is running.";
    case Status::completed: return task.exit_code ? "It completed with exit code 0." : "It completed.";
    case Status::failed:
      if (task.signal) return fmt::format("It failed: a signal of its own ended it, {}.", *task.signal);
      if (task.exit_code) return fmt::format("It failed with exit code {}.", *task.exit_code);
      return fmt::format("It failed: {}.", task.stop_reason.value_or("why is not known"));
    case Status::timed_out: return "Its deadline ended it.";
    case Status::killed: return fmt::format("It was stopped: {}.", task.stop_reason.value_or("no reason was given"));
    case Status::lost:
      return fmt::format("It is lost: nobody saw how it ended ({}).",
                         task.lost_evidence ? name_of(*task.lost_evidence) : "another program's record");
  }
  return "";
}

Result<json::object> describe_with_output(const Service& service, const Caller& caller, const Task& task,
                                          std::int64_t tail) {
  const std::int64_t limit = Service::preview_limit(caller);
  auto snapshot = service.manager().output_snapshot(task.id, std::min(tail, limit));
  if (!snapshot) return std::unexpected(snapshot.error());
  json::object members = describe(task);
  if (snapshot->path) members["output_path"] = to_valid_utf8(*snapshot->path);
  members["output_size_bytes"] = snapshot->size_bytes;
  members["output_preview_bytes"] = snapshot->preview_bytes;
  members["output_truncated"] = snapshot->truncated;
  members["dropped_bytes"] = snapshot->dropped_bytes;
  members["full_output_available"] = snapshot->full_output_available;
  members["next_offset"] = snapshot->next_offset;
  members["eof"] = snapshot->eof;
  if (const auto reason = terminal_reason(task)) members["terminal_reason"] = *reason;
  if (tail > limit && snapshot->size_bytes > limit) members["preview_limit_bytes"] = limit;
  members["output"] = snapshot->preview;
  return members;
}

std::string text_with_output(const json::object& members) {
  json::object head = members;
  head.erase("output");
  const auto* const output = members.if_contains("output");
  const std::string_view text = output == nullptr ? std::string_view() : std::string_view(output->get_string());
  return lines_of(head) + (text.empty() ? "\n(no output)\n" : fmt::format("\n{}", text));
}

ToolResult result_of_answer(const Answer& answer) {
  json::object answers;
  for (const auto& [question, text] : answer.answers) answers[question] = to_valid_utf8(text);
  ToolResult result;
  result.structured = {{"answers", std::move(answers)}};
  if (!answer.note.empty()) result.structured["note"] = to_valid_utf8(answer.note);
  result.text = json::serialize(result.structured) + "\n";
  return result;
}

ToolResult result_of_question(const AskedQuestion& asked) {
  ToolResult result = asked.answer ? result_of_answer(*asked.answer) : tool_error(outcome_sentence(asked.task));
  result.delivered.push_back(asked.task);
  return result;
}

Result<ToolResult> result_of_ended(Service& service, const Caller& caller, const Task& task) {
  if (task.kind == Kind::question) {
    if (auto asked = service.manager().question_of(task.id)) return result_of_question(*asked);
  }
  auto members = describe_with_output(service, caller, task, Service::preview_limit(caller));
  if (!members) return std::unexpected(members.error());
  ToolResult result;
  result.text = fmt::format("{}\n{}", outcome_sentence(task), text_with_output(*members));
  result.structured = std::move(*members);
  result.is_error = task.status != Status::completed;
  if (result.structured.contains("output_path")) result.outputs.push_back(task.id);
  result.delivered.push_back(task);
  return result;
}

}  // namespace perdure::mcp
