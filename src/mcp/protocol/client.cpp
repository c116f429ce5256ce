#include "mcp/protocol/client.h"

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

constexpr std::int64_t kInline = 32'768;

constexpr std::array<ClientTraits, 6> kClients = {{
    // Structured content replaces the text; what is longer than some 25,000 tokens goes to a file.
    {.name_prefix = "claude",
     .tool_prefix = "mcp__perdure__",
     .inline_bytes = 20'000,
     .list_as_text = true,
     .has_own_task_tools = true,
     .defers_tools = true},
    // JSON only, its middle cut at 12,000 characters; line ends are two characters there.
    {.name_prefix = "codex", .tool_prefix = "", .inline_bytes = 9'000, .list_as_text = true},
    // The text; with isError both forms, escaped.
    {.name_prefix = "gemini", .tool_prefix = "mcp_perdure_", .inline_bytes = kInline, .text_only = true},
    {.name_prefix = "opencode", .tool_prefix = "perdure_", .inline_bytes = kInline, .text_only = true},
    // Both, JSON first. Above its limit it saves the result and shows the first 2.6 KB.
    {.name_prefix = "qwen", .tool_prefix = "mcp__perdure__", .inline_bytes = 20'000, .text_only = true},
    // Both, text first, 36,964 characters at most; instructions in 0 of 20 requests.
    {.name_prefix = "kimi",
     .tool_prefix = "mcp__perdure__",
     .inline_bytes = kInline,
     .text_only = true,
     .shows_instructions = false,
     .has_own_task_tools = true},
}};
constexpr ClientTraits kOther{.name_prefix = "", .tool_prefix = "", .inline_bytes = kInline, .is_known = false};

constexpr std::array<std::string_view, 9> kToolNames = {
    "Bash", "Agent", "TaskList", "TaskOutput", "TaskStop", "WaitFor", "TaskDetach", "TaskWrite", "AskUserQuestion"};

}  // namespace

const ClientTraits& traits_of(const Caller& caller) {
  const auto found =
      std::ranges::find_if(kClients, [&](const ClientTraits& one) { return caller.name.starts_with(one.name_prefix); });
  return found == kClients.end() ? kOther : *found;
}

std::string with_tool_names(std::string_view text, const ClientTraits& client) {
  std::string out;
  while (true) {
    const auto at = text.find('@');
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
    const auto named = std::ranges::find_if(kToolNames, [&](std::string_view name) { return text.starts_with(name); });
    out += named == kToolNames.end() ? std::string_view("@") : client.tool_prefix;
  }
}

std::string with_tool_names(std::string_view text, const Caller& caller) {
  return with_tool_names(text, traits_of(caller));
}

}  // namespace perdure::mcp
