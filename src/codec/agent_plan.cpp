#include "codec/agent_plan.h"

#include "base/error.h"
#include "codec/ascii.h"
#include "codec/fields.h"
#include "codec/json.h"
#include "codec/record.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace perdure::codec {
namespace {

constexpr std::array<std::pair<std::string_view, PermissionPolicy>, 3> kPolicies = {
    {{"allow", PermissionPolicy::allow}, {"deny", PermissionPolicy::deny}, {"ask", PermissionPolicy::ask}}};
constexpr std::int64_t kLongest = std::int64_t{1} << 53;

void add(std::string& json, std::string_view key, const std::string& value) {
  json += fmt::format("{}\"{}\":{}", json.empty() ? "" : ",", key, value);
}

void add_text(std::string& json, std::string_view key, const std::optional<std::string>& text) {
  if (text) add(json, key, json_quoted(*text));
}

std::string list_of(const std::vector<std::string>& words) {
  std::string json;
  for (const auto& word : words) json += (json.empty() ? "" : ",") + json_quoted(word);
  return "[" + json + "]";
}

std::string counts_of(const std::map<std::string, std::int64_t>& counts) {
  std::string json;
  for (const auto& [name, count] : counts) add(json, escape(name), fmt::to_string(count));
  return "{" + json + "}";
}

}  // namespace

std::string encode_plan(const AgentPlan& plan) {
  std::string json;
  add(json, "format", "1");
  add(json, "agent", json_quoted(plan.agent));
  add(json, "command", list_of(plan.command));
  add(json, "cwd", json_quoted(plan.cwd));
  add(json, "prompt", json_quoted(plan.prompt));
  add_text(json, "resume", plan.resume);
  add_text(json, "mode", plan.mode);
  add_text(json, "model", plan.model);
  add_text(json, "auth", plan.auth);
  add_text(json, "owner", plan.owner);
  add(json, "permission", json_quoted(name_of(plan.permission)));
  add(json, "permissionTimeoutMs", fmt::to_string(plan.permission_timeout.count()));
  add(json, "thoughts", plan.thoughts ? "true" : "false");
  return "{" + json + "}\n";
}

Result<AgentPlan> decode_plan(std::string_view json) {
  const auto members = split_object(json);
  if (!members) return std::unexpected(members.error());
  Fields fields(*members);
  AgentPlan plan;
  plan.agent = fields.text("agent", Need::required).value_or("");
  if (const Member* const command = fields.find("command")) {
    if (auto words = strings_of(*command)) plan.command = std::move(*words);
  }
  if (plan.command.empty()) fields.refuse("command", "is no array of texts");
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
  if (!known) fields.refuse("permission", "is none of allow, deny, ask");
  plan.permission_timeout =
      std::chrono::milliseconds(fields.integer("permissionTimeoutMs", Need::required, 1, kLongest).value_or(1));
  plan.thoughts = fields.boolean("thoughts").value_or(false);
  if (!fields.problem().empty()) return fail(ErrorCode::record_invalid, fields.problem());
  return plan;
}

std::string note_members(const AgentNote& note) {
  std::string json;
  if (!note.agent_id.empty()) add(json, "agentId", json_quoted(note.agent_id));
  add_text(json, "model", note.model);
  add_text(json, "stopCode", note.stop_code);
  if (!note.usage.empty()) add(json, "usage", counts_of(note.usage));
  return in_ascii(json);
}

}  // namespace perdure::codec
