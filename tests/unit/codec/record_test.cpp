#include "codec/record.h"

#include "base/clock.h"
#include "base/json_writer.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace perdure::codec {
namespace {

namespace json = boost::json;

constexpr std::string_view kProcess =
    R"({"taskId":"bash-1a2b3c4d","description":"a build","kind":"process","command":"make","status":"failed",)"
    R"("detached":true,"startedAt":1000,"endedAt":2000,"stopReason":"none","terminalNotificationSuppressed":true,)"
    R"("timeoutMs":5000,"timeoutFrom":1500,"idleTimeoutMs":70,"memoryMax":1,"cpuMaxMilli":2,"pidsMax":3,"cgroup":"/c","timedOutBy":"idle","parentToolCallId":"call_1","resumeReminded":false,"pid":42,"exitCode":3,"signal":9,)"
    R"("runner":{"pid":41,"startTicks":77},"bootId":"b","machineId":"m","owner":"o","labels":{"a":"b"},)"
    R"("lifetime":"session","cwd":"/","idempotencyKey":"k","onEnd":["true","a \"b\\\\"],"lostEvidence":"rebooted","recovered":true,)"
    R"("outputBytes":1,"droppedBytes":2,"droppedAt":3,"unstoredBytes":4,"survivors":[5,6],"leftovers":7,)"
    R"("notifiedAt":8,"notifiedVia":"mcp","startedSeq":9,"endedSeq":10})";
constexpr std::string_view kAgent =
    R"({"taskId":"agent-1a2b3c4d","description":"d","status":"completed","startedAt":1,"endedAt":2,"kind":"agent",)"
    R"("agentId":"agent-7","subagentType":"coder","model":"m","thinkingEffort":"off","stopCode":"provider.api_error"})";
constexpr std::string_view kQuestion =
    R"({"taskId":"question-1a2b3c4d","description":"d","status":"running","startedAt":1,"endedAt":null,)"
    R"("kind":"question","questionCount":2,"toolCallId":"t"})";
constexpr std::string_view kLegacyProcess =
    R"({"task_id":"bash-1a2b3c4d","command":"make","description":"d","pid":7,"started_at":1,"ended_at":2,"exit_code":0,)"
    R"("status":"completed","timed_out":false,"stop_reason":"r","timeout_ms":3,"approval_reason":"a",)"
    R"("shell_info":{"name":"bash","path":"/bin/bash","cwd":"/"}})";
constexpr std::string_view kLegacyAgent =
    R"({"task_id":"agent-1a2b3c4d","command":"[agent] d","description":"d","pid":0,"started_at":1,"ended_at":2,)"
    R"("exit_code":1,"status":"failed","timed_out":true,"agent_id":"agent-2","subagent_type":"coder"})";

std::string stem_in(const json::object& record) {
  const auto* const id = record.contains("taskId") ? record.if_contains("taskId") : record.if_contains("task_id");
  return std::string(id->as_string());
}

std::string problem(std::string_view text, std::string_view stem) {
  const auto task = decode(text, stem);
  if (task) return "";
  EXPECT_EQ(task.error().code, ErrorCode::record_invalid);
  return task.error().message;
}

Task decoded(std::string_view text) {
  auto task = decode(text, stem_in(json::parse(text).as_object()));
  EXPECT_TRUE(task) << (task ? "" : task.error().message);
  return std::move(*task);
}

struct Named {
  std::string_view name, text;
};
void PrintTo(const Named& record, std::ostream* out) {  // what ctest lists
  *out << record.name;
}

class GoodRecord : public testing::TestWithParam<Named> {
 protected:
  static std::string_view record() { return GetParam().text; }
};
INSTANTIATE_TEST_SUITE_P(OfEachShapeAndKind, GoodRecord,
                         testing::Values(Named{"Process", kProcess}, Named{"Agent", kAgent},
                                         Named{"Question", kQuestion}, Named{"LegacyProcess", kLegacyProcess},
                                         Named{"LegacyAgent", kLegacyAgent}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(GoodRecord, IsRead) {
  EXPECT_EQ(problem(record(), stem_in(json::parse(record()).as_object())), "");
}

TEST_P(GoodRecord, L20_IsNoneWithoutAnyOfItsRequiredKeys) {
  const json::object good = json::parse(record()).as_object();
  const bool legacy = good.contains("task_id");
  const std::vector<std::string_view> required =
      legacy ? std::vector<std::string_view>{"task_id",    "command",  "description", "pid",
                                             "started_at", "ended_at", "exit_code",   "status"}
             : std::vector<std::string_view>{"taskId", "description", "kind", "status", "startedAt", "endedAt"};
  std::vector<std::string_view> keys = required;
  if (good.contains("kind") && good.at("kind") == "process") keys.insert(keys.end(), {"command", "pid", "exitCode"});
  if (good.contains("kind") && good.at("kind") == "question") keys.emplace_back("questionCount");
  for (const auto key : keys) {
    json::object bad = good;
    bad.erase(key);
    const std::string reason = problem(json::serialize(bad), stem_in(good));
    EXPECT_NE(reason, "") << "without " << key;
    const bool id = key == "taskId" || key == "task_id";
    EXPECT_TRUE(id || reason.contains(key)) << reason << " does not name " << key;
  }
}

TEST_P(GoodRecord, L20_IsNoneWithAnyKeyOfAWrongType) {
  const json::object good = json::parse(record()).as_object();
  const std::vector<json::value> values = {
      nullptr, true, 12, -1, 1.5, "text", json::array{}, json::array{1}, json::object{}, json::object{{"x", 1}}};
  for (const auto& member : good)
    for (const auto& value : values) {
      const std::string_view key = member.key();
      if (value.kind() == member.value().kind() && !(value.is_int64() && value.as_int64() < 0)) continue;
      const bool may_be_null = key == "endedAt" || key == "ended_at" || key == "exitCode" || key == "exit_code";
      // Null is one of their values, the other is a number; which one fits depends on the status, tested below.
      if (may_be_null && (value.is_null() || value.is_int64())) continue;
      if (value.is_int64() && value.as_int64() < 0 && (key == "exitCode" || key == "exit_code")) continue;
      json::object bad = good;
      bad[key] = value;
      const std::string reason = problem(json::serialize(bad), stem_in(good));
      EXPECT_NE(reason, "") << key << " = " << json::serialize(value);
      EXPECT_TRUE(reason.contains(key)) << reason << " does not name " << key;
    }
}

TEST_P(GoodRecord, L20_IsNoneWithAnUnknownStatus) {
  for (const auto* status : {"exploded", "queued", "", "Running"}) {
    json::object bad = json::parse(record()).as_object();
    bad["status"] = status;
    EXPECT_TRUE(problem(json::serialize(bad), stem_in(bad)).contains("status")) << status;
  }
}

TEST_P(GoodRecord, L20_IsNoneWithAnIdAlone) {
  const json::object good = json::parse(record()).as_object();
  const char* const key = good.contains("taskId") ? "taskId" : "task_id";
  EXPECT_NE(problem(json::serialize(json::object{{key, stem_in(good)}}), stem_in(good)), "");
}

TEST_P(GoodRecord, IsNoneUnderAnotherName) {
  EXPECT_NE(problem(record(), "bash-00000000"), "");
}

TEST_P(GoodRecord, EndIsNullExactlyWhileItRuns) {
  const json::object good = json::parse(record()).as_object();
  const char* const key = good.contains("taskId") ? "endedAt" : "ended_at";
  for (const auto* status : {"running", "completed"})
    for (const bool ended : {true, false}) {
      json::object record = good;
      record["status"] = status;
      record[key] = ended ? json::value(5) : json::value(nullptr);
      if (record.contains("exitCode")) record["exitCode"] = nullptr;
      if (record.contains("exit_code")) record["exit_code"] = nullptr;
      const bool fits = ended == (std::string_view(status) == "completed");
      EXPECT_EQ(problem(json::serialize(record), stem_in(good)).empty(), fits) << status << ended;
    }
}

TEST_P(GoodRecord, EncodedAndDecodedAgainIsTheSameTask) {
  const Task task = decoded(record());
  const Task again = decoded(encode(task));
  EXPECT_EQ(encode(again), encode(task));
  EXPECT_EQ(again.found.shape, Shape::current);
  EXPECT_EQ(again.kind, task.kind);
  EXPECT_EQ(again.status, task.status);
  EXPECT_EQ(again.agent.id, task.agent.id);
  EXPECT_EQ(again.process.exit_code, task.process.exit_code);
  EXPECT_EQ(again.stop_reason, task.stop_reason);
  EXPECT_EQ(again.host.runner, task.host.runner);
  EXPECT_EQ(again.process.survivors, task.process.survivors);
  EXPECT_EQ(again.labels, task.labels);
}

TEST(Encode, AnUnchangedCurrentRecordKeepsEveryByte) {
  EXPECT_EQ(encode(decoded(kProcess)), kProcess);
}

TEST(Encode, L19_UnknownKeysKeepTheirTextAndTheirPlaces) {
  const std::string text =
      R"({"futureNumber":12345678901234567890123,"taskId":"bash-1a2b3c4d","e":1.0e400,"description":"d","kind":"process",)"
      R"("half":"\ud800","status":"running","startedAt":1,"nested":{"b":[1, 2],"a":null},"endedAt":null,"command":"c",)"
      R"("pid":1,"exitCode":null,"dup\u0065":"\u00e9"})";
  Task task = decode(text, "bash-1a2b3c4d").value();
  task.status = Status::completed;
  task.ended_at = time_at(2);
  task.process.exit_code = 0;
  EXPECT_EQ(
      encode(task),
      R"({"futureNumber":12345678901234567890123,"taskId":"bash-1a2b3c4d","e":1.0e400,"description":"d","kind":"process",)"
      R"("half":"\ud800","status":"completed","startedAt":1,"nested":{"b":[1, 2],"a":null},"endedAt":2,"command":"c",)"
      R"("pid":1,"exitCode":0,"dup\u0065":"\u00e9","detached":true})");
}

TEST(Encode, L21_ALegacyRecordTurnsCurrentAndKeepsWhatHasNoCurrentName) {
  const json::object written = json::parse(encode(decoded(kLegacyAgent))).as_object();
  for (const auto* gone : {"task_id", "started_at", "ended_at", "agent_id", "subagent_type"})
    EXPECT_FALSE(written.contains(gone)) << gone;
  EXPECT_EQ(written.at("command"), "[agent] d");
  EXPECT_EQ(written.at("pid"), 0);
  EXPECT_EQ(written.at("exit_code"), 1);
  EXPECT_EQ(written.at("timed_out"), true);
  EXPECT_EQ(written.at("agentId"), "agent-2");
  EXPECT_EQ(written.at("kind"), "agent");
  EXPECT_EQ(written.at("status"), "timed_out");
}

TEST(Encode, L21_ALegacyProcessKeepsItsShellAndApproval) {
  const json::object written = json::parse(encode(decoded(kLegacyProcess))).as_object();
  EXPECT_EQ(written.at("shell_info").as_object().at("path"), "/bin/bash");
  EXPECT_EQ(written.at("approval_reason"), "a");
  EXPECT_EQ(written.at("exitCode"), 0);
  EXPECT_FALSE(written.contains("exit_code"));
}

TEST(Encode, ConstantMembersHaveNothingThatTheRunnerWrites) {
  Task task = decoded(kProcess);
  const json::object constant = json::parse("{" + constant_members(task) + "}").as_object();
  for (const auto* key : {"status", "detached", "startedAt", "endedAt", "stopReason", "pid", "exitCode", "signal",
                          "runner", "outputBytes", "survivors", "leftovers", "startedSeq", "endedSeq", "timeoutMs"})
    EXPECT_FALSE(constant.contains(key)) << key;
  EXPECT_EQ(constant.at("owner"), "o");
  EXPECT_EQ(constant.at("command"), "make");
}

TEST(Legacy, StatusesBecomeWhatTheyMean) {
  const auto status = [](std::string_view from, std::string_view to, std::string extra = "") {
    const std::string text = fmt::format(
        R"({{"task_id":"bash-1a2b3c4d","command":"c","description":"d","pid":1,"started_at":1,"ended_at":{},"exit_code":null,"status":"{}"{}}})",
        from == "running" || from == "awaiting_approval" ? "null" : "2", from, extra);
    EXPECT_EQ(name_of(decode(text, "bash-1a2b3c4d").value().status), to) << text;
  };
  status("awaiting_approval", "running");
  status("failed", "timed_out", R"(,"timed_out":true)");
  status("failed", "failed", R"(,"timed_out":false)");
  status("killed", "killed", R"(,"stop_reason":"Timed out")");
}

TEST(Legacy, BlankReasonsAndNamesAreAbsent) {
  json::object record = json::parse(kLegacyAgent).as_object();
  record["stop_reason"] = "  ";
  record["agent_id"] = "";
  record["subagent_type"] = "\t";
  const Task task = decoded(json::serialize(record));
  EXPECT_FALSE(task.stop_reason);
  EXPECT_FALSE(task.agent.id);
  EXPECT_FALSE(task.agent.type);
  EXPECT_TRUE(task.detached);
}

TEST(Current, OtherKindsAreKeptGenerically) {
  const Task task = decoded(
      R"({"taskId":"monitor-1a2b3c4d","description":"d","kind":"monitor","status":"running","startedAt":1,"endedAt":null,"pid":"not ours"})");
  EXPECT_EQ(task.kind, Kind::other);
  EXPECT_EQ(task.kind_name, "monitor");
}

TEST(Hostile, DepthIsRefusedWithoutRecursion) {
  for (const char open : {'[', '{'}) {
    std::string text = R"({"taskId":"bash-1a2b3c4d","x":)";
    for (int i = 0; i < 100'000; ++i) text += open == '[' ? "[" : "{\"a\":";
    EXPECT_TRUE(problem(text, "bash-1a2b3c4d").contains("32 levels"));
  }
}

TEST(Hostile, WhatIsNotJsonIsRefused) {
  for (const std::string_view text : {"",
                                      " ",
                                      "[]",
                                      "null",
                                      "{",
                                      "{}x",
                                      "{\"a\":NaN}",
                                      "{\"a\":Infinity}",
                                      "{\"a\":01}",
                                      "{\"a\":1.}",
                                      "{\"a\":'x'}",
                                      "{a:1}",
                                      "{\"a\":1,}",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\\u12\"}",
                                      "{\"a\":tru}",
                                      "{\"a\":-}",
                                      "{\"a\" 1}",
                                      "\xEF\xBB\xBF{}"})
    EXPECT_NE(problem(text, "bash-1a2b3c4d"), "") << text;
}

TEST(Hostile, InvalidUtf8IsRefused) {
  EXPECT_TRUE(problem("{\"taskId\":\"bash-1a2b3c4d\",\"description\":\"\xFF\"}", "bash-1a2b3c4d").contains("UTF-8"));
}

TEST(Hostile, DuplicateKeysAreRefusedHoweverTheyAreSpelled) {
  EXPECT_TRUE(problem(R"({"status":"running","status":"lost"})", "x").contains("status: is there twice"));
  EXPECT_TRUE(problem(R"({"status":"running","st\u0061tus":"lost"})", "x").contains("is there twice"));
}

TEST(Hostile, AThousandTimesManyKeysTakeNoTime) {
  std::string text = "{";
  for (int i = 0; i < 60'000; ++i) text += fmt::format("\"k{}\":0,", i);
  text += "\"k1\":1}";
  EXPECT_TRUE(problem(text, "x").contains("k1: is there twice"));
}

TEST(Hostile, BothSpellingsOfTheIdAreRefused) {
  json::object both = json::parse(kProcess).as_object();
  both["task_id"] = both["taskId"];
  EXPECT_TRUE(problem(json::serialize(both), "bash-1a2b3c4d").contains("task_id"));
}

TEST(Hostile, AnEscapedKeyIsNotTheKey) {
  std::string text(kProcess);
  text.replace(text.find("taskId"), 6, "task\\u0049d");
  EXPECT_NE(problem(text, "bash-1a2b3c4d"), "");
}

TEST(Hostile, IdsThatLeaveTheFolderAreRefused) {
  for (const std::string_view id : {"../../x", "/etc/passwd", "bash-1A2B3C4D", ""}) {
    json::object record = json::parse(kProcess).as_object();
    record["taskId"] = id;
    EXPECT_TRUE(problem(json::serialize(record), id).contains("taskId"));
  }
}

TEST(Hostile, NumbersOutOfRangeAreRefused) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"pid", "-1"},
                                                        {"pid", "4294967296"},
                                                        {"exitCode", "99999999999"},
                                                        {"startedAt", "-5"},
                                                        {"startedAt", "1e3"},
                                                        {"startedAt", "99999999999999999999999"},
                                                        {"timeoutMs", "-1"},
                                                        {"signal", "0"}}) {
    std::string text(kProcess);
    const auto at = text.find("\"" + key + "\":") + key.size() + 3;
    text.replace(at, text.find_first_of(",}", at) - at, value);
    EXPECT_TRUE(problem(text, "bash-1a2b3c4d").contains(key)) << key << value;
  }
}

TEST(Current, CommandsToBeToldAreStringsOfAnyContent) {
  const Task task = decoded(kProcess);
  EXPECT_EQ(task.notification.on_end, (std::vector<std::string>{"true", R"(a "b\\)"}));
  for (const std::string_view wrong : {R"([1])", R"(["a",null])", R"([["a"]])", R"({})", R"("a")"}) {
    std::string text(kProcess);
    const auto at = text.find(R"(["true")");
    text.replace(at, text.find(']', at) + 1 - at, wrong);
    EXPECT_TRUE(problem(text, "bash-1a2b3c4d").starts_with("onEnd: ")) << wrong;
  }
}

TEST(Hostile, OverAMebibyteIsRefused) {
  EXPECT_NE(problem(std::string((1 << 20) + 1, ' '), "x"), "");
}

TEST(Escape, WhatIsEscapedComesBack) {
  const std::string text = std::string("a\"b\\c\n\t\r\x01\x1F") + "\xC3\xA9\xF0\x9F\x98\x80";
  EXPECT_EQ(json::parse("\"" + json_escaped(text) + "\"").as_string(), text);
  EXPECT_EQ(json_escaped("\xFF"), "\xEF\xBF\xBD");
}

TEST(KimiCli, SpecAndRuntimeMakeATask) {
  constexpr std::string_view kSpec =
      R"({"version":1,"id":"b1a2b3c4d","kind":"bash","session_id":"s","description":"d","tool_call_id":null,"owner_role":"root","created_at":1700000000.25,"command":"make","cwd":"/src","timeout_s":60})";
  const auto with = [&](std::optional<std::string_view> runtime) {
    return decode_kimi_cli({.spec = kSpec, .runtime = runtime}, "b1a2b3c4d");
  };
  const Task created = with(std::nullopt).value();
  EXPECT_EQ(created.status, Status::running);
  EXPECT_EQ(ms_of(created.started_at), 1700000000250);
  EXPECT_EQ(created.limits.timeout_ms, 60000);
  const Task failed =
      with(
          R"({"status":"failed","child_pid":7,"started_at":1700000001.5,"updated_at":1700000003,"finished_at":1700000002.5,"exit_code":2,"interrupted":false,"timed_out":false,"failure_reason":"bad"})")
          .value();
  EXPECT_EQ(failed.status, Status::failed);
  EXPECT_EQ(failed.process.exit_code, 2);
  EXPECT_EQ(ms_of(failed.ended_at), 1700000002500);
  EXPECT_EQ(failed.stop_reason, "bad");
  EXPECT_EQ(with(R"({"status":"failed","updated_at":1,"interrupted":false,"timed_out":true})").value().status,
            Status::timed_out);
  EXPECT_EQ(with("{corrupt").value().status, Status::running);
  EXPECT_FALSE(decode_kimi_cli({.spec = kSpec}, "other-name"));
}

}  // namespace
}  // namespace perdure::codec
