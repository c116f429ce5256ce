#include "codec/agent_plan.h"

#include <gtest/gtest.h>

namespace perdure::codec {
namespace {

AgentPlan plan() {
  AgentPlan plan;
  plan.agent = "mock";
  plan.command = {"/usr/bin/env", "a b", "\"quoted\"\n"};
  plan.cwd = "/work";
  plan.prompt = "do it\n\xE2\x82\xAC";
  plan.resume = "sess_1";
  plan.model = "big";
  plan.owner = "me";
  plan.permission = PermissionPolicy::deny;
  plan.permission_timeout = std::chrono::seconds(5);
  plan.thoughts = true;
  return plan;
}

TEST(AgentPlan, WhatIsWrittenIsRead) {
  const auto read = decode_plan(encode_plan(plan()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->command, plan().command);
  EXPECT_EQ(read->prompt, plan().prompt);
  EXPECT_EQ(read->resume, plan().resume);
  EXPECT_EQ(read->mode, std::nullopt);
  EXPECT_EQ(read->permission, PermissionPolicy::deny);
  EXPECT_EQ(read->permission_timeout, std::chrono::seconds(5));
  EXPECT_TRUE(read->thoughts);
}

TEST(AgentPlan, WhatIsNoneIsRefusedNamingTheKey) {
  for (const auto& [json, key] : std::vector<std::pair<std::string, std::string>>{
           {"[]", ""},
           {"{}", "agent"},
           {R"({"agent":"a","command":[],"cwd":"/","prompt":"x","permission":"ask","permissionTimeoutMs":1})",
            "command"},
           {R"({"agent":"a","command":["a"],"cwd":"/","prompt":"x","permission":"maybe","permissionTimeoutMs":1})",
            "permission"},
           {R"({"agent":"a","command":["a"],"cwd":"/","prompt":"x","permission":"ask","permissionTimeoutMs":0})",
            "permissionTimeoutMs"}}) {
    const auto read = decode_plan(json);
    ASSERT_FALSE(read) << json;
    EXPECT_EQ(read.error().code, ErrorCode::record_invalid);
    EXPECT_NE(read.error().message.find(key), std::string::npos) << read.error().message;
  }
}

TEST(NoteMembers, AreAsciiAndBeginWithTheId) {
  const AgentNote note{
      .agent_id = "\xE2\x82\xAC\"", .model = "m", .stop_code = "refusal", .usage = {{"totalTokens", 30}}};
  EXPECT_EQ(note_members(note), R"("agentId":"\u20ac\"","model":"m","stopCode":"refusal","usage":{"totalTokens":30})");
  EXPECT_EQ(note_members({}), "");
}

}  // namespace
}  // namespace perdure::codec
