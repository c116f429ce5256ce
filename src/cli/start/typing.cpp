#include "cli/start/typing.h"

#include "cli/console/print.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace perdure::cli {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kOneRowLess{150};      // for a program to take note of the smaller size
constexpr milliseconds kBeforeReminder{500};  // for a program to draw itself

}  // namespace

bool is_nothing_to_read() {
  struct stat about{};
  return ::fstat(STDIN_FILENO, &about) == 0 && S_ISCHR(about.st_mode) && ::isatty(STDIN_FILENO) != 1;
}

void Redraw::begin(TerminalSize size) {
  size_ = size;
  winsize current{};
  const bool differs =
      ::ioctl(terminal_, TIOCGWINSZ, &current) != 0 || current.ws_row != size.rows || current.ws_col != size.columns;
  if (differs) {
    set(size);
    return next(Step::remind, kBeforeReminder);
  }
  set({.rows = static_cast<unsigned short>(size.rows > 1 ? size.rows - 1 : size.rows + 1), .columns = size.columns});
  next(Step::give_size, kOneRowLess);
}

void Redraw::follow(TerminalSize size) {
  size_ = size;
  if (step_ != Step::give_size) set(size);
}

int Redraw::patience_ms() const {
  if (step_ == Step::none) return -1;
  const auto left = std::chrono::ceil<milliseconds>(due_ - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void Redraw::go_on() {
  if (patience_ms() != 0) return;
  if (step_ == Step::give_size) {
    set(size_);
    return next(Step::remind, kBeforeReminder);
  }
  step_ = Step::none;
  pid_t in_front = 0;
  if (::ioctl(terminal_, TIOCGPGRP, &in_front) == 0 && in_front > 1) ::kill(-in_front, SIGWINCH);
}

void Redraw::end() {
  if (step_ == Step::give_size) set(size_);
  step_ = Step::none;
}

void Redraw::set(TerminalSize size) const {
  winsize wanted{};
  wanted.ws_row = static_cast<unsigned short>(size.rows);
  wanted.ws_col = static_cast<unsigned short>(size.columns);
  ::ioctl(terminal_, TIOCSWINSZ, &wanted);
}

void Redraw::next(Step step, milliseconds after) {
  step_ = step;
  due_ = Clock::now() + after;
}

Typing::Typing(TaskManager& manager, TaskId id, TaskManager::HeldInput held, char key, TerminalSettings& settings)
    : manager_(manager),
      id_(std::move(id)),
      input_(held.input.release()),
      lock_(held.lock.release()),
      is_raw_(held.is_terminal),
      settings_(settings),
      keys_(is_raw_ && ::isatty(STDIN_FILENO) == 1 ? key : '\0'),
      redraw_(input_.get()) {
  is_null_ = is_nothing_to_read();
  ::fcntl(input_.get(), F_SETFL, ::fcntl(input_.get(), F_GETFL) | O_NONBLOCK);
  resume();
}

void Typing::resume() {
  if (!is_raw_ || ::isatty(STDIN_FILENO) != 1) return;
  settings_.make_raw();
  resize();
}

void Typing::resize() {
  const auto size = is_raw_ && input_ ? size_of_terminal() : std::nullopt;
  if (size) redraw_.follow(*size);
}

void Typing::redraw() {
  const auto size = is_raw_ && input_ ? size_of_terminal() : std::nullopt;
  if (size) redraw_.begin(*size);
}

short Typing::stdin_events() const {
  const bool may_read = ::isatty(STDIN_FILENO) != 1 || has_terminal_input();
  return input_ && !is_null_ && !ended_ && pending_.empty() && may_read ? POLLIN : 0;
}

int Typing::patience_ms() const {
  const int keys = keys_patience_ms();
  const int drawing = redraw_.patience_ms();
  return keys < 0 || drawing < 0 ? std::max(keys, drawing) : std::min(keys, drawing);
}

DetachKeys::Wish Typing::read() {
  char part[4096];
  const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return DetachKeys::Wish::none;
  if (n <= 0) {
    // A closed terminal is not the end of the input: the task continues without this process.
    pollfd look{.fd = STDIN_FILENO, .events = 0, .revents = 0};
    const bool is_gone = ::isatty(STDIN_FILENO) == 1 || errno == EIO;
    is_null_ = n < 0 || (::poll(&look, 1, 0) > 0 && (look.revents & POLLHUP) != 0 && is_gone);
    ended_ = !is_null_;
    write();
    return DetachKeys::Wish::none;
  }
  std::string typed;
  const auto wish = keys_.take({part, static_cast<std::size_t>(n)}, typed);
  give(typed);
  return wish;
}

DetachKeys::Wish Typing::passed() {
  if (redraw_.patience_ms() == 0) {
    redraw_.go_on();
    return DetachKeys::Wish::none;
  }
  if (types_end()) {
    type_end();
    return DetachKeys::Wish::none;
  }
  std::string typed;
  const auto wish = keys_.passed(typed);
  give(typed);
  return wish;
}

void Typing::write() {
  while (!pending_.empty()) {
    const ssize_t n = ::write(input_.get(), pending_.data(), pending_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return close();  // the command has closed its input
    pending_.erase(0, static_cast<std::size_t>(n));
  }
  if (ended_ && input_ && !is_raw_) {
    close();
    static_cast<void>(manager_.close_input(id_));  // fails if the command has ended, which does not matter
  }
}

// A closed pipe stays closed, but Ctrl-D is a single key, which is lost if a program changes its terminal's settings at
// that moment. So it is typed when all input before it was read, and again while the task stays silent and does not end.
void Typing::type_end() {
  const Fd other_side(::ioctl(input_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  int unread = 0;
  if (other_side && ::ioctl(other_side.get(), FIONREAD, &unread) == 0 && unread > 0) return;
  ++ends_;
  static_cast<void>(manager_.close_input(id_));
}

void Typing::give(std::string_view typed) {
  const std::size_t fits = is_raw_ ? line_.fits(input_.get(), typed) : typed.size();
  pending_ += typed.substr(0, fits);
  if (fits < typed.size())
    note(fmt::format("perdure: {} bytes were not typed: the task's terminal takes lines of at most {} bytes",
                     typed.size() - fits, kMostTerminalLine));
  write();
}

void Typing::close() {
  redraw_.end();
  pending_.clear();
  input_.reset();
  lock_.reset();
}

}  // namespace perdure::cli
