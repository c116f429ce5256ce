#include "view/index.h"

#include "unit/hand_made_session.h"

#include <poll.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace perdure::view {
namespace {

constexpr int kBoundMs = 10'000;

class IndexTest : public ::testing::Test {
 protected:
  void open(bool uses_inotify = true) {
    manager = std::make_unique<TaskManager>(disk.manager());
    index = std::make_unique<Index>(*manager, uses_inotify);
    ASSERT_TRUE(index->fill());
  }
  bool is_readable(int timeout_ms = 0) const {
    pollfd readable{.fd = index->fd(), .events = POLLIN, .revents = 0};
    return ::poll(&readable, 1, timeout_ms) == 1;
  }
  // Until the row is as wanted; fails when nothing tells in time.
  bool becomes(const std::string& id, const std::function<bool(const std::optional<Row>&)>& wanted) {
    while (!wanted(index->row(id))) {
      if (!is_readable(kBoundMs)) return false;
      if (!index->update()) return false;
    }
    return true;
  }
  void ended(int number, std::int64_t started, const std::string& more = {}) {
    disk.started_ms = started;
    disk.ended_ms = started + 1000;
    disk.own(name(number), "completed", more);
  }
  static std::string name(int number) { return fmt::format("bash-{:08}", number); }

  perdure::testing::HandMadeSession disk;
  std::unique_ptr<TaskManager> manager;
  std::unique_ptr<Index> index;
};

TEST_F(IndexTest, V10APageHasItsRowsInOrderAndACursorThatStaysRight) {
  for (int i = 1; i <= 10; ++i) ended(i, 1'700'000'000'000 + i * 1000);
  open();
  auto page = index->page({}, Sort::started, "", 4);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->rows.front().id.str(), name(10));
  EXPECT_EQ(page->matched, 10U);
  ASSERT_FALSE(page->next.empty());
  // A newer one comes, and the last row that was told goes.
  ended(11, 1'800'000'000'000);
  std::filesystem::remove(disk.record_path(name(7)));
  ASSERT_TRUE(becomes(name(11), [](const auto& row) { return row.has_value(); }));
  ASSERT_TRUE(becomes(name(7), [](const auto& row) { return !row; }));
  page = index->page({}, Sort::started, page->next, 4);
  EXPECT_EQ(page->rows.front().id.str(), name(6));
  EXPECT_EQ(page->before, 4U);
  page = index->page({}, Sort::started, page->next, 4);
  EXPECT_EQ(page->rows.size(), 2U);
  EXPECT_TRUE(page->next.empty());
  EXPECT_FALSE(index->page({}, Sort::started, "nonsense", 4));
}

TEST_F(IndexTest, V10Filters) {
  ended(1, 1'700'000'000'000, R"("owner":"main","labels":{"team":"red","x":"y"})");
  ended(2, 1'700'000'001'000);
  disk.foreign(name(3), "failed");
  open();
  const auto count = [&](const Filter& filter) { return index->page(filter, Sort::started, "", 100)->matched; };
  EXPECT_EQ(count({}), 3U);
  EXPECT_EQ(count({.statuses = std::set{Status::failed}}), 1U);
  EXPECT_EQ(count({.kinds = std::set{Kind::question}}), 0U);
  EXPECT_EQ(count({.owner = "main"}), 1U);
  EXPECT_EQ(count({.label = std::pair("team", "red")}), 1U);
  EXPECT_EQ(count({.label = std::pair("team", "re")}), 0U);
  EXPECT_EQ(count({.text = "000002"}), 1U);
  EXPECT_EQ(count({.text = "true"}), 3U) << "the command";
  EXPECT_EQ(count({.text = "TRUE"}), 0U) << "a capital letter asks for the case";
  EXPECT_EQ(count({.since = 1'700'000'000'500, .until = 1'700'000'001'500}), 2U);
}

TEST_F(IndexTest, V11ItIsKeptByWhatHappens) {
  open();
  EXPECT_FALSE(is_readable());
  ended(1, now_ms());  // the session itself is made now, too
  EXPECT_TRUE(becomes(name(1), [](const auto& row) { return row && row->status == Status::completed; }));
  disk.own(name(1), "failed");
  EXPECT_TRUE(becomes(name(1), [](const auto& row) { return row && row->status == Status::failed; }));
  EXPECT_EQ(index->counts().of(Status::completed), 0U);
  EXPECT_EQ(index->counts().of(Status::failed), 1U);
  while (is_readable()) ASSERT_TRUE(index->update());
  EXPECT_FALSE(is_readable(300)) << "nothing happens, nothing wakes";
}

TEST_F(IndexTest, V11ARunnerThatIsKilledIsNoticed) {
  auto lock = disk.hold(name(1));
  disk.own(name(1), "running");
  open();
  EXPECT_EQ(index->row(name(1))->status, Status::running);
  EXPECT_FALSE(index->row(name(1))->runner_gone);
  while (is_readable()) ASSERT_TRUE(index->update());
  lock.reset();
  EXPECT_TRUE(
      becomes(name(1), [](const auto& row) { return row && (row->status == Status::lost || row->runner_gone); }));
}

TEST_F(IndexTest, V11WithoutInotifyItLooksOnceASecond) {
  open(false);
  ended(1, now_ms());
  EXPECT_TRUE(becomes(name(1), [](const auto& row) { return row.has_value(); }));
}

TEST_F(IndexTest, V11WhenItLastPrinted) {
  disk.own(name(1), "completed");
  open();
  EXPECT_FALSE(index->last_output_at(name(1)));
  disk.output(name(1), "x");
  EXPECT_NEAR(static_cast<double>(index->last_output_at(name(1)).value_or(0)), static_cast<double>(now_ms()), 5000);
}

TEST_F(IndexTest, V13CountsComeWithEachPage) {
  ended(1, 1000);
  disk.own(name(2), "failed");
  disk.own(name(3), "killed");
  disk.write(disk.path() + "/outbox/" + name(2), "");
  open();
  const auto page = index->page({.statuses = std::set{Status::killed}}, Sort::status, "", 1);
  EXPECT_EQ(page->counts.of(Status::completed), 1U);
  EXPECT_EQ(page->counts.of(Status::failed), 1U);
  EXPECT_EQ(page->counts.kind[0], 3U);
  EXPECT_EQ(page->counts.undelivered, 1U);
  std::filesystem::remove(disk.path() + "/outbox/" + name(2));
  EXPECT_TRUE(becomes(name(2), [](const auto& row) { return row && !row->undelivered; }));
  EXPECT_EQ(index->counts().undelivered, 0U);
}

TEST_F(IndexTest, SortsByDurationAndEnd) {
  disk.started_ms = 1000;
  disk.ended_ms = 9000;
  disk.own(name(1), "completed");
  disk.started_ms = 5000;
  disk.ended_ms = 10'000;
  disk.own(name(2), "completed");
  open();
  EXPECT_EQ(index->page({}, Sort::duration, "", 1)->rows[0].id.str(), name(1));
  EXPECT_EQ(index->page({}, Sort::ended, "", 1)->rows[0].id.str(), name(2));
  EXPECT_EQ(index->place_of(name(1), {}, Sort::started), 1U);
  EXPECT_EQ(index->rows_at({}, Sort::started, 1, 5).rows.at(0).id.str(), name(1));
}

}  // namespace
}  // namespace perdure::view
