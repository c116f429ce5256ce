#include "manager/link/telemetry.h"

#include "base/clock.h"
#include "unit/hand_made_session.h"
#include <perdure/manager.h>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

// What is written is held against tests/surface/telemetry.json, and against what really happened: a field that was
// shipped keeps its name, its type, its unit and its meaning (L36).
namespace perdure::manager {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

const json::object& schema() {
  static const json::value parsed = [] {
    std::ifstream file(std::string(PERDURE_TESTS_DIR) + "/surface/telemetry.json");
    return json::parse(file);
  }();
  return parsed.as_object();
}

// Does a value have the type that the schema's words for it say?
bool fits(const json::value& value, std::string_view words) {
  if (words.contains("or null") && value.is_null()) return true;
  if (words.starts_with("true|")) return value.is_bool();
  if (words == "id" || words == "name") return value.is_string() && !value.as_string().empty();
  if (words.starts_with("seconds")) return value.is_double() && value.as_double() >= 0;
  if (words.contains('|'))
    return value.is_string() && fmt::format("|{}|", words).contains(fmt::format("|{}|", value.as_string().c_str()));
  return value.is_int64() && value.as_int64() >= 0;
}

// The event, after every field of it was looked at.
json::object checked(std::string_view line) {
  const json::object event = json::parse(line).as_object();
  const std::string name(event.at("event").as_string());
  EXPECT_EQ(event.at("schema").as_int64(), schema().at("schema").as_int64());
  std::map<std::string, std::string> wanted;
  const auto& events = schema().at("events").as_object();
  EXPECT_TRUE(events.contains(name)) << line;
  for (const json::value* const fields : {&schema().at("every"), events.contains(name) ? &events.at(name) : nullptr})
    if (fields != nullptr)
      for (const auto& [key, words] : fields->as_object()) wanted[key] = std::string(words.as_string());
  for (const auto& [key, words] : wanted) {
    EXPECT_TRUE(event.contains(key)) << line << " lacks " << key;
    if (event.contains(key)) {
      EXPECT_TRUE(fits(event.at(key), words)) << key << " in " << line << " is not: " << words;
    }
  }
  for (const auto& [key, value] : event)
    EXPECT_TRUE(wanted.contains(key)) << key << " is not in tests/surface/telemetry.json: " << line;
  return event;
}

class Collector : public TelemetrySink {
 public:
  void record(std::string_view event, std::string_view line) override {
    EXPECT_EQ(checked(line).at("event").as_string(), event);
    const std::scoped_lock lock(mutex_);
    lines_.emplace_back(line);
  }
  std::vector<json::object> take(std::string_view event) {
    const std::scoped_lock lock(mutex_);
    std::vector<json::object> found;
    for (const auto& line : lines_)
      if (auto one = checked(line); one.at("event").as_string() == event) found.push_back(std::move(one));
    return found;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

class TelemetryTest : public ::testing::Test {
 protected:
  TelemetryTest() { perdure::testing::HandMadeSession::make(made.path()); }

  TaskManager open(std::shared_ptr<TelemetrySink> sink = {}) {
    auto opened = TaskManager::open({.session = made.path(),
                                     .runner = PERDURE_BIN_DIR "/perdure-runner",
                                     .telemetry_file = file,
                                     .telemetry = sink});
    EXPECT_TRUE(opened.has_value());
    return std::move(*opened);
  }
  std::vector<json::object> lines(std::string_view event) {
    std::vector<json::object> found;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
      if (auto one = checked(line); one.at("event").as_string() == event) found.push_back(std::move(one));
    return found;
  }
  // A runner writes its line after its waiters were told: nothing of a task hangs on it.
  std::vector<json::object> await_lines(std::string_view event, std::size_t count) {
    const std::int64_t until = now_ms() + 30'000;
    while (lines(event).size() < count && now_ms() < until) std::this_thread::sleep_for(1ms);
    return lines(event);
  }
  static std::string text(const json::object& event, const char* key) { return std::string(event.at(key).as_string()); }

  perdure::testing::HandMadeSession made;
  std::string file = made.path() + "/telemetry.jsonl";
};

TEST_F(TelemetryTest, L36_IsOffUnlessItIsWanted) {
  const std::string path = std::exchange(file, "");
  auto manager = open();
  ASSERT_TRUE(manager.wait({.ids = {manager.start({.shell_line = "exit 0"})->id}}).has_value());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(TelemetryTest, L36_StartAndEndOfATaskJoin) {
  auto manager = open();
  std::map<std::string, std::string> expected;
  for (const char* const line : {"exit 0", "exit 3", "kill -9 $$"}) {
    const auto task = manager.start({.shell_line = line});
    expected[task->id.str()] = line == std::string("exit 0") ? "completed" : "failed";
  }
  expected[manager.start({.shell_line = "sleep 100", .timeout = 20ms})->id.str()] = "timed_out";
  const auto stopped = manager.start({.shell_line = "sleep 100"});
  expected[stopped->id.str()] = "killed";
  ASSERT_TRUE(manager.stop(stopped->id).has_value());
  ASSERT_TRUE(manager.wait({}).has_value());

  std::map<std::string, std::string> ended;
  std::map<std::string, std::string> kinds;
  for (const auto& event : await_lines("background_task_created", expected.size()))
    EXPECT_TRUE(kinds.emplace(text(event, "task_id"), text(event, "kind")).second) << "told twice";
  for (const auto& event : await_lines("background_task_completed", expected.size())) {
    EXPECT_TRUE(ended.emplace(text(event, "task_id"), text(event, "status")).second) << "told twice";
    EXPECT_EQ(kinds[text(event, "task_id")], text(event, "kind"));
  }
  EXPECT_EQ(ended, expected);
  EXPECT_EQ(kinds.size(), expected.size());
}

TEST_F(TelemetryTest, L36_EveryFieldMeansWhatItDid) {
  auto manager = open();
  const std::int64_t before = now_ms();
  const auto task = manager.start({.shell_line = "sleep 0.25"});
  ASSERT_TRUE(manager.wait({.ids = {task->id}}).has_value());
  const auto record = manager.get(task->id);
  const auto created = await_lines("background_task_created", 1).at(0);
  const auto completed = await_lines("background_task_completed", 1).at(0);
  const std::int64_t after = now_ms();
  for (const auto& event : {created, completed}) {
    EXPECT_EQ(text(event, "task_id"), task->id.str());
    EXPECT_EQ(text(event, "kind"), "bash");
    EXPECT_GE(event.at("time").as_int64(), before);
    EXPECT_LE(event.at("time").as_int64(), after);
  }
  EXPECT_EQ(completed.at("duration_ms").as_int64(), ms_of(*record->ended_at) - ms_of(record->started_at));
  EXPECT_GE(completed.at("duration_ms").as_int64(), 250);
  EXPECT_DOUBLE_EQ(completed.at("duration_s").as_double() * 1000,
                   static_cast<double>(completed.at("duration_ms").as_int64()));
}

TEST_F(TelemetryTest, L36_WaitsAreReported) {
  const auto sink = std::make_shared<Collector>();
  auto manager = open(sink);
  ASSERT_TRUE(manager.wait({}).has_value());
  const auto runs = manager.start({.shell_line = "sleep 100"});
  ASSERT_TRUE(manager.wait({.ids = {runs->id}, .timeout = 30ms}).has_value());
  ASSERT_TRUE(manager.wait({.ids = {runs->id}, .timeout = 1ms, .part_of_longer_wait = true}).has_value());
  const auto one = manager.start({.shell_line = "exit 0"});
  const auto two = manager.start({.shell_line = "exit 1"});
  ASSERT_TRUE(manager.wait({.ids = {one->id, two->id}}).has_value());
  ASSERT_TRUE(manager.stop(runs->id).has_value());

  EXPECT_EQ(await_lines("background_task_completed", 3).size(), 3U);
  for (const auto& waits : {lines("wait_for_completed"), sink->take("wait_for_completed")}) {
    ASSERT_EQ(waits.size(), 3U);
    EXPECT_EQ(text(waits[0], "outcome"), "no_tasks");
    EXPECT_TRUE(waits[0].at("timeout_ms").is_null());
    EXPECT_FALSE(waits[0].at("has_task_id").as_bool());
    EXPECT_EQ(text(waits[1], "outcome"), "timed_out");
    EXPECT_EQ(waits[1].at("timeout_ms").as_int64(), 30);
    EXPECT_GE(waits[1].at("waited_ms").as_int64(), 30);
    EXPECT_TRUE(waits[1].at("has_task_id").as_bool());
    EXPECT_EQ(waits[1].at("extra_completed_count").as_int64(), 0);
    EXPECT_EQ(text(waits[2], "outcome"), "completed");
    EXPECT_EQ(waits[2].at("extra_completed_count").as_int64(), 1);
  }
}

TEST_F(TelemetryTest, L36_ALostTaskIsReportedOnceWithoutADuration) {
  made.own("bash-aaaaaaaa", "running");
  auto one = open();
  auto two = open();
  std::thread other([&] { static_cast<void>(two.upkeep().reconcile()); });
  static_cast<void>(one.upkeep().reconcile());
  other.join();
  static_cast<void>(one.upkeep().reconcile());
  const auto told = lines("background_task_completed");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(text(told[0], "task_id"), "bash-aaaaaaaa");
  EXPECT_EQ(text(told[0], "status"), "lost");
  EXPECT_TRUE(told[0].at("duration_s").is_null());
  EXPECT_TRUE(told[0].at("duration_ms").is_null());
}

TEST_F(TelemetryTest, L42_WhatEndedInTheForegroundIsNotReportedAndNotTold) {
  made.own("bash-aaaaaaaa", "running", R"("detached":false)");
  auto manager = open();
  const auto verdicts = manager.upkeep().reconcile();
  ASSERT_TRUE(verdicts.has_value());
  EXPECT_EQ(verdicts->at(0).task.status, Status::lost);
  EXPECT_TRUE(lines("background_task_completed").empty());
  EXPECT_TRUE(manager.notifications().pending()->empty());
}

TEST_F(TelemetryTest, L36_L42_AForegroundTaskIsReportedOnceItIsDetached) {
  const auto sink = std::make_shared<Collector>();
  auto manager = open(sink);
  const auto silent = manager.start({.shell_line = "exit 0", .detached = false});
  ASSERT_TRUE(manager.wait_for_release(silent->id).has_value());
  const auto task = manager.start({.shell_line = "sleep 100", .detached = false});
  EXPECT_TRUE(lines("background_task_created").empty());
  EXPECT_TRUE(sink->take("background_task_created").empty());
  ASSERT_TRUE(manager.detach(task->id).has_value());
  ASSERT_TRUE(manager.wait_for_release(task->id).has_value());
  EXPECT_EQ(await_lines("background_task_created", 1).size(), 1U);
  ASSERT_TRUE(manager.stop(task->id).has_value());
  for (const char* const event : {"background_task_created", "background_task_completed"}) {
    ASSERT_EQ(await_lines(event, 1).size(), 1U) << event;
    EXPECT_EQ(text(lines(event)[0], "task_id"), task->id.str());
    ASSERT_EQ(sink->take(event).size(), 1U) << event;
    EXPECT_EQ(text(sink->take(event)[0], "task_id"), task->id.str());
  }
}

TEST_F(TelemetryTest, L36_AQueuedTaskIsReportedWhenItIsQueued) {
  auto manager = open();
  const auto first = manager.start({.shell_line = "sleep 100"});
  const auto second = manager.start({.shell_line = "exit 0", .after = {first->id}});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(await_lines("background_task_created", 2).size(), 2U);
  ASSERT_TRUE(manager.stop(first->id).has_value());
  ASSERT_TRUE(manager.wait({.ids = {second->id}}).has_value());
  std::map<std::string, std::string> ended;
  for (const auto& event : await_lines("background_task_completed", 2)) {
    EXPECT_EQ(text(event, "status"), "killed");
    EXPECT_TRUE(ended.emplace(text(event, "task_id"), "").second);
  }
  EXPECT_EQ(ended.size(), 2U);
  EXPECT_EQ(lines("background_task_created").size(), 2U);
}

TEST_F(TelemetryTest, L36_ASinkHearsOfEachTaskOnce) {
  const auto sink = std::make_shared<Collector>();
  auto manager = open(sink);
  ASSERT_TRUE(manager.events().read().has_value());
  std::set<std::string> started;
  for (int i = 0; i < 5; ++i) started.insert(manager.start({.shell_line = "exit 0"})->id.str());
  for (int i = 0; i < 2; ++i)
    for (const auto& id : started) ASSERT_TRUE(manager.wait({.ids = {*TaskId::parse(id)}}).has_value());
  ASSERT_TRUE(manager.events().read().has_value());
  ASSERT_TRUE(manager.upkeep().reconcile().has_value());
  EXPECT_EQ(await_lines("background_task_completed", started.size()).size(), started.size());
  for (const char* const event : {"background_task_created", "background_task_completed"}) {
    std::multiset<std::string> told;
    for (const auto& one : sink->take(event)) told.insert(text(one, "task_id"));
    EXPECT_EQ(told, std::multiset<std::string>(started.begin(), started.end())) << event;
  }
}

TEST_F(TelemetryTest, L36_QuestionsAreReported) {
  const auto sink = std::make_shared<Collector>();
  Telemetry telemetry(file, sink);
  telemetry.question_answered();
  telemetry.question_dismissed();
  EXPECT_EQ(lines("question_answered").size(), 1U);
  EXPECT_EQ(sink->take("question_dismissed").size(), 1U);
}

TEST_F(TelemetryTest, AFileThatCanNotBeWrittenAndASinkThatThrowsHarmNothing) {
  class Throws : public TelemetrySink {
    void record(std::string_view, std::string_view) override { throw std::runtime_error("no"); }
  };
  for (const std::string& path : {made.path(), made.path() + "/no/such/folder", std::string("/dev/full")}) {
    file = path;
    auto manager = open(std::make_shared<Throws>());
    const auto task = manager.start({.shell_line = "exit 0"});
    ASSERT_TRUE(task.has_value());
    const auto waited = manager.wait({.ids = {task->id}});
    ASSERT_TRUE(waited.has_value());
    EXPECT_EQ(waited->ended.at(0).status, Status::completed);
  }
  EXPECT_EQ(TaskManager::open({.session = made.path(), .telemetry_file = "relative"}).error().code,
            ErrorCode::config_invalid);
}

TEST_F(TelemetryTest, ManyWritersShareAFile) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i)
    writers.emplace_back([this] {
      Telemetry telemetry(file, {});
      for (int n = 0; n < 200; ++n) telemetry.waited({.outcome = "completed", .timeout = 5ms});
    });
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(lines("wait_for_completed").size(), 1600U);
}

TEST(TelemetrySchema, L36_IsDocumented) {
  std::ifstream file(std::string(PERDURE_TESTS_DIR) + "/../docs/reference/telemetry.md");
  const std::string docs((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const auto& [event, fields] : schema().at("events").as_object()) {
    EXPECT_TRUE(docs.contains(fmt::format("`{}`", std::string_view(event)))) << event;
    for (const auto& [key, words] : fields.as_object())
      EXPECT_TRUE(docs.contains(fmt::format("`{}`", std::string_view(key)))) << key;
  }
}

}  // namespace
}  // namespace perdure::manager
