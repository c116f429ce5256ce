#pragma once

#include <string>
#include <string_view>

namespace perdure::acp {

/// Collects the last of the messages that an agent sends in pieces: the result of a turn. Not thread-safe.
class FinalMessage {
 public:
  static constexpr std::size_t kMostBytes = 8 << 20;

  /// `id` is the message's own, "" if the agent gives none: then any event between two pieces ends the message.
  void add(std::string_view id, std::string_view text);
  /// Call for an event that is not a piece of a message.
  void interrupt() { interrupted_ = true; }
  /// With a line end, and with a note if it was cut; "" if there is none.
  [[nodiscard]] std::string text() const;

 private:
  std::string id_, text_;
  bool interrupted_ = false, cut_ = false;
};

}  // namespace perdure::acp
