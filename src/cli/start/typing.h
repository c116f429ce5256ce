#pragma once

#include "base/fd.h"
#include "base/terminal_line.h"
#include "cli/console/call.h"
#include "cli/start/detach_keys.h"
#include "cli/start/terminal.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace perdure::cli {

/// True where standard input is /dev/null, and for no other device or file. Such an input is not ended for the task:
/// the end would be typed as Ctrl-D at once.
[[nodiscard]] bool is_nothing_to_read();

/// Has a program draw its screen anew for a terminal that was just attached.
///
/// A program draws everything when the size of its terminal changes. Where the size differs already, one change does it.
/// Where it does not, the terminal is made one row smaller, and gets its size a moment later: a program that is still
/// drawing for a first SIGWINCH loses a second one (ncurses looks for it only when a read is interrupted). For the same
/// reason the program gets a last SIGWINCH when it had time to draw.
class Redraw {
 public:
  explicit Redraw(int terminal) : terminal_(terminal) {}
  ~Redraw() { end(); }
  Redraw(const Redraw&) = delete;
  Redraw& operator=(const Redraw&) = delete;

  void begin(TerminalSize size);
  /// The caller's terminal changed its size meanwhile.
  void follow(TerminalSize size);
  /// Milliseconds until go_on() has something to do; -1: never.
  [[nodiscard]] int patience_ms() const;
  void go_on();
  /// The terminal has its size, whatever step it was at. Must be called before the terminal is closed.
  void end();

 private:
  enum class Step { none, give_size, remind };
  using Clock = std::chrono::steady_clock;

  void set(TerminalSize size) const;
  void next(Step step, std::chrono::milliseconds after);

  int terminal_;
  TerminalSize size_{};
  Step step_ = Step::none;
  Clock::time_point due_;
};

/// What the caller types, on its way to the task. No byte is lost: while the task's input has no room, the bytes are kept
/// and no more are read (I02). For one thread.
class Typing {
 public:
  Typing(TaskManager& manager, TaskId id, TaskManager::HeldInput held, char key, TerminalSettings& settings);
  ~Typing() { close(); }
  Typing(const Typing&) = delete;
  Typing& operator=(const Typing&) = delete;

  /// Sets the caller's terminal to raw mode and the task's terminal to the caller's size.
  void resume();
  void resize();
  void redraw();
  void go_on_drawing() { redraw_.go_on(); }

  /// The events of standard input to poll for; 0: none.
  [[nodiscard]] short stdin_events() const;
  /// The descriptor to poll for room; -1: nothing waits to be written.
  [[nodiscard]] int input() const { return pending_.empty() ? -1 : input_.get(); }
  /// Milliseconds until passed() has something to do; -1: never.
  [[nodiscard]] int patience_ms() const;

  DetachKeys::Wish read();
  /// Nothing came for as long as patience_ms() said.
  DetachKeys::Wish passed();
  void write();

 private:
  static constexpr int kBetweenEndsMs = 150, kMostEnds = 10;

  [[nodiscard]] bool types_end() const { return ended_ && is_raw_ && input_ && pending_.empty() && ends_ < kMostEnds; }
  [[nodiscard]] int keys_patience_ms() const { return types_end() ? kBetweenEndsMs : keys_.patience_ms(); }
  void type_end();
  void give(std::string_view typed);
  void close();

  TaskManager& manager_;
  TaskId id_;
  Fd input_, lock_;
  bool is_raw_, is_null_ = false, ended_ = false;
  TerminalSettings& settings_;
  DetachKeys keys_;
  TerminalLine line_;
  Redraw redraw_;
  std::string pending_;
  int ends_ = 0;
};

}  // namespace perdure::cli
