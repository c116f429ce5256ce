#pragma once

#include "base/fd.h"
#include "cli/console/call.h"
#include "cli/start/terminal.h"
#include "cli/start/typing.h"
#include "cli/text/terminal_text.h"

#include <signal.h>

#include <chrono>
#include <optional>
#include <string_view>
#include <thread>

namespace perdure::cli {

/// The exit status of a program whose reader has gone, as a filter has it.
inline constexpr int kReaderGone = 141;

/// The signals of a foreground program as something to read, while this lives. For one thread.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The number of a signal that came; 0: none.
  [[nodiscard]] int next() const;

 private:
  sigset_t before_{};
  Fd fd_;
};

/// Standard output while a task's output is shown on it: passed on as it is, or made safe where it is a terminal.
class Screen {
 public:
  enum class How { as_it_is, safe, watched };
  explicit Screen(How how);
  /// False: the reader of standard output has closed it.
  bool show(std::string_view bytes);
  /// Undoes what the output switched on in the terminal.
  void leave();

 private:
  How how_;
  TerminalText text_;
  WatchFilter filter_;
  TerminalModes modes_;
};

/// This program as the foreground of a task: passes its output on, types into it, and turns signals into wishes.
class Foreground {
 public:
  Foreground(TaskManager& manager, TaskId id, Fd output, Screen& screen)
      : manager_(manager), id_(std::move(id)), output_(std::move(output)), screen_(screen) {}

  void type_with(Typing& typing) { typing_ = &typing; }
  /// For attach: the detach key and signals end only the visit, since the task is in the background already.
  void only_visit(bool may_stop) {
    visits_ = true;
    may_stop_ = may_stop;
  }
  void drop_output() { output_.reset(); }
  [[nodiscard]] bool is_reader_gone() const { return reader_gone_; }

  /// Returns true when the output has ended; false when a visitor leaves before.
  Result<bool> attend(const Signals& signals, TerminalSettings& settings);
  /// Waits until the task has ended or was detached.
  Result<ForegroundResult> await_release(const Signals& signals);

 private:
  void on_wish(DetachKeys::Wish wish, TerminalSettings& settings);
  void detach();
  void on_reader_gone();
  void on_signals(const Signals& signals);
  void stop(std::optional<std::chrono::milliseconds> grace);

  TaskManager& manager_;
  TaskId id_;
  Fd output_;
  Screen& screen_;
  Typing* typing_ = nullptr;
  bool interrupted_ = false, reader_gone_ = false, visits_ = false, may_stop_ = true, left_ = false;
  std::jthread first_, second_;
};

struct PipeEnds {
  Fd out, in;
};
[[nodiscard]] Result<PipeEnds> make_pipe();

}  // namespace perdure::cli
