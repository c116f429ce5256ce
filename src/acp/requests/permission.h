#pragma once

#include "acp/protocol/connection.h"
#include "acp/record/activity.h"
#include "acp/requests/owner.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace perdure::acp {

struct PermissionOption {
  std::string id, name, kind;
  bool operator==(const PermissionOption&) const = default;
};

/// Absent if the agent offers no option of the kind: then the only answer is "cancelled". "Allow once" is preferred to
/// "allow always".
[[nodiscard]] std::optional<PermissionOption> choose(const std::vector<PermissionOption>& options, bool allow);

/// The user's choice or typed text; text that is not clearly a yes is a no.
[[nodiscard]] std::optional<PermissionOption> choose_as_said(const std::vector<PermissionOption>& options,
                                                             const std::vector<Choice>& offered, std::string_view said);

/// Distinct labels for at most four of the options, as a question needs them: two options may have the same name.
[[nodiscard]] std::vector<Choice> as_choices(const std::vector<PermissionOption>& options);

/// The content of a tool call besides its title and input: text, changes of files as lines with + and -, paths. "" for
/// none.
[[nodiscard]] std::string content_text(const json::array& content);
[[nodiscard]] std::string location_text(const json::array& locations);

/// Answers session/request_permission. Thread-safe.
class Permissions {
 public:
  Permissions(const Owner& owner, Activity& activity) : owner_(owner), activity_(activity) {}

  /// A tool call as known from its updates: a permission request may contain its id only.
  void note_tool_call(const json::object& update);
  [[nodiscard]] Handler::Answer decide(const json::object& params, const jsonrpc::Call& call);

 private:
  struct ToolCall {
    std::string title, kind, input, content, locations;
  };
  [[nodiscard]] ToolCall about(const json::object& params);
  [[nodiscard]] std::optional<PermissionOption> ask(const ToolCall& tool, const std::vector<PermissionOption>& options,
                                                    const jsonrpc::Call& call, std::string& decided_by);

  const Owner& owner_;
  Activity& activity_;
  std::mutex mutex_;
  std::map<std::string, ToolCall> calls_;
};

}  // namespace perdure::acp
