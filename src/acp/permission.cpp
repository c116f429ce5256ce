#include "acp/permission.h"

#include "acp/fields.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace perdure::acp {
namespace {

constexpr std::size_t kMostChoices = 4, kMostCalls = 1'000, kMostInput = 600, kMostTitle = 300;

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

const PermissionOption* of_kind(const std::vector<PermissionOption>& options, std::string_view kind) {
  const auto found = std::ranges::find(options, kind, &PermissionOption::kind);
  return found == options.end() ? nullptr : &*found;
}

std::vector<PermissionOption> options_in(const json::object& params) {
  std::vector<PermissionOption> options;
  const auto* const given = params.if_contains("options");
  if (given == nullptr || !given->is_array()) return options;
  for (const auto& option : given->get_array())
    if (option.is_object())
      options.push_back({text_in(option.get_object(), "optionId"), text_in(option.get_object(), "name"),
                         text_in(option.get_object(), "kind")});
  return options;
}

// The first of each kind before others of the same, so that a no is among those that are shown.
std::vector<PermissionOption> most_telling(std::vector<PermissionOption> options) {
  if (options.size() <= kMostChoices) return options;
  std::vector<PermissionOption> chosen;
  for (const auto& option : options)
    if (of_kind(chosen, option.kind) == nullptr && chosen.size() < kMostChoices) chosen.push_back(option);
  for (const auto& option : options)
    if (std::ranges::find(chosen, option) == chosen.end() && chosen.size() < kMostChoices) chosen.push_back(option);
  return chosen;
}

json::object outcome_of(const std::optional<PermissionOption>& chosen) {
  json::object outcome{{"outcome", chosen ? "selected" : "cancelled"}};
  if (chosen) outcome["optionId"] = chosen->id;
  return {{"outcome", std::move(outcome)}};
}

}  // namespace

std::optional<PermissionOption> choose(const std::vector<PermissionOption>& options, bool allow) {
  constexpr std::array<std::string_view, 2> kYes = {"allow_once", "allow_always"};
  constexpr std::array<std::string_view, 2> kNo = {"reject_once", "reject_always"};
  for (const auto kind : allow ? kYes : kNo)
    if (const auto* const option = of_kind(options, kind)) return *option;
  return std::nullopt;
}

std::vector<Choice> as_choices(const std::vector<PermissionOption>& options) {
  std::vector<Choice> choices;
  for (const auto& option : most_telling(options)) {
    const std::string name = option.name.empty() ? option.kind : to_plain_text(option.name, false);
    std::string label = name;
    const auto is_taken = [&] { return std::ranges::find(choices, label, &Choice::label) != choices.end(); };
    if (is_taken()) label = fmt::format("{} ({})", name, option.kind);
    for (int n = 2; is_taken(); ++n) label = fmt::format("{} ({} {})", name, option.kind, n);
    choices.push_back({.label = label, .description = option.kind});
  }
  return choices;
}

std::optional<PermissionOption> choose_as_said(const std::vector<PermissionOption>& options,
                                               const std::vector<Choice>& offered, std::string_view said) {
  const auto shown = most_telling(options);
  for (std::size_t i = 0; i < offered.size() && i < shown.size(); ++i)
    if (offered[i].label == said) return shown[i];
  const std::string word = lower(said);
  for (const auto& option : options)
    if (word == lower(option.name) || word == option.kind || word == lower(option.id)) return option;
  constexpr std::array<std::string_view, 5> kYes = {"y", "yes", "ok", "allow", "approve"};
  return choose(options, std::ranges::find(kYes, word) != kYes.end());
}

void Permissions::note_tool_call(const json::object& update) {
  const std::string id = text_in(update, "toolCallId");
  const std::lock_guard lock(mutex_);
  if (calls_.size() >= kMostCalls) calls_.erase(calls_.begin());
  ToolCall& call = calls_[id];
  if (auto title = text_in(update, "title"); !title.empty()) call.title = std::move(title);
  if (auto kind = text_in(update, "kind"); !kind.empty()) call.kind = std::move(kind);
  const auto* const input = update.if_contains("rawInput");
  if (input == nullptr || input->is_null()) return;
  const json::value brief = shortened(*input, kMostInput);
  call.input = brief.is_string() ? std::string(brief.get_string()) : json::serialize(brief);
}

Permissions::ToolCall Permissions::about(const json::object& params) {
  const auto* const given = params.if_contains("toolCall");
  if (given == nullptr || !given->is_object()) return {};
  note_tool_call(given->get_object());
  const std::lock_guard lock(mutex_);
  return calls_[text_in(given->get_object(), "toolCallId")];
}

std::optional<PermissionOption> Permissions::ask(const ToolCall& tool, const std::vector<PermissionOption>& options,
                                                 const jsonrpc::Call& call, std::string& decided_by) {
  std::string title = to_plain_text(tool.title.empty() ? "use a tool" : tool.title, false);
  if (title.size() > kMostTitle)
    title.resize(kMostTitle - incomplete_suffix(std::string_view(title).substr(0, kMostTitle)));
  Question question{.text = fmt::format("{} asks for permission: {}{}{}", owner_.agent(), title,
                                        tool.kind.empty() ? "" : " (" + tool.kind + ")",
                                        tool.input.empty() ? "" : "\n" + to_plain_text(tool.input, true)),
                    .header = "Permission",
                    .options = as_choices(options)};
  if (question.options.size() < 2) question.options.clear();  // one alone is no choice; own words are a yes or a no
  const auto reply = owner_.ask({question}, call);
  decided_by = reply.question.empty() ? "nobody: the question could not be asked" : reply.question;
  switch (reply.how) {
    case Owner::Reply::How::answered:
      return choose_as_said(options, question.options,
                            reply.answer.answers.empty() ? "" : reply.answer.answers.begin()->second);
    case Owner::Reply::How::dismissed:
    case Owner::Reply::How::expired: return choose(options, false);
    case Owner::Reply::How::withdrawn: break;
  }
  // Withdrawn by somebody else's stop, or never asked: the turn goes on, so that is a no.
  return call.stop.is_raised() ? std::nullopt : choose(options, false);
}

Handler::Answer Permissions::decide(const json::object& params, const jsonrpc::Call& call) {
  const auto options = options_in(params);
  const ToolCall tool = about(params);
  std::optional<PermissionOption> chosen;
  std::string decided_by = "policy";
  if (call.stop.is_raised()) {
    decided_by = "cancel";
  } else if (owner_.policy() == PermissionPolicy::ask) {
    chosen = ask(tool, options, call, decided_by);
  } else {
    chosen = choose(options, owner_.policy() == PermissionPolicy::allow);
  }
  if (call.stop.is_raised()) chosen.reset();
  json::array offered;
  for (const auto& option : options) offered.push_back(json::value(option.kind));
  json::object entry{
      {"title", tool.title}, {"options", std::move(offered)}, {"outcome", chosen ? chosen->kind : "cancelled"}};
  entry["decided_by"] = decided_by;
  activity_.add("permission", std::move(entry));
  return outcome_of(chosen);
}

}  // namespace perdure::acp
