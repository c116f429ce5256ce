#pragma once

#include <perdure/manager.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace perdure {

/// Events::since() one by one, for sessions with many tasks: what is kept of an event are some bytes, and its task and output
/// are read when it is asked for. Never writes.
class PERDURE_API EventLog {
 public:
  /// Events after `seq`, in order of their seq. 0: all that the records still tell.
  [[nodiscard]] static Result<EventLog> of(const TaskManager& manager, std::int64_t seq);
  EventLog(EventLog&&) noexcept;
  EventLog& operator=(EventLog&&) noexcept;
  ~EventLog();

  [[nodiscard]] std::size_t size() const;
  /// Absent: the task was removed meanwhile.
  [[nodiscard]] Result<std::optional<Event>> event(std::size_t place) const;

 private:
  struct Parts;
  explicit EventLog(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace perdure
