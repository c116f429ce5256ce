#include "rpc/place/request.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "base/words.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::rpc {
namespace {

constexpr int kFailed = -32000;

bool holds(const std::vector<std::string>& words, std::string_view word) {
  return words.empty() || std::ranges::find(words, word) != words.end();
}

std::optional<std::string> text_of(const json::value* value) {
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

bool has_label(const Task& task, const std::string& wanted) {
  const auto equals = wanted.find('=');
  const auto found = task.labels.find(wanted.substr(0, equals));
  return found != task.labels.end() && (equals == std::string::npos || found->second == wanted.substr(equals + 1));
}

}  // namespace

const json::value* Request::find(std::string_view name) const {
  const auto* const value = params.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<std::string> Request::text(std::string_view name) const {
  return text_of(find(name));
}

std::optional<std::int64_t> Request::integer(std::string_view name) const {
  const auto* const value = find(name);
  return value == nullptr ? std::nullopt : std::optional(value->as_int64());
}

std::optional<double> Request::number(std::string_view name) const {
  const auto* const value = find(name);
  return value == nullptr ? std::nullopt : std::optional(value->to_number<double>());
}

std::optional<std::chrono::milliseconds> Request::time(std::string_view name) const {
  const auto ms = integer(name);
  return ms ? std::optional(std::chrono::milliseconds(*ms)) : std::nullopt;
}

bool Request::is_true(std::string_view name) const {
  const auto* const value = find(name);
  return value != nullptr && value->as_bool();
}

std::vector<std::string> texts_of(const json::value* value) {
  std::vector<std::string> texts;
  if (auto alone = text_of(value)) texts.push_back(std::move(*alone));
  if (value != nullptr && value->is_array())
    for (const auto& item : value->get_array())
      if (auto text = text_of(&item)) texts.push_back(std::move(*text));
  return texts;
}

std::vector<std::string> Request::texts(std::string_view name) const {
  return texts_of(find(name));
}

std::map<std::string, std::string> Request::map(std::string_view name) const {
  std::map<std::string, std::string> map;
  if (const auto* const value = find(name); value != nullptr)
    for (const auto& member : value->as_object())
      map[std::string(member.key())] = std::string(member.value().as_string());
  return map;
}

std::optional<std::string> Request::owner() const {
  auto own = text("owner");
  return own ? own : client.owner;
}

Result<TaskId> Request::id() const {
  return TaskId::parse(id_in_reference(text("id").value_or("")));
}

Result<std::vector<TaskId>> Request::ids() const {
  std::vector<TaskId> ids;
  for (const auto& one : texts("ids")) {
    auto id = TaskId::parse(id_in_reference(one));
    if (!id) return std::unexpected(id.error());
    ids.push_back(std::move(*id));
  }
  return ids;
}

Fault fault_of(const Error& error) {
  json::object details;
  for (const auto& [name, value] : error.details) details[name] = to_valid_utf8(value);
  json::object data{{"code", name_of(error.code)}, {"retryable", error.retryable()}, {"details", std::move(details)}};
  if (error.os_error != 0) data["errno"] = error.os_error;
  return {kFailed, to_valid_utf8(error.message), std::move(data)};
}

std::unexpected<Fault> refused(std::string message) {
  return failed(Error{.code = ErrorCode::usage, .message = std::move(message)});
}

json::value parsed(std::string_view text) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  return error ? json::value(nullptr) : value;
}

json::object task_json(const Task& task) {
  auto value = parsed(record_json(task));
  auto* const object = value.if_object();
  json::object json = object == nullptr ? json::object{{"taskId", task.id.str()}} : std::move(*object);
  if (task.found.runner_gone) json["runnerGone"] = true;
  if (task.found.unverified) json["unverified"] = true;
  if (task.found.unrecorded_end) json["unrecordedEnd"] = *task.found.unrecorded_end;
  return json;
}

json::array tasks_json(const std::vector<Task>& tasks) {
  json::array json;
  json.reserve(tasks.size());
  for (const auto& task : tasks) json.push_back(task_json(task));
  return json;
}

json::object row_json(const Task& task) {
  const bool queued = task.status == Status::queued;
  json::object row{{"id", task.id.str()},
                   {"kind", to_valid_utf8(task.kind_name)},
                   {"status", name_of(task.status)},
                   {"description", to_valid_utf8(task.description)},
                   {"startedAt", queued ? json::value(nullptr) : json::value(ms_of(task.started_at))},
                   {"endedAt", task.ended_at ? json::value(ms_of(*task.ended_at)) : json::value(nullptr)}};
  row["durationMs"] =
      queued ? json::value(nullptr) : json::value(ms_of(task.ended_at).value_or(now_ms()) - ms_of(task.started_at));
  if (task.process.exit_code) row["exitCode"] = *task.process.exit_code;
  if (task.process.signal) row["signal"] = *task.process.signal;
  if (task.owner) row["owner"] = to_valid_utf8(*task.owner);
  if (task.agent.id) row["agentId"] = to_valid_utf8(task.agent.id->text);
  if (task.output.bytes) row["outputBytes"] = *task.output.bytes;
  if (task.queue.place) row["queuePlace"] = *task.queue.place;
  json::array flags;
  if (task.found.unverified) flags.emplace_back("unverified");
  if (task.found.runner_gone) flags.emplace_back("runnerGone");
  if (task.process.leftovers.value_or(0) > 0) flags.emplace_back("leftovers");
  // Unknown for other programs' tasks: those programs notify by themselves.
  if (task.ended_seq && task.detached && !task.notification.notified_at &&
      !task.notification.suppressed.value_or(false))
    flags.emplace_back("undelivered");
  row["flags"] = std::move(flags);
  return row;
}

bool matches(const json::object& filter, const Task& task) {
  if (!holds(texts_of(filter.if_contains("ids")), task.id.str())) return false;
  if (!holds(texts_of(filter.if_contains("status")), name_of(task.status))) return false;
  if (!holds(texts_of(filter.if_contains("kind")), task.kind_name)) return false;
  if (const auto owner = text_of(filter.if_contains("owner")); owner && task.owner != owner) return false;
  if (const auto label = text_of(filter.if_contains("label")); label && !has_label(task, *label)) return false;
  if (const auto text = text_of(filter.if_contains("text")))
    if (task.id.str().find(*text) == std::string::npos && task.description.find(*text) == std::string::npos &&
        task.process.command.find(*text) == std::string::npos)
      return false;
  const auto time_of = [&](std::string_view name) -> std::optional<std::int64_t> {
    const auto* const value = filter.if_contains(name);
    return value != nullptr && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
  };
  if (const auto since = time_of("since"); since && ms_of(task.started_at) < *since) return false;
  if (const auto until = time_of("until"); until && ms_of(task.started_at) >= *until) return false;
  return true;
}

}  // namespace perdure::rpc
