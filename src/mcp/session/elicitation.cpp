#include "mcp/session/elicitation.h"

#include "base/clock.h"
#include "mcp/session/server.h"

#include <fmt/format.h>

#include <charconv>

namespace perdure::mcp {
namespace {

// The user may be away for long; the call must not be blocked for ever. The question stays open.
constexpr std::chrono::minutes kPatience{10};

constexpr std::chrono::milliseconds kNobodyReadsFaster{1000};

constexpr std::string_view kSinceLists = "2025-11-25";

std::string choice_field(std::size_t index) {
  return fmt::format("answer_{}", index + 1);
}
std::string own_field(std::size_t index) {
  return fmt::format("own_words_{}", index + 1);
}

std::string meanings(const Question& question) {
  std::string text;
  for (const auto& option : question.options)
    if (!option.description.empty())
      text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", option.label, option.description);
  return text;
}

json::object choice_schema(const Question& question, const Caller& caller) {
  json::array labels;
  for (const auto& option : question.options) labels.emplace_back(option.label);
  json::object schema{{"title", question.header.empty() ? question.text : question.header}};
  std::string description = question.text;
  if (const std::string more = meanings(question); !more.empty()) description += fmt::format(" ({})", more);
  if (question.multi_select && caller.knows(kSinceLists)) {
    schema["type"] = "array";
    schema["items"] = json::object{{"type", "string"}, {"enum", labels}};
  } else if (question.multi_select) {
    schema["type"] = "string";
    description += ", several with commas between them";
  } else {
    schema["type"] = "string";
    schema["enum"] = std::move(labels);
  }
  schema["description"] = description;
  return schema;
}

std::string text_of(const json::value* value) {
  if (value == nullptr) return "";
  if (value->is_string()) return std::string(value->get_string());
  std::string text;
  if (value->is_array())
    for (const auto& item : value->get_array())
      if (item.is_string()) text += fmt::format("{}{}", text.empty() ? "" : ", ", std::string_view(item.get_string()));
  return text;
}

}  // namespace

json::object form_for(const std::vector<Question>& questions, const Caller& caller) {
  json::object properties;
  std::string message;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    message += fmt::format("{}{}", i == 0 ? "" : "\n", questions[i].text);
    if (!questions[i].options.empty()) properties[choice_field(i)] = choice_schema(questions[i], caller);
    properties[own_field(i)] =
        json::object{{"type", "string"},
                     {"title", "In your own words"},
                     {"description", questions[i].options.empty() ? questions[i].text : "Instead of a choice above"}};
  }
  return {{"message", std::move(message)},
          {"requestedSchema", json::object{{"type", "object"}, {"properties", std::move(properties)}}}};
}

std::optional<FormAnswer> read_form(const std::vector<Question>& questions, const json::value& response) {
  const auto* const object = response.if_object();
  const auto* const action = object == nullptr ? nullptr : object->if_contains("action");
  if (action == nullptr || !action->is_string()) return std::nullopt;
  FormAnswer answer;
  if (action->get_string() != "accept") {
    answer.is_dismissed = true;
    return answer;
  }
  const auto* const content = object->if_contains("content");
  if (content == nullptr || !content->is_object()) return answer;
  const auto& fields = content->get_object();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    std::string text = text_of(fields.if_contains(own_field(i)));
    if (text.find_first_not_of(" \t\n") == std::string::npos) text = text_of(fields.if_contains(choice_field(i)));
    if (!text.empty()) answer.answers[questions[i].text] = std::move(text);
  }
  answer.is_complete = answer.answers.size() == questions.size();
  return answer;
}

std::string dismissal_note(std::optional<std::int64_t> after_ms) {
  if (!after_ms || *after_ms >= kNobodyReadsFaster.count()) return "The person dismissed the question";
  return fmt::format(
      "The client declined the form by itself after {} ms; the person has probably not seen the question. Ask in your "
      "answer, or with background=true",
      *after_ms);
}

std::string asked_now() {
  return fmt::format("asked:{}", now_ms());
}

std::optional<std::int64_t> asked_ago_ms(const Request& request) {
  constexpr std::string_view kAsked = "asked:";
  const auto* const state = request.param("requestState");
  if (state == nullptr || !state->is_string()) return std::nullopt;
  std::string_view text = state->get_string();
  if (!text.starts_with(kAsked)) return std::nullopt;
  text.remove_prefix(kAsked.size());
  std::int64_t then = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), then);
  if (error != std::errc() || end != text.data() + text.size() || then > now_ms()) return std::nullopt;
  return now_ms() - then;
}

bool can_be_asked(const Request& request) {
  return request.caller.era == Era::legacy && request.conversation != nullptr && request.caller.has("elicitation");
}

Result<Task> ask_by_form(Service& service, Request& request, const std::vector<Question>& questions, const TaskId& id) {
  json::object params = form_for(questions, request.caller);
  if (request.method == "tasks/result")
    params["_meta"] = json::object{{kRelatedTaskKey, json::object{{"taskId", id.str()}}}};
  const std::int64_t asked = steady_ms();
  const auto response = request.conversation->asks.ask(request.outlet, "elicitation/create", std::move(params),
                                                       request.call.stop, kPatience);
  const auto form = response ? read_form(questions, *response) : std::nullopt;
  Result<Task> done = service.manager().get(id);
  if (!form || !done || is_terminal(done->status)) return done;
  if (form->is_complete) done = service.manager().questions().answer(id, form->answers);
  if (form->is_dismissed) done = service.manager().questions().dismiss(id, dismissal_note(steady_ms() - asked));
  if (!done && done.error().code == ErrorCode::question_closed) return service.manager().get(id);
  return done;
}

}  // namespace perdure::mcp
