#include "acp/requests/permission.h"

#include "acp/protocol/fields.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace perdure::acp {
namespace {

constexpr std::size_t kMostChoices = 4, kMostCalls = 1'000, kMostTitle = 300;
constexpr std::size_t kMostShown = 16 << 10;  // of a question's text, so that a terminal and a form can show it
constexpr std::size_t kMostLocations = 100;

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

// The first option of each kind before others of the same kind, so that a refusal is among the ones shown.
std::vector<PermissionOption> most_telling(std::vector<PermissionOption> options) {
  if (options.size() <= kMostChoices) return options;
  std::vector<PermissionOption> chosen;
  for (const auto& option : options)
    if (of_kind(chosen, option.kind) == nullptr && chosen.size() < kMostChoices) chosen.push_back(option);
  for (const auto& option : options)
    if (std::ranges::find(chosen, option) == chosen.end() && chosen.size() < kMostChoices) chosen.push_back(option);
  return chosen;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Only the changed lines, without those before and after that both texts share.
std::string change_text(const std::string& path, std::string_view before, std::string_view after) {
  const auto old_lines = split_lines(before), new_lines = split_lines(after);
  const std::size_t shorter = std::min(old_lines.size(), new_lines.size());
  std::size_t head = 0, tail = 0;
  while (head < shorter && old_lines[head] == new_lines[head]) ++head;
  while (tail < shorter - head && old_lines[old_lines.size() - 1 - tail] == new_lines[new_lines.size() - 1 - tail])
    ++tail;
  std::string text = fmt::format("{}, from line {}:\n", path, head + 1);
  for (std::size_t i = head; i < old_lines.size() - tail; ++i) text += fmt::format("- {}\n", old_lines[i]);
  for (std::size_t i = head; i < new_lines.size() - tail; ++i) text += fmt::format("+ {}\n", new_lines[i]);
  return text;
}

// Says that text was cut: the user approves what is shown.
std::string cut_openly(std::string_view text, std::size_t most) {
  std::string plain = to_plain_text(text, true);
  while (plain.ends_with('\n')) plain.pop_back();
  if (plain.size() <= most) return plain;
  const std::size_t cut = plain.size() - most;
  plain.resize(most);
  plain.resize(most - incomplete_suffix(plain));
  return plain + fmt::format("\n[AND {} MORE BYTES THAT ARE NOT SHOWN HERE]", cut);
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

std::string content_text(const json::array& content) {
  std::string text;
  for (const auto& item : content) {
    if (!item.is_object()) continue;
    const auto& object = item.get_object();
    const std::string type = text_in(object, "type");
    if (type == "diff") {
      text += change_text(text_in(object, "path"), text_in(object, "oldText"), text_in(object, "newText"));
    } else if (const auto* const block = object_in(object, "content"); block != nullptr) {
      std::string words = text_in(*block, "text");
      if (words.empty()) {
        if (const auto* const resource = object_in(*block, "resource"); resource != nullptr)
          words = text_in(*resource, "text");
      }
      if (words.empty()) words = text_in(*block, "uri");
      if (words.empty()) words = fmt::format("[{}]", text_in(*block, "type"));
      text += words + (words.ends_with('\n') ? "" : "\n");
    }
  }
  return text;
}

std::string location_text(const json::array& locations) {
  std::string text;
  std::size_t count = 0;
  for (const auto& item : locations) {
    if (!item.is_object()) continue;
    const std::string path = text_in(item.get_object(), "path");
    if (path.empty()) continue;
    if (++count > kMostLocations) break;
    const auto* const line = item.get_object().if_contains("line");
    text += fmt::format("{}{}{}\n", count == 1 ? "in " : "and ", path,
                        line != nullptr && line->is_int64() ? fmt::format(":{}", line->get_int64()) : "");
  }
  return text;
}

void Permissions::note_tool_call(const json::object& update) {
  const std::string id = text_in(update, "toolCallId");
  const std::lock_guard lock(mutex_);
  if (calls_.size() >= kMostCalls) calls_.erase(calls_.begin());
  ToolCall& call = calls_[id];
  if (auto title = text_in(update, "title"); !title.empty()) call.title = std::move(title);
  if (auto kind = text_in(update, "kind"); !kind.empty()) call.kind = std::move(kind);
  // Agents put the command, a change or the paths into different members (kimi: into the content only).
  if (const auto* const content = array_in(update, "content"); content != nullptr && !content->empty())
    call.content = content_text(*content);
  if (const auto* const locations = array_in(update, "locations"); locations != nullptr && !locations->empty())
    call.locations = location_text(*locations);
  const auto* const input = update.if_contains("rawInput");
  if (input == nullptr || input->is_null()) return;
  call.input = input->is_string() ? std::string(input->get_string()) : json::serialize(*input);
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
  std::string details;
  for (const std::string* part : {&tool.input, &tool.content, &tool.locations})
    if (!part->empty() && !title.contains(*part) && !details.contains(*part)) details += "\n" + *part;
  Question question{.text = fmt::format("{} asks for permission: {}{}{}", owner_.agent(), title,
                                        tool.kind.empty() ? "" : " (" + tool.kind + ")",
                                        details.empty() ? "" : cut_openly(details, kMostShown)),
                    .header = "Permission",
                    .options = as_choices(options)};
  // A question with a single option takes free text, which means yes or no.
  if (question.options.size() < 2) question.options.clear();
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
  // Withdrawn by another process's stop, or never asked: the turn continues, so the request is refused.
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
