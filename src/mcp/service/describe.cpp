#include "mcp/service/describe.h"

#include "base/clock.h"
#include "base/readable.h"
#include "base/try.h"
#include "base/utf8.h"
#include "mcp/service/shown_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace perdure::mcp {
namespace {

constexpr std::int64_t kTailOfEnded = 2'048;
constexpr std::size_t kLine = 80;

// Keys that are of no use to a reader of a record as a resource.
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

// At most so many characters, with "..." if it was cut.
std::string cut_to_characters(const std::string& text, std::size_t most) {
  std::size_t count = 0, kept = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) continue;
    if (++count == most - 2) kept = at;
    if (count > most) return text.substr(0, kept) + "...";
  }
  return text;
}

}  // namespace

json::object describe(const Task& task) {
  // A record of another program may contain any bytes; this text was made from a parsed one.
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
  if (task.found.runner_gone) members["runner_gone"] = true;
  if (task.found.unverified) members["unverified"] = true;
  if (task.found.unrecorded_end) members["unrecorded_end"] = *task.found.unrecorded_end;
  return members;
}

json::object outcome_facts(const Task& task) {
  json::object facts{{"status", name_of(task.status)}};
  const auto put = [&](std::string_view key, const auto& value) {
    if (value) facts[key] = *value;
  };
  const auto put_text = [&](std::string_view key, const std::optional<std::string>& text) {
    if (text) facts[key] = to_valid_utf8(*text);
  };
  put("exit_code", task.process.exit_code);
  put("signal", task.process.signal);
  put("terminal_reason", terminal_reason(task));
  put_text("stop_reason", task.stop_reason);
  put_text("stop_code", task.agent.stop_code);
  put_text("timed_out_by", task.timed_out_by);
  if (task.lost_evidence) facts["lost_evidence"] = name_of(*task.lost_evidence);
  if (task.question.outcome) facts["question_outcome"] = name_of(*task.question.outcome);
  if (task.agent.id) facts["agent_id"] = to_valid_utf8(task.agent.id->text);
  if (task.kind == Kind::agent) put_text("actual_subagent_type", task.agent.type);
  put("queue_place", task.queue.place);
  if (!task.detached && !is_terminal(task.status)) facts["foreground"] = true;
  if (task.process.leftovers.value_or(0) > 0) facts["leftovers"] = *task.process.leftovers;
  if (!task.process.survivors.empty())
    facts["survivors"] = json::array(task.process.survivors.begin(), task.process.survivors.end());
  if (task.found.runner_gone) facts["runner_gone"] = true;
  if (task.found.unverified) facts["unverified"] = true;
  if (task.found.unrecorded_end) facts["unrecorded_end"] = *task.found.unrecorded_end;
  return facts;
}

json::object listed_task(const Task& task) {
  json::object members{{"task_id", task.id.str()}};
  for (auto& fact : outcome_facts(task)) members[fact.key()] = std::move(fact.value());
  members["started"] = ago(now_ms() - ms_of(task.started_at));
  if (task.ended_at) members["ended"] = ago(now_ms() - ms_of(*task.ended_at));
  if (task.process.pid > 0 && !is_terminal(task.status)) members["pid"] = task.process.pid;
  if (!task.labels.empty()) {
    json::object labels;
    for (const auto& [name, value] : task.labels) labels[name] = to_valid_utf8(value);
    members["labels"] = std::move(labels);
  }
  members["description"] = to_valid_utf8(task.description);
  return members;
}

std::string task_line(const Task& task, bool with_owner) {
  std::string line = fmt::format("{} {}", task.id.str(), name_of(task.status));
  if (task.kind == Kind::question && task.status == Status::running) line += " (open question)";
  if (!task.detached && !is_terminal(task.status)) line += " (foreground)";
  if (task.status == Status::failed && task.process.exit_code)
    line += fmt::format(" (exit {})", *task.process.exit_code);
  if (task.process.signal) line += fmt::format(" (signal {})", *task.process.signal);
  if (task.process.leftovers.value_or(0) > 0) line += fmt::format(" ({} left running)", *task.process.leftovers);
  line += fmt::format(", {} {}: ", task.ended_at ? "ended" : "started",
                      ago(now_ms() - ms_of(task.ended_at.value_or(task.started_at))));
  if (with_owner && task.owner) line += fmt::format("[{}] ", to_plain_text(*task.owner, false));
  line += to_plain_text(task.description, false);
  return cut_to_characters(line, kLine);
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
      if (task.found.unrecorded_end) return fmt::format("It has {}.", *task.found.unrecorded_end);
      if (task.kind == Kind::question) return "It waits for an answer.";
      return task.found.runner_gone  ? "Its runner was killed; its remaining processes are being ended."
             : task.found.unverified ? "It runs by its record; nothing here can prove it."
                                     : "It is running.";
    case Status::completed: return task.process.exit_code ? "It completed with exit code 0." : "It completed.";
    case Status::failed:
      if (task.process.signal) return fmt::format("It failed: a signal of its own ended it, {}.", *task.process.signal);
      if (task.process.exit_code) return fmt::format("It failed with exit code {}.", *task.process.exit_code);
      return fmt::format("It failed: {}.", task.stop_reason.value_or("why is not known"));
    case Status::timed_out: return "Its deadline ended it.";
    case Status::killed: return fmt::format("It was stopped: {}.", task.stop_reason.value_or("no reason was given"));
    case Status::lost:
      return fmt::format("It is lost: its end was not observed ({}).",
                         task.lost_evidence ? name_of(*task.lost_evidence) : "another program's record");
  }
  return "";
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
    if (auto asked = service.manager().questions().get(task.id)) return result_of_question(*asked);
  }
  TRY(auto shown, show_tail(service, caller, task, kTailOfEnded));
  ToolResult result;
  result.structured = answer_members(caller, task, shown, "");
  result.text = answer_text(result.structured);
  result.command_failed = task.status != Status::completed;
  if (shown.path) result.outputs.push_back(task.id);
  result.delivered.push_back(task);
  return result;
}

}  // namespace perdure::mcp
