#pragma once

#include "mcp/protocol/protocol.h"

#include <cstdint>
#include <string>
#include <string_view>

// What is known of single clients: how they name our tools, which form of a result they show a model, how much of it.
// Each row was measured with the real client (docs/reference/mcp.md, "Clients").
namespace perdure::mcp {

struct ClientTraits {
  std::string_view name_prefix;  ///< of clientInfo.name
  std::string_view tool_prefix;  ///< before the name of a tool, as the model has to call it
  std::int64_t inline_bytes;     ///< of output in one answer, which is then shown whole
  bool is_known = true;          ///< false: the row for all others
  bool text_only = false;        ///< shows both forms, or the text alone: structured content would only cost
  bool list_as_text = false;     ///< TaskList as text although other results are structured: a line a task is shorter
  bool shows_instructions = true;
  bool has_own_task_tools = false;  ///< tools of the client's own have names of ours (review A5)
  bool defers_tools = false;        ///< shows names only, unless a tool says otherwise in its _meta
};

/// Said to clients whose own tools or ids look like ours.
inline constexpr std::string_view kWhoseIds =
    "Ids such as bash-1a2b3c4d are Perdure's: only the tools of the server perdure (@TaskOutput, @TaskList, @TaskStop, "
    "@WaitFor) know them; built-in tools of the same names do not.";

[[nodiscard]] const ClientTraits& traits_of(const Caller& caller);

/// Replaces "@Bash", "@TaskOutput" and so on by the name that this client's model has to use. For our own words only:
/// what a command printed must never be put through this.
[[nodiscard]] std::string with_tool_names(std::string_view text, const ClientTraits& client);
[[nodiscard]] std::string with_tool_names(std::string_view text, const Caller& caller);

}  // namespace perdure::mcp
