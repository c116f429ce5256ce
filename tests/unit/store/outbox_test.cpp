#include "store/outbox.h"

#include "unit/hand_made_session.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <optional>

namespace perdure::store {
namespace {

using namespace std::chrono_literals;

class Outbox : public ::testing::Test {
 protected:
  Outbox() {
    perdure::testing::HandMadeSession::make(made.path());
    EXPECT_TRUE(add_to_outbox(made.session(), id).has_value());
  }
  std::optional<OutboxClaim> take(std::optional<std::chrono::milliseconds> lease = {}) {
    auto claim = OutboxClaim::take(made.session(), id, lease);
    EXPECT_TRUE(claim.has_value());
    return std::move(*claim);
  }
  bool is_claimed() { return claimed_until(made.session(), id)->has_value(); }
  /// As if it had been claimed so long ago.
  void age(std::chrono::milliseconds by) {
    const std::int64_t then = now_ms() - by.count();
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                               {.tv_sec = then / 1000, .tv_nsec = then % 1000 * 1'000'000}};
    EXPECT_EQ(::utimensat(AT_FDCWD, (outbox_path(made.session()) + "/" + id.str()).c_str(), times, 0), 0);
  }

  perdure::testing::HandMadeSession made;
  TaskId id = made.id("bash-aaaaaaaa");
};

TEST_F(Outbox, HoldsAnEntryOnce) {
  EXPECT_TRUE(add_to_outbox(made.session(), id).has_value());
  EXPECT_EQ(outbox_entries(made.session()), std::vector{id});
  EXPECT_TRUE(remove_from_outbox(made.session(), id).has_value());
  EXPECT_TRUE(remove_from_outbox(made.session(), id).has_value());
  EXPECT_EQ(outbox_entries(made.session()), std::vector<TaskId>());
}

TEST_F(Outbox, OfASessionThatIsNotThereIsEmpty) {
  const Session nowhere(made.path() + "/nowhere");
  EXPECT_EQ(outbox_entries(nowhere), std::vector<TaskId>());
  EXPECT_FALSE(OutboxClaim::take(nowhere, id, {})->has_value());
  EXPECT_TRUE(remove_from_outbox(nowhere, id).has_value());
  EXPECT_FALSE(made.exists(nowhere.path()));
}

TEST_F(Outbox, WhatIsNoEntryIsLeftOut) {
  const std::string folder = outbox_path(made.session());
  made.write(folder + "/.bash-aaaaaaaa.1.0.tmp", "");
  made.write(folder + "/rubbish", "");
  made.make(folder + "/bash-bbbbbbbb");
  EXPECT_EQ(::symlink("/etc/passwd", (folder + "/bash-cccccccc").c_str()), 0);
  EXPECT_EQ(outbox_entries(made.session()), std::vector{id});
}

TEST_F(Outbox, IsClaimedByOneAtATime) {
  EXPECT_FALSE(is_claimed());
  auto claim = take();
  ASSERT_TRUE(claim);
  EXPECT_TRUE(is_claimed());
  EXPECT_FALSE(take());
  claim.reset();
  EXPECT_FALSE(is_claimed());
  EXPECT_TRUE(take());
}

TEST_F(Outbox, L32_AClaimEndsWithItsClaimer) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto claim = OutboxClaim::take(made.session(), id, {});
    ::_exit(claim && *claim ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(take());
}

TEST_F(Outbox, L32_ALeaseStandsWithoutItsClaimer) {
  EXPECT_TRUE(take(10'000ms));
  EXPECT_TRUE(is_claimed());
  EXPECT_FALSE(take());
  EXPECT_FALSE(take(10'000ms));
}

TEST_F(Outbox, L32_ALeaseEndsInTime) {
  EXPECT_TRUE(take(1ms));
  const std::int64_t until = now_ms() + 30'000;
  while (is_claimed() && now_ms() < until) ::usleep(1000);
  EXPECT_TRUE(take());
}

TEST_F(Outbox, L32_AClaimerThatHangsIsOvertaken) {
  auto hangs = take();
  age(OutboxClaim::kClaimerHangs - 10'000ms);
  EXPECT_TRUE(is_claimed());
  EXPECT_FALSE(take());
  age(OutboxClaim::kClaimerHangs + 1ms);
  EXPECT_FALSE(is_claimed());
  auto overtakes = take();
  ASSERT_TRUE(overtakes);
  EXPECT_TRUE(is_claimed());
  EXPECT_FALSE(take());
  hangs.reset();
  EXPECT_FALSE(take()) << "the end of the first claim is not the end of the second";
  overtakes.reset();
  EXPECT_TRUE(take());
}

TEST_F(Outbox, WhatIsAcknowledgedCanNotBeClaimed) {
  EXPECT_TRUE(remove_from_outbox(made.session(), id).has_value());
  EXPECT_FALSE(take());
  EXPECT_FALSE(is_claimed());
}

}  // namespace
}  // namespace perdure::store
