#pragma once

#include "store/session.h"
#include "view/watch.h"
#include <perdure/manager.h>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// The tasks of a session as rows that are updated as tasks change (V10-V13). Read-only.
namespace perdure::view {

inline constexpr std::size_t kStatuses = 7, kKinds = 4;

struct Row {
  TaskId id;
  Kind kind = Kind::process;
  Status status = Status::running;
  bool detached = true;      ///< false: a caller is, or was, waiting for it
  bool unverified = false;   ///< running by its record, which can be neither proven nor disproven here
  bool runner_gone = false;  ///< its runner was killed and its processes are still being ended
  bool leftovers = false;    ///< processes outlived the command's natural end
  bool undelivered = false;  ///< its owner has not been notified
  std::string description;
  std::string command;          ///< its beginning; empty if it equals the description
  std::string owner, agent_id;  ///< empty: none
  std::int64_t started_at = 0;  ///< ms since the epoch; for a queued task: when it was queued
  std::optional<std::int64_t> ended_at;
  std::optional<std::int64_t> deadline_at;
  std::optional<int> exit_code, signal, queue_place;
  std::optional<std::int64_t> output_bytes;  ///< of an ended task

  [[nodiscard]] std::int64_t duration(std::int64_t now) const { return ended_at.value_or(now) - started_at; }
};

/// An absent or empty member matches everything.
struct Filter {
  std::optional<std::set<Status>> statuses;
  std::optional<std::set<Kind>> kinds;
  std::optional<std::string> owner;
  std::optional<std::pair<std::string, std::string>> label;
  std::string text;  ///< part of the id, the description or the command; without capital letters case is ignored
  std::optional<std::int64_t> since, until;  ///< bounds of the start, ms since the epoch
};

/// By start, by end, by duration (largest first), or running tasks, then queued ones, then the others; ties by latest
/// start.
enum class Sort { started, ended, duration, status };

/// Rank of a status in Sort::status; a larger one comes earlier.
[[nodiscard]] std::int64_t rank_of(Status status);

struct Counts {
  std::array<std::size_t, kStatuses> status{};
  std::array<std::size_t, kKinds> kind{};
  std::size_t open_questions = 0;
  std::size_t undelivered = 0;
  [[nodiscard]] std::size_t of(Status s) const { return status[static_cast<std::size_t>(s)]; }
};

struct Page {
  std::vector<Row> rows;
  std::string next;         ///< the cursor after the last row; empty: there are no more
  std::size_t matched = 0;  ///< rows that the filter matches, in all pages
  std::size_t before = 0;   ///< matching rows before the first of `rows`
  Counts counts;            ///< of the whole session
};

/// For one thread. The manager must outlive it.
class Index {
 public:
  /// `uses_inotify` false: scans once a second instead.
  explicit Index(const TaskManager& manager, bool uses_inotify = true);
  ~Index();

  /// Reads all records. Call once, before everything else. Errors: session_unusable.
  [[nodiscard]] Result<void> fill();

  /// Readable when update() may have changes.
  [[nodiscard]] int fd() const { return watch_.fd(); }

  struct Changes {
    bool everything = false;
    std::vector<std::string> ids;  ///< rows that are new, changed or removed
    [[nodiscard]] bool any() const { return everything || !ids.empty(); }
  };
  [[nodiscard]] Result<Changes> update();

  /// Rows after the cursor `after`, which stays valid while tasks come and go; empty: from the first. Errors: usage.
  [[nodiscard]] Result<Page> page(const Filter& filter, Sort sort, const std::string& after, std::size_t limit);

  /// Rows from the `skip`-th match on, for a screen that is drawn again at each change.
  [[nodiscard]] Page rows_at(const Filter& filter, Sort sort, std::size_t skip, std::size_t limit);

  /// The position of a task among the matches; absent: it does not match.
  [[nodiscard]] std::optional<std::size_t> place_of(const std::string& id, const Filter& filter, Sort sort);

  [[nodiscard]] std::optional<Row> row(const std::string& id) const;
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  /// The folder of its log, which need not exist.
  [[nodiscard]] std::string folder_of(const std::string& id) const;

  /// When it last printed, ms since the epoch; absent: never. Reads the times of the log's files.
  [[nodiscard]] std::optional<std::int64_t> last_output_at(const std::string& id) const;

 private:
  struct Entry;
  using Entries = std::unordered_map<std::string_view, std::unique_ptr<Entry>>;

  std::unique_ptr<Entry> make_entry(const Task& task);
  std::uint32_t pooled(const std::string& text);
  void put(std::unique_ptr<Entry> entry);
  bool erase(const std::string& id);
  void count(const Entry& entry, int by);
  /// True: its row has changed.
  bool look_at(const std::string& id);
  bool set_undelivered();
  [[nodiscard]] Row row_of(const Entry& entry) const;
  [[nodiscard]] bool matches(const Entry& entry, const Filter& filter) const;
  [[nodiscard]] const std::vector<const Entry*>& ordered(Sort sort);
  [[nodiscard]] static std::int64_t key_of(const Entry& entry, Sort sort);

  const TaskManager& manager_;
  store::Session session_;
  Watch watch_;
  Entries entries_;
  std::deque<std::string> pool_;  // owners, agents, folders, labels: few different ones, each in many rows
  std::unordered_map<std::string, std::uint32_t> pooled_;
  std::set<std::string> outbox_;
  Counts counts_;
  std::vector<const Entry*> order_;
  std::optional<Sort> order_is_;
};

}  // namespace perdure::view
