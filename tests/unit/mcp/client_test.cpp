#include "mcp/protocol/client.h"

#include "mcp/service/tool.h"

#include <gtest/gtest.h>

namespace perdure::mcp {
namespace {

Caller named(std::string name) {
  return Caller{.name = std::move(name)};
}

TEST(Clients, EachIsKnownByTheStartOfItsName) {
  EXPECT_EQ(traits_of(named("claude-code")).tool_prefix, "mcp__perdure__");
  EXPECT_EQ(traits_of(named("qwen-cli-mcp-client-perdure")).tool_prefix, "mcp__perdure__");
  EXPECT_TRUE(traits_of(named("kimi-code")).text_only);
  EXPECT_EQ(traits_of(named("gemini-cli-mcp-client")).tool_prefix, "mcp_perdure_");
  EXPECT_EQ(traits_of(named("opencode")).tool_prefix, "perdure_");
  EXPECT_EQ(traits_of(named("codex-mcp-client")).tool_prefix, "");
  for (const auto* name : {"", "Claude", "test-client", "my-codex"}) EXPECT_FALSE(traits_of(named(name)).is_known);
}

TEST(Clients, EveryToolOfOursIsNamedAsTheClientDoesAndNothingElseIs) {
  const Caller gemini = named("gemini-cli-mcp-client");
  for (const Tool* tool : all_tools())
    EXPECT_EQ(with_tool_names(std::string("@") + std::string(tool->name) + ".", gemini),
              std::string("mcp_perdure_") + std::string(tool->name) + ".");
  EXPECT_EQ(with_tool_names("@TaskOutput, @WaitFor; a@b.c @1 @", gemini),
            "mcp_perdure_TaskOutput, mcp_perdure_WaitFor; a@b.c @1 @");
  EXPECT_EQ(with_tool_names("@Bash", named("other")), "Bash");
  EXPECT_EQ(with_tool_names("", gemini), "");
}

}  // namespace
}  // namespace perdure::mcp
