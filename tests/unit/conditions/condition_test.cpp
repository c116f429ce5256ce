// What a program waits for besides the end of a task, through the library's own headers only.

#include "support/temp_folder.h"
#include <perdure/condition.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace perdure {
namespace {

using namespace std::chrono_literals;

class Conditions : public ::testing::Test {
 protected:
  TaskManager& manager() { return *manager_; }
  TaskId start(const std::string& line) { return manager_->start({.shell_line = line, .grace = 0ms})->id; }
  void TearDown() override {
    const auto tasks = manager_->list();
    for (const auto& task : *tasks) EXPECT_TRUE(manager_->stop(task.id));
  }
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
  }

 private:
  testing_support::TempFolder folder_;
  Result<TaskManager> manager_ =
      TaskManager::open({.session = folder_.path() + "/session", .runner = PERDURE_BIN_DIR "/perdure-runner"});
};

TEST_F(Conditions, I12_APortIsTheTasksAndNobodyElses) {
  const std::string where = fmt::format("tcp:{}", free_port());
  auto ready = Condition::ready(where);
  const TaskId server = start(fmt::format(
      "sleep 0.2; exec python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\", {})); time.sleep(60)'",
      where.substr(4)));
  const auto met = await_condition(manager(), server, *ready, {.timeout = 30s, .is_new = true});
  ASSERT_TRUE(met) << met.error().message;
  EXPECT_EQ(met->how, Awaited::How::met);
  EXPECT_EQ(met->note, "");
  auto late = Condition::ready(where);
  const auto foreign = await_condition(manager(), start("sleep 60"), *late, {.timeout = 5s, .is_new = true});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::task_launch_failed);
  EXPECT_TRUE(foreign.error().message.contains("belonged already to pid")) << foreign.error().message;
}

TEST_F(Conditions, I12_ATaskThatEndsWithoutServingIsNotWaitedForFurther) {
  auto ready = Condition::ready(fmt::format("tcp:{}", free_port()));
  const TaskId task = start("echo 'bind: Address already in use'; exit 1");
  const auto ended = await_condition(manager(), task, *ready, {.timeout = 30s, .is_new = true});
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->how, Awaited::How::ended);
  EXPECT_EQ(ended->note, "bind: Address already in use");
}

TEST_F(Conditions, I11_ALineAlsoWhereItIsNotFinished) {
  const TaskId task = start("printf 'one\\nContinue? [y/N] '; sleep 60");
  auto prompt = Condition::text("Continue?");
  const auto met = await_condition(manager(), task, prompt, {.timeout = 30s});
  ASSERT_TRUE(met);
  EXPECT_EQ(met->how, Awaited::How::met);
  EXPECT_EQ(met->line, "Continue? [y/N] ");
  auto ends = Condition::line([](std::string_view line, bool is_end) { return is_end && line.starts_with("Cont"); });
  EXPECT_EQ(await_condition(manager(), task, ends, {.timeout = 30s})->how, Awaited::How::met);
  auto one = Condition::text("one");
  EXPECT_EQ(await_condition(manager(), task, one, {.timeout = 100ms, .offset = 4})->how, Awaited::How::timed_out);
}

TEST_F(Conditions, I11_TheEndTheTimeAndACancellation) {
  auto never = Condition::text("never");
  EXPECT_EQ(await_condition(manager(), start("echo x"), never, {.timeout = 30s})->how, Awaited::How::ended);
  std::stop_source cancelled;
  cancelled.request_stop();
  const auto given_up = await_condition(manager(), start("sleep 60"), never, {.cancel = cancelled.get_token()});
  ASSERT_TRUE(given_up);
  EXPECT_EQ(given_up->how, Awaited::How::timed_out);
}

TEST_F(Conditions, I10_WhatMakesNoSenseIsRefused) {
  for (const char* const text : {"", "tcp:", "tcp:0", "tcp:65536", "tcp:80x", "udp:80", "http://example.org/",
                                 "http://localhost:x/", "http://localhost:80/a b"})
    EXPECT_FALSE(Condition::ready(text)) << text;
  auto some = Condition::text("x");
  const auto unknown = await_condition(manager(), *TaskId::parse("bash-00000000"), some);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::task_not_found);
}

}  // namespace
}  // namespace perdure
