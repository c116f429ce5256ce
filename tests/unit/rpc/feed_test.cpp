#include "rpc/place/feed.h"

#include <gmock/gmock.h>

namespace perdure::rpc {
namespace {

std::shared_ptr<const Event> event(std::int64_t seq) {
  return std::make_shared<const Event>(Event{.type = EventType::started,
                                             .seq = seq,
                                             .time = {},
                                             .task = {.id = *TaskId::parse("bash-00000000")},
                                             .output_tail = {}});
}

TEST(Feed, GivesWhatWasPushedInOrderAndThenItsEnd) {
  Feed feed;
  feed.push(event(1), 1);
  feed.push(event(2), 1);
  Feed::Item item;
  ASSERT_EQ(feed.next(item), Feed::Got::item);
  EXPECT_EQ(item.event->seq, 1);
  ASSERT_EQ(feed.next(item), Feed::Got::item);
  EXPECT_EQ(item.event->seq, 2);
  feed.fail("why");
  EXPECT_EQ(feed.next(item), Feed::Got::failed);
  EXPECT_EQ(feed.failure(), "why");
  feed.close();
  EXPECT_EQ(feed.next(item), Feed::Got::closed);
}

TEST(Feed, WhatFailedStillGivesWhatWaits) {
  Feed feed;
  feed.push(event(1), 1);
  feed.fail("why");
  Feed::Item item;
  EXPECT_EQ(feed.next(item), Feed::Got::item);
  EXPECT_EQ(feed.next(item), Feed::Got::failed);
}

// V31: memory stays flat however long nobody reads.
TEST(Feed, NeverHoldsMoreThanItsBound) {
  Feed feed;
  const auto one = event(1);
  for (std::size_t i = 0; i < Feed::kMostEver; ++i) feed.push(one, 1);
  EXPECT_EQ(one.use_count(), static_cast<long>(Feed::kMostEver) + 1);
  feed.push(one, 1);
  EXPECT_EQ(one.use_count(), 1);
  feed.push(one, 1);
  EXPECT_EQ(one.use_count(), 1);
  Feed::Item item;
  EXPECT_EQ(feed.next(item), Feed::Got::overflow);
}

TEST(Feed, AReaderThatIsOnlyBehindIsNotSlow) {
  Feed feed;
  for (std::size_t i = 0; i < Feed::kMost + 10; ++i) feed.push(event(static_cast<std::int64_t>(i)), 1);
  Feed::Item item;
  EXPECT_EQ(feed.next(item), Feed::Got::item);
}

}  // namespace
}  // namespace perdure::rpc
