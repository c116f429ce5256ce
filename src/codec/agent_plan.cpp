#include "codec/agent_plan.h"

#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "codec/ascii.h"
#include "codec/fields.h"
#include "codec/json.h"
#include "codec/record.h"

#include <array>
#include <utility>

namespace perdure::codec {
namespace {

constexpr std::array<std::pair<std::string_view, PermissionPolicy>, 3> kPolicies = {
    {{"allow", PermissionPolicy::allow}, {"deny", PermissionPolicy::deny}, {"ask", PermissionPolicy::ask}}};
constexpr std::int64_t kLongest = std::int64_t{1} << 53;

}  // namespace

std::string encode_plan(const AgentPlan& plan) {
  JsonObject json;
  const auto add_if = [&json](std::string_view key, const std::optional<std::string>& text) {
    if (text) json.add(key, *text);
  };
  json.add("format", 1)
      .add("agent", plan.agent)
      .add("command", JsonArray(plan.command).json())
      .add("cwd", plan.cwd)
      .add("prompt", plan.prompt);
  add_if("resume", plan.resume);
  add_if("mode", plan.mode);
  add_if("model", plan.model);
  add_if("auth", plan.auth);
  add_if("owner", plan.owner);
  json.add("permission", name_of(plan.permission))
      .add("permissionTimeoutMs", plan.permission_timeout.count())
      .add("thoughts", plan.thoughts);
  return json.str() + "\n";
}

Result<AgentPlan> decode_plan(std::string_view json) {
  TRY(const auto members, split_object(json));
  Fields fields(members);
  AgentPlan plan;
  plan.agent = fields.text("agent", Need::required).value_or("");
  if (const Member* const command = fields.find("command")) {
    if (auto words = strings_of(*command)) plan.command = std::move(*words);
  }
  if (plan.command.empty()) fields.refuse("command", "is not an array of strings");
  plan.cwd = fields.text("cwd", Need::required).value_or("");
  plan.prompt = fields.text("prompt", Need::required).value_or("");
  plan.resume = fields.text("resume", Need::optional);
  plan.mode = fields.text("mode", Need::optional);
  plan.model = fields.text("model", Need::optional);
  plan.auth = fields.text("auth", Need::optional);
  plan.owner = fields.text("owner", Need::optional);
  const std::string policy = fields.text("permission", Need::required).value_or("");
  bool known = false;
  for (const auto& [name, value] : kPolicies)
    if (name == policy) {
      plan.permission = value;
      known = true;
    }
  if (!known) fields.refuse("permission", "is not one of allow, deny, ask");
  plan.permission_timeout =
      std::chrono::milliseconds(fields.integer("permissionTimeoutMs", Need::required, 1, kLongest).value_or(1));
  plan.thoughts = fields.boolean("thoughts").value_or(false);
  if (!fields.problem().empty()) return fail(ErrorCode::record_invalid, fields.problem());
  return plan;
}

// Members without the braces: the runner puts them into the record unchanged.
std::string note_members(const AgentNote& note) {
  JsonObject json;
  if (!note.agent_id.empty()) json.add("agentId", note.agent_id);
  if (note.model) json.add("model", *note.model);
  if (note.stop_code) json.add("stopCode", *note.stop_code);
  if (!note.usage.empty()) {
    JsonObject usage;
    for (const auto& [name, count] : note.usage) usage.add(name, count);
    json.add("usage", usage.json());
  }
  const std::string whole = json.str();
  return in_ascii(std::string_view(whole).substr(1, whole.size() - 2));
}

}  // namespace perdure::codec
