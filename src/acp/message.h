#pragma once

#include <string>
#include <string_view>

namespace perdure::acp {

/// The last of the messages that an agent sends in pieces: what a turn has to say in the end. Not thread-safe.
class FinalMessage {
 public:
  static constexpr std::size_t kMostBytes = 8 << 20;

  /// `id` is the message's own, "" where the agent gives none: then what comes between two pieces ends the message.
  void add(std::string_view id, std::string_view text);
  /// Something that is no piece of a message.
  void interrupt() { interrupted_ = true; }
  /// With a line end, and with a note where it was cut; "" where there is none.
  [[nodiscard]] std::string text() const;

 private:
  std::string id_, text_;
  bool interrupted_ = false, cut_ = false;
};

}  // namespace perdure::acp
