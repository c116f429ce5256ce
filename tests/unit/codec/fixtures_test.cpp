// Every record that real builds wrote, read as docs/internals/disk-format.md says, checked against what the raw JSON says.

#include "base/clock.h"
#include "codec/record.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace perdure::codec {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> records() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(PERDURE_TESTS_DIR "/fixtures/kimi-code"))
    if (entry.path().extension() == ".json") found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

std::optional<std::string> text_in(const json::object& raw, std::string_view key) {
  const auto* const value = raw.if_contains(key);
  return value == nullptr || !value->is_string() ? std::nullopt : std::optional(std::string(value->as_string()));
}
std::optional<std::int64_t> number_in(const json::object& raw, std::string_view key) {
  const auto* const value = raw.if_contains(key);
  return value == nullptr || !value->is_int64() ? std::nullopt : std::optional(value->as_int64());
}

void expect_current(const Task& task, const json::object& raw) {
  EXPECT_EQ(task.found.shape, Shape::current);
  EXPECT_EQ(task.id.str(), raw.at("taskId").as_string());
  EXPECT_EQ(task.kind_name, raw.at("kind").as_string());
  EXPECT_EQ(name_of(task.status), raw.at("status").as_string());
  EXPECT_EQ(task.description, raw.at("description").as_string());
  EXPECT_EQ(ms_of(task.started_at), raw.at("startedAt").as_int64());
  EXPECT_EQ(ms_of(task.ended_at), number_in(raw, "endedAt"));
  EXPECT_EQ(task.detached, !raw.contains("detached") || raw.at("detached").as_bool());
  EXPECT_EQ(task.stop_reason, text_in(raw, "stopReason"));
  EXPECT_EQ(task.limits.timeout_ms, number_in(raw, "timeoutMs"));
  EXPECT_EQ(task.origin.parent_tool_call_id, text_in(raw, "parentToolCallId"));
  EXPECT_EQ(task.notification.suppressed.value_or(false), raw.contains("terminalNotificationSuppressed"));
  EXPECT_EQ(task.notification.resume_reminded.value_or(false), raw.contains("resumeReminded"));
  if (task.kind == Kind::process) {
    EXPECT_EQ(task.process.command, raw.at("command").as_string());
    EXPECT_EQ(task.process.pid, raw.at("pid").as_int64());
    EXPECT_EQ(task.process.exit_code.has_value(), number_in(raw, "exitCode").has_value());
    if (task.process.exit_code) {
      EXPECT_EQ(*task.process.exit_code, *number_in(raw, "exitCode"));
    }
  }
  if (task.kind == Kind::agent) {
    EXPECT_EQ(task.agent.id ? std::optional(task.agent.id->text) : std::nullopt, text_in(raw, "agentId"));
    EXPECT_EQ(task.agent.type, text_in(raw, "subagentType"));
    EXPECT_EQ(task.agent.model, text_in(raw, "model"));
    EXPECT_EQ(task.agent.thinking_effort, text_in(raw, "thinkingEffort"));
    EXPECT_EQ(task.agent.stop_code, text_in(raw, "stopCode"));
  }
  if (task.kind == Kind::question) {
    EXPECT_EQ(task.question.count, number_in(raw, "questionCount"));
    EXPECT_EQ(task.question.tool_call_id, text_in(raw, "toolCallId"));
  }
}

void expect_legacy(const Task& task, const json::object& raw) {
  EXPECT_EQ(task.found.shape, Shape::legacy);
  EXPECT_EQ(task.id.str(), raw.at("task_id").as_string());
  const bool agent = task.id.str().starts_with("agent-");
  EXPECT_EQ(task.kind, agent ? Kind::agent : Kind::process);
  EXPECT_EQ(task.description, raw.at("description").as_string());
  EXPECT_TRUE(task.detached);
  EXPECT_EQ(ms_of(task.started_at), raw.at("started_at").as_int64());
  EXPECT_EQ(ms_of(task.ended_at), number_in(raw, "ended_at"));
  EXPECT_EQ(task.stop_reason, text_in(raw, "stop_reason"));
  std::string status(raw.at("status").as_string());
  if (status == "awaiting_approval") status = "running";
  if (status == "failed" && raw.contains("timed_out") && raw.at("timed_out").as_bool()) status = "timed_out";
  EXPECT_EQ(name_of(task.status), status);
  if (agent) {
    EXPECT_EQ(task.agent.id ? std::optional(task.agent.id->text) : std::nullopt, text_in(raw, "agent_id"));
    EXPECT_EQ(task.agent.type, text_in(raw, "subagent_type"));
    EXPECT_FALSE(task.process.exit_code);
  } else {
    EXPECT_EQ(task.process.command, raw.at("command").as_string());
    EXPECT_EQ(task.process.pid, raw.at("pid").as_int64());
    EXPECT_EQ(task.process.exit_code.has_value(), number_in(raw, "exit_code").has_value());
  }
}

TEST(KimiCodeFixtures, L21_EveryRecordReadsAsItsTextSays) {
  const auto paths = records();
  ASSERT_GE(paths.size(), 70U);
  for (const auto& path : paths) {
    SCOPED_TRACE(path.string());
    const std::string text = contents(path);
    const auto task = decode(text, path.stem().string());
    ASSERT_TRUE(task) << task.error().message;
    const json::object raw = json::parse(text).as_object();
    raw.contains("taskId") ? expect_current(*task, raw) : expect_legacy(*task, raw);
  }
}

TEST(KimiCodeFixtures, L19_NothingIsLostWhenARecordIsWrittenAgain) {
  for (const auto& path : records()) {
    SCOPED_TRACE(path.string());
    const std::string text = contents(path);
    const auto task = decode(text, path.stem().string());
    ASSERT_TRUE(task);
    const json::object raw = json::parse(text).as_object();
    const json::object again = json::parse(encode(*task)).as_object();
    if (raw.contains("taskId")) {
      json::object expected = raw;
      expected["detached"] = task->detached;
      EXPECT_EQ(again, expected);
    } else {
      EXPECT_GE(again.size(), raw.size());
      for (const auto* key : {"command", "pid", "exit_code"})
        if (task->kind == Kind::agent) {
          EXPECT_EQ(again.at(key), raw.at(key));
        }
    }
  }
}

}  // namespace
}  // namespace perdure::codec
