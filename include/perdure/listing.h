#pragma once

#include <perdure/manager.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace perdure {

/// Which tasks, and how many of them: applied before the work.
struct ListingFilter {
  ListFilter tasks = {};
  std::optional<std::string> name = {};
  std::vector<std::pair<std::string, std::optional<std::string>>> labels = {};  ///< all of them; absent: of any value
  std::optional<TimePoint> since = {};                                          ///< started then or later
  std::optional<std::size_t> limit = {};  ///< all that run and of the ended ones the newest, so many together
};

/// What a list shows of a task: the few members that are cheap to have for a hundred thousand tasks. As in Task.
struct TaskRow {
  TaskId id;
  Kind kind = Kind::process;
  Status status = Status::running;
  bool detached = true;
  std::string description = {};
  std::optional<std::string> name = {}, owner = {};
  TimePoint started_at = {};
  std::optional<TimePoint> ended_at = {};
  std::optional<int> exit_code = {}, signal = {};
  std::optional<std::string> agent_type = {}, agent_id = {};
  std::string executor_name = {}, executor_type = {};  ///< empty: it runs here
  std::optional<std::string> executor_place = {}, executor_node = {};
  std::optional<int> queue_place = {};
  int restarts = 0;                  ///< of a running task: attempts that have ended
  bool is_between_attempts = false;  ///< the command is started again after a delay
  bool runner_gone = false, unverified = false, paused = false, has_leftovers = false;
  std::optional<std::string> unrecorded_end = {};
};

/// TaskManager::list() as rows, for sessions with many tasks: a hundred bytes are kept of each ended one, and the rest is
/// read when it is asked for. By start, oldest first; what waits in the queue last. Never writes.
class PERDURE_API Listing {
 public:
  [[nodiscard]] static Result<Listing> of(const TaskManager& manager, const ListingFilter& filter = {});

  Listing(Listing&&) noexcept;
  Listing& operator=(Listing&&) noexcept;
  ~Listing();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] TaskRow row(std::size_t place) const;
  /// The whole task: an ended one is read now. Absent: it was removed meanwhile.
  [[nodiscard]] Result<std::optional<Task>> task(std::size_t place) const;

  /// Ended tasks that ListingFilter::limit kept out.
  [[nodiscard]] std::size_t left_out() const;
  /// With ListFilter::ended: files that look like records and are none, by path.
  [[nodiscard]] const std::vector<BadRecord>& bad() const;

 private:
  struct Parts;
  explicit Listing(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace perdure
