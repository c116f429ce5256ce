#include "mcp/session/task_methods.h"

#include "base/clock.h"
#include "base/try.h"
#include "mcp/service/delivery.h"
#include "mcp/service/describe.h"
#include "mcp/session/elicitation.h"

#include <fmt/format.h>

#include <charconv>

namespace perdure::mcp {
namespace {

constexpr std::size_t kPage = 50;

// Short intervals at first, since many commands are short; later long ones, so that an hour of waiting costs little.
std::int64_t poll_interval_ms(const Task& task) {
  const std::int64_t age = now_ms() - ms_of(task.started_at);
  return age < 10'000 ? 500 : age < 120'000 ? 2'000 : 5'000;
}

std::string_view extension_status(const Task& task) {
  switch (task.status) {
    case Status::queued:
    case Status::running: return "working";
    // The command's own failure is a result; `failed` means that there is no result.
    case Status::completed:
    case Status::failed:
    case Status::timed_out: return "completed";
    case Status::killed: return "cancelled";
    case Status::lost: return "failed";
  }
  return "working";
}

std::string iso_last_update(const Task& task) {
  return iso_time(ms_of(task.ended_at.value_or(task.started_at)));
}

// The task, of any owner: an id can't be guessed, so a client that has it was given it.
std::expected<Task, Fault> task_of(const Service& service, const Request& request) {
  TRY(auto text, text_param(request, "taskId"));
  auto task = service.look_at(text);
  if (task) return std::move(*task);
  if (task.error().code == ErrorCode::session_unusable || task.error().code == ErrorCode::record_invalid)
    return fault(jsonrpc::kInternalError, task.error().message);
  return fault(jsonrpc::kInvalidParams, fmt::format("Invalid params: unknown task {}", text));
}

// The answer contains the outcome: its owner is not notified again (L33) once these bytes are written.
void told(Service& service, Request& request, const Task& task) {
  if (is_terminal(task.status)) note_delivered(service, request, {task});
}

Reply cancel(Service& service, Request& request, const Task& task) {
  auto stopped =
      service.manager().stop(task.id, {.reason = "Cancelled by the client", .by = service.owner_of(request.caller)});
  if (!stopped) return fault(jsonrpc::kInternalError, stopped.error().message);
  return request.caller.era == Era::modern ? json::object() : legacy_task(*stopped);
}

// The answer to a question. Unknown keys, and answers that come too late, are ignored: the next tasks/get shows the
// state.
Reply update(Service& service, const Task& task, const json::object& responses) {
  const auto* const response = responses.if_contains(kAnswerKey);
  if (response == nullptr || task.kind != Kind::question || is_terminal(task.status)) return json::object();
  auto asked = service.manager().questions().get(task.id);
  if (!asked) return fault(jsonrpc::kInternalError, asked.error().message);
  const auto form = read_form(asked->questions, *response);
  if (!form) return fault(jsonrpc::kInvalidParams, "Invalid params: this is not an answer to an elicitation");
  if (!form->is_dismissed && !form->is_complete) return json::object();
  auto done = form->is_dismissed ? service.manager().questions().dismiss(task.id, "The person dismissed the question")
                                 : service.manager().questions().answer(task.id, form->answers);
  if (!done && done.error().code != ErrorCode::question_closed)
    return fault(jsonrpc::kInternalError, done.error().message);
  return json::object();
}

Reply answer_extension(Service& service, Request& request) {
  if (!request.caller.has_tasks())
    return missing_capability(fmt::format("{} needs the extension {}", request.method, kTasksExtension),
                              {{"extensions", json::object{{kTasksExtension, json::object()}}}});
  TRY(auto task, task_of(service, request));
  if (request.method == "tasks/cancel") return cancel(service, request, task);
  if (request.method == "tasks/update") {
    const auto* const responses = request.param("inputResponses");
    if (responses == nullptr || !responses->is_object())
      return fault(jsonrpc::kInvalidParams, "Invalid params: inputResponses must be an object");
    return update(service, task, responses->get_object());
  }
  told(service, request, task);
  return detailed_task(service, request.caller, task);
}

Reply list_legacy(const Service& service, const Request& request) {
  std::size_t from = 0;
  if (const auto* const cursor = request.param("cursor"); cursor != nullptr && !cursor->is_null()) {
    const std::string_view text = cursor->is_string() ? std::string_view(cursor->get_string()) : "";
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), from);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
      return fault(jsonrpc::kInvalidParams, "Invalid params: unknown cursor");
  }
  auto tasks = service.manager().list({.ended = true, .owner = service.owner_of(request.caller)});
  if (!tasks) return fault(jsonrpc::kInternalError, tasks.error().message);
  json::array page;
  for (std::size_t i = from; i < tasks->size() && page.size() < kPage; ++i) page.emplace_back(legacy_task((*tasks)[i]));
  json::object result{{"tasks", std::move(page)}};
  if (from + kPage < tasks->size()) result["nextCursor"] = fmt::to_string(from + kPage);
  return result;
}

// An open question of Perdure's that this caller can show to its user.
std::optional<std::vector<Question>> questions_for(const Service& service, const Request& request, const Task& task) {
  if (task.kind != Kind::question || is_terminal(task.status) || !can_be_asked(request)) return std::nullopt;
  auto asked = service.manager().questions().get(task.id);
  if (!asked || asked->questions.empty()) return std::nullopt;
  return std::move(asked->questions);
}

// Blocks until the task has ended. Meanwhile a legacy client is asked for input that the task needs.
Reply result_legacy(Service& service, Request& request, Task task) {
  if (const auto questions = questions_for(service, request, task)) {
    auto now = ask_by_form(service, request, *questions, task.id);
    if (!now) return fault(jsonrpc::kInternalError, now.error().message);
    task = std::move(*now);
  }
  if (!is_terminal(task.status)) {
    auto waited = service.manager().wait(
        {.ids = {task.id}, .cancel = Cancellation::when_readable(request.call.stop.fd()), .part_of_longer_wait = true});
    if (!waited) return fault(jsonrpc::kInternalError, waited.error().message);
    if (waited->ended.empty() && waited->unverified.empty()) return fault(jsonrpc::kInternalError, "cancelled");
    task = waited->only();
  }
  if (task.status == Status::lost) return fault(jsonrpc::kInternalError, outcome_sentence(task));
  auto result = result_of_ended(service, request.caller, task);
  if (!result) return fault(jsonrpc::kInternalError, result.error().message);
  told(service, request, task);
  json::object answer = call_result(service, *result, request.caller);
  answer["_meta"] = json::object{{kRelatedTaskKey, json::object{{"taskId", task.id.str()}}}};
  return answer;
}

std::optional<Reply> answer_legacy(Service& service, Request& request) {
  if (request.method == "tasks/list") return list_legacy(service, request);
  if (request.method != "tasks/get" && request.method != "tasks/result" && request.method != "tasks/cancel")
    return std::nullopt;
  TRY(auto task, task_of(service, request));
  if (request.method == "tasks/result") return result_legacy(service, request, std::move(task));
  if (request.method == "tasks/cancel") {
    if (is_terminal(task.status))
      return fault(jsonrpc::kInvalidParams, fmt::format("Invalid params: task {} has ended already", task.id.str()));
    return cancel(service, request, task);
  }
  told(service, request, task);
  json::object shown = legacy_task(task);
  if (questions_for(service, request, task)) shown["status"] = "input_required";
  return shown;
}

}  // namespace

json::object extension_task(const Task& task) {
  json::object shown{{"taskId", task.id.str()},
                     {"status", extension_status(task)},
                     {"statusMessage", outcome_sentence(task)},
                     {"createdAt", iso_time(ms_of(task.started_at))},
                     {"lastUpdatedAt", iso_last_update(task)},
                     {"ttlMs", nullptr}};
  if (!is_terminal(task.status)) shown["pollIntervalMs"] = poll_interval_ms(task);
  return shown;
}

Task as_created(Task task) {
  task.status = Status::running;
  task.ended_at.reset();
  return task;
}

json::object detailed_task(Service& service, const Caller& caller, const Task& task) {
  json::object shown = extension_task(task);
  const std::string_view status = extension_status(task);
  // Only a client that can show a form is asked for input.
  if (status == "working" && task.kind == Kind::question && caller.has("elicitation")) {
    if (const auto asked = service.manager().questions().get(task.id); asked && !asked->questions.empty()) {
      shown["status"] = "input_required";
      shown["inputRequests"] = json::object{
          {kAnswerKey, json::object{{"method", "elicitation/create"}, {"params", form_for(asked->questions, caller)}}}};
    }
  } else if (status == "completed") {
    auto result = result_of_ended(service, caller, task);
    if (result) {
      shown["result"] = call_result(service, *result, caller);
    } else {
      shown["result"] = call_result(service, tool_error(result.error()), caller);
    }
    shown["result"].get_object()["resultType"] = "complete";
  } else if (status == "failed") {
    shown["error"] = json::object{{"code", jsonrpc::kInternalError}, {"message", outcome_sentence(task)}};
  }
  return shown;
}

json::object legacy_task(const Task& task) {
  const std::string_view status =
      task.status == Status::failed || task.status == Status::timed_out ? "failed" : extension_status(task);
  json::object shown{{"taskId", task.id.str()},
                     {"status", status},
                     {"statusMessage", outcome_sentence(task)},
                     {"createdAt", iso_time(ms_of(task.started_at))},
                     {"lastUpdatedAt", iso_last_update(task)},
                     {"ttl", nullptr}};
  if (!is_terminal(task.status)) shown["pollInterval"] = poll_interval_ms(task);
  return shown;
}

std::optional<Reply> answer_task_method(Service& service, Request& request) {
  if (request.caller.era == Era::legacy)
    return request.caller.knows("2025-11-25") ? answer_legacy(service, request) : std::nullopt;
  if (request.method == "tasks/get" || request.method == "tasks/update" || request.method == "tasks/cancel")
    return answer_extension(service, request);
  return std::nullopt;
}

}  // namespace perdure::mcp
