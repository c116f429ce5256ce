#include "jsonrpc/peer.h"

#include <gtest/gtest.h>

#include <latch>

namespace perdure::jsonrpc {
namespace {

using namespace std::chrono_literals;

class Kept final : public Outlet {
 public:
  bool send(const json::object& message) override {
    const std::lock_guard lock(mutex_);
    sent_.push_back(message);
    sent.raise();
    return true;
  }
  json::object last() {
    const std::lock_guard lock(mutex_);
    return sent_.back();
  }
  Signal sent;

 private:
  std::mutex mutex_;
  std::vector<json::object> sent_;
};

TEST(Calls, AnIdIsTakenUntilItsCallIsFinished) {
  Calls calls;
  const auto call = calls.begin(1);
  ASSERT_TRUE(call);
  EXPECT_FALSE(calls.begin(1));
  EXPECT_TRUE(calls.begin("1"));
  calls.cancel(2);
  calls.cancel(1);
  EXPECT_EQ(call->why, Call::Ended::cancelled);
  calls.hang_up();
  EXPECT_EQ(call->why, Call::Ended::cancelled);  // the first reason counts
  calls.finish(1);
  EXPECT_TRUE(calls.begin(1));
}

TEST(Asks, AnAnswerReachesWhoeverAskedAndOthersAreIgnored) {
  Asks asks;
  Kept outlet;
  const Signal never;
  Asks::Answer answer;
  std::thread asker([&] { answer = asks.ask(outlet, "m", {{"a", 1}}, never, 60s); });
  while (!outlet.sent.is_raised()) std::this_thread::yield();
  asks.settle({.id = 99, .result = "wrong"});
  asks.settle({.id = outlet.last().at("id"), .result = "right"});
  asker.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, "right");
}

TEST(Asks, NoAnswerInTimeOrACancelledCallIsAFault) {
  Asks asks;
  Kept outlet;
  Signal stop;
  EXPECT_FALSE(asks.ask(outlet, "m", {}, stop, 1ms));
  stop.raise();
  EXPECT_FALSE(asks.ask(outlet, "m", {}, stop, 60s));
}

TEST(Workers, AJobThatBlocksKeepsNoOtherFromRunning) {
  Workers workers(8);
  std::latch all(8);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(workers.run([&] { all.arrive_and_wait(); }));
  all.wait();
}

TEST(Workers, MoreThanTheyCanTakeIsRefusedAndWhatWasTakenIsDone) {
  std::atomic<int> done = 0;
  std::latch go(1);
  {
    Workers workers(2);
    int taken = 0;
    while (workers.run([&] {
      go.wait();
      ++done;
    }))
      ++taken;
    EXPECT_GE(taken, 2);
    EXPECT_LE(taken, 4);
    go.count_down();
    workers.join();
    EXPECT_EQ(done, taken);
  }
}

}  // namespace
}  // namespace perdure::jsonrpc
