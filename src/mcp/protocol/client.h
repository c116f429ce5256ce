#pragma once

#include "mcp/protocol/protocol.h"

#include <cstdint>
#include <string>
#include <string_view>

// Known clients: how they name Perdure's tools, which form of a result they show a model, and how much of it. Each row
// was measured with the real client (docs/reference/mcp.md, "Clients").
namespace perdure::mcp {

struct ClientTraits {
  std::string_view name_prefix;  ///< of clientInfo.name
  std::string_view tool_prefix;  ///< before the name of a tool, as the model has to call it
  std::int64_t inline_bytes;     ///< of output in one answer, which the client then shows completely
  bool is_known = true;          ///< false: the row for all other clients
  bool text_only = false;        ///< shows both forms, or the text alone: structured content would only use tokens
  /// TaskList as text although other results are structured: a line for each task is shorter.
  bool list_as_text = false;
  bool shows_instructions = true;
  bool has_own_task_tools = false;  ///< tools of its own have the same names as Perdure's (review A5)
  bool defers_tools = false;        ///< shows names only, unless a tool says otherwise in its _meta
};

/// A hint for clients whose own tools or ids look like Perdure's.
inline constexpr std::string_view kWhoseIds =
    "Ids such as bash-1a2b3c4d are Perdure's: only the tools of the server perdure (@TaskOutput, @TaskList, @TaskStop, "
    "@WaitFor) know them; built-in tools of the same names do not.";

[[nodiscard]] const ClientTraits& traits_of(const Caller& caller);

/// Replaces "@Bash", "@TaskOutput" and so on by the name that this client's model has to use. Only for Perdure's texts:
/// output of a command must never be passed through this.
[[nodiscard]] std::string with_tool_names(std::string_view text, const ClientTraits& client);
[[nodiscard]] std::string with_tool_names(std::string_view text, const Caller& caller);

}  // namespace perdure::mcp
