#include "cli/start/foreground.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/terminal_line.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/detach_keys.h"
#include "cli/start/terminal.h"
#include "cli/text/terminal_text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <thread>

namespace perdure::cli {
namespace {

constexpr int kReaderGone = 141;  // as every filter ends
constexpr int kDetached = 75;     // the task runs on, as after a wait that gave up

// Signals as something to read. They are given back when it goes.
class Signals {
 public:
  Signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE, SIGWINCH, SIGCONT}) ::sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
    fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Signals() {
    while (next() != 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  // 0: none.
  [[nodiscard]] int next() const {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  Fd fd_;
};

// False: nobody reads it any more.
bool pass_on(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd room{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
      continue;
    }
    if (n < 0 && errno != EPIPE && !stdout_is_terminal())
      note(fmt::format("perdure: writing the output of the command: {}", describe_errno(errno)));
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// /dev/null, and no other device or file. It does not end the task's input: Ctrl-D would be typed at once.
bool is_nothing_to_read() {
  struct stat about{};
  return ::fstat(STDIN_FILENO, &about) == 0 && S_ISCHR(about.st_mode) && ::isatty(STDIN_FILENO) != 1;
}

// What is typed, on its way to the task. Nothing is lost: what finds no room is kept, and no more is read meanwhile (I02).
class Typing {
 public:
  Typing(TaskManager& manager, TaskId id, TaskManager::HeldInput held, char key, TerminalSettings& settings)
      : manager_(manager),
        id_(std::move(id)),
        input_(held.input.release()),
        lock_(held.lock.release()),
        is_raw_(held.is_terminal),
        settings_(settings),
        keys_(is_raw_ && ::isatty(STDIN_FILENO) == 1 ? key : '\0') {
    is_null_ = is_nothing_to_read();
    ::fcntl(input_.get(), F_SETFL, ::fcntl(input_.get(), F_GETFL) | O_NONBLOCK);
    resume();
  }

  /// The terminal is as the task needs it, and the task's as large as the caller's.
  void resume() {
    if (!is_raw_ || ::isatty(STDIN_FILENO) != 1) return;
    settings_.make_raw();
    resize();
  }

  void resize() const {
    if (const auto size = is_raw_ ? size_of_terminal() : std::nullopt) set_size(size->rows, size->columns);
  }

  // A change of size, and back, has a program draw its screen again.
  void redraw() const {
    const auto size = is_raw_ ? size_of_terminal() : std::nullopt;
    if (!size) return;
    set_size(static_cast<unsigned short>(size->rows > 1 ? size->rows - 1 : size->rows + 1), size->columns);
    set_size(size->rows, size->columns);
  }

  [[nodiscard]] short stdin_events() const {
    const bool may_read = ::isatty(STDIN_FILENO) != 1 || has_terminal_input();
    return input_ && !is_null_ && !ended_ && pending_.empty() && may_read ? POLLIN : 0;
  }
  [[nodiscard]] int input() const { return pending_.empty() ? -1 : input_.get(); }
  [[nodiscard]] int patience_ms() const { return types_end() ? kBetweenEndsMs : keys_.patience_ms(); }

  DetachKeys::Wish read() {
    char part[4096];
    const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return DetachKeys::Wish::none;
    if (n <= 0) {
      // A terminal that was closed is not the end of what is typed: the task goes on without us.
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

  DetachKeys::Wish patience_passed() {
    if (types_end()) {
      type_end();
      return DetachKeys::Wish::none;
    }
    std::string typed;
    const auto wish = keys_.passed(typed);
    give(typed);
    return wish;
  }

  void write() {
    while (!pending_.empty()) {
      const ssize_t n = ::write(input_.get(), pending_.data(), pending_.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) return close();  // the command reads no more
      pending_.erase(0, static_cast<std::size_t>(n));
    }
    if (ended_ && input_ && !is_raw_) {
      close();
      static_cast<void>(manager_.close_input(id_));  // one that has ended has none to close
    }
  }

 private:
  static constexpr int kBetweenEndsMs = 150, kMostEnds = 10;

  [[nodiscard]] bool types_end() const { return ended_ && is_raw_ && input_ && pending_.empty() && ends_ < kMostEnds; }

  // The end of a pipe stays an end; Ctrl-D is one key, which a program that changes its terminal's settings just then
  // loses. So it is typed when all before it was read, and again while the task is silent and does not end.
  void type_end() {
    const Fd other_side(::ioctl(input_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    int unread = 0;
    if (other_side && ::ioctl(other_side.get(), FIONREAD, &unread) == 0 && unread > 0) return;
    ++ends_;
    static_cast<void>(manager_.close_input(id_));
  }

  void give(std::string_view typed) {
    const std::size_t fits = is_raw_ ? line_.fits(input_.get(), typed) : typed.size();
    pending_ += typed.substr(0, fits);
    if (fits < typed.size())
      note(fmt::format("perdure: {} bytes were not typed: the task's terminal takes lines of at most {} bytes",
                       typed.size() - fits, kMostTerminalLine));
    write();
  }
  void set_size(unsigned short rows, unsigned short columns) const {
    winsize size{};
    size.ws_row = rows;
    size.ws_col = columns;
    if (input_) ::ioctl(input_.get(), TIOCSWINSZ, &size);
  }
  void close() {
    pending_.clear();
    input_.reset();
    lock_.reset();
  }

  TaskManager& manager_;
  TaskId id_;
  Fd input_, lock_;
  bool is_raw_, is_null_ = false, ended_ = false;
  TerminalSettings& settings_;
  DetachKeys keys_;
  TerminalLine line_;
  std::string pending_;
  int ends_ = 0;
};

// What comes to the terminal, as it may.
class Screen {
 public:
  enum class How { as_it_is, safe, watched };
  // Whether it is a terminal is asked now: one that was closed is none any more.
  explicit Screen(How how) : how_(how), text_(wants_colour(), true) { static_cast<void>(stdout_is_terminal()); }
  // False: nobody reads it any more.
  bool show(std::string_view bytes) {
    if (!stdout_is_terminal()) return pass_on(bytes);
    if (how_ == How::safe) return pass_on(text_.take(bytes));
    const std::string filtered = how_ == How::watched ? filter_.take(bytes) : std::string();
    const std::string_view shown = how_ == How::watched ? std::string_view(filtered) : bytes;
    modes_.see(shown);
    return pass_on(shown);
  }
  void leave() {
    if (!stdout_is_terminal()) return;
    if (how_ == How::safe) pass_on(text_.finish());
    pass_on(modes_.undo());
  }

 private:
  How how_;
  TerminalText text_;
  WatchFilter filter_;
  TerminalModes modes_;
};

class Foreground {
 public:
  Foreground(TaskManager& manager, TaskId id, Fd output, Screen& screen)
      : manager_(manager), id_(std::move(id)), output_(std::move(output)), screen_(screen) {}

  void type_with(Typing& typing) { typing_ = &typing; }
  // The key and signals that detach leave the task alone: it is in the background already.
  void only_visit(bool may_stop) {
    visits_ = true;
    may_stop_ = may_stop;
  }
  void drop_output() { output_.reset(); }
  [[nodiscard]] bool is_reader_gone() const { return reader_gone_; }

  // Until the output has ended, or a visitor leaves: then false.
  Result<bool> attend(const Signals& signals, TerminalSettings& settings) {
    static char buffer[65536];
    while (output_) {
      const int patience = typing_ != nullptr ? typing_->patience_ms() : -1;
      pollfd fds[] = {{.fd = output_.get(), .events = POLLIN, .revents = 0},
                      {.fd = signals.fd(), .events = POLLIN, .revents = 0},
                      {.fd = stdout_is_terminal() ? -1 : STDOUT_FILENO, .events = 0, .revents = 0},
                      {.fd = typing_ != nullptr && typing_->stdin_events() != 0 ? STDIN_FILENO : -1,
                       .events = POLLIN,
                       .revents = 0},
                      {.fd = typing_ != nullptr ? typing_->input() : -1, .events = POLLOUT, .revents = 0}};
      const int n = ::poll(fds, 5, patience);
      if (n < 0 && errno != EINTR) return fail_errno("waiting for", id_.str());
      if (n < 0) continue;
      if (fds[1].revents != 0) on_signals(signals);
      if (fds[3].revents != 0) on_wish(typing_->read(), settings);
      if (n == 0 && patience >= 0) on_wish(typing_->patience_passed(), settings);
      if (fds[4].revents != 0) typing_->write();
      if (left_) return false;
      if ((fds[2].revents & POLLERR) != 0 && !reader_gone_) on_reader_gone();
      if (fds[0].revents == 0) continue;
      const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        output_.reset();
      } else if (!reader_gone_ && !screen_.show({buffer, static_cast<std::size_t>(got)})) {
        on_reader_gone();
      }
    }
    return true;
  }

  Result<ForegroundResult> await_release(const Signals& signals) {
    while (true) {
      auto released = manager_.wait_for_release(id_, std::nullopt, Cancellation::when_readable(signals.fd()));
      if (!released || released->how != Release::waiting) return released;
      on_signals(signals);
    }
  }

 private:
  void on_wish(DetachKeys::Wish wish, TerminalSettings& settings) {
    if (wish == DetachKeys::Wish::detach) detach();
    if (wish != DetachKeys::Wish::suspend) return;
    settings.restore();
    ::raise(SIGSTOP);  // the task goes on; SIGCONT is read from the descriptor
    if (typing_ != nullptr) typing_->resume();
  }

  void detach() {
    left_ = visits_;
    if (visits_) return;
    if (auto detached = manager_.detach(id_); !detached) note("perdure: " + detached.error().message);
  }

  // As a pipeline's commands end when nobody reads them. A terminal that was closed leaves the task alone.
  void on_reader_gone() {
    left_ = visits_;
    output_.reset();
    if (stdout_is_terminal()) return detach();
    reader_gone_ = true;
    if (!visits_) stop(std::nullopt);
  }

  void on_signals(const Signals& signals) {
    while (const int number = signals.next()) {
      if (number == SIGPIPE) continue;
      if (number == SIGWINCH || number == SIGCONT) {
        if (typing_ != nullptr && number == SIGCONT) typing_->resume();
        if (typing_ != nullptr) typing_->resize();
        continue;
      }
      if (number != SIGINT || (visits_ && !may_stop_)) {
        detach();
        continue;
      }
      stop(interrupted_ ? std::optional(std::chrono::milliseconds(0)) : std::nullopt);
      interrupted_ = true;
    }
  }

  // Beside us, since the output goes on until the end. The second Ctrl-C does not wait for the first one's grace.
  void stop(std::optional<std::chrono::milliseconds> grace) {
    const auto ask = [this, grace] {
      auto stopped = manager_.stop(
          id_, {.reason = reader_gone_ ? "Nobody reads its output any more" : "Stopped by the person who ran it",
                .grace = grace});
      if (!stopped && stopped.error().code != ErrorCode::task_not_found) note("perdure: " + stopped.error().message);
    };
    std::jthread& thread = grace ? second_ : first_;
    if (thread.joinable()) return;
    try {
      thread = std::jthread(ask);
    } catch (const std::system_error&) {
      output_.reset();  // no thread to be had: then its output has to wait
      ask();
    }
  }

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
Result<PipeEnds> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe for", "the output");
  return PipeEnds{.out = Fd(ends[0]), .in = Fd(ends[1])};
}

// The output of a task from `offset` on, into a pipe, until it ends or the pipe's reader has gone.
void follow(const TaskManager& manager, const TaskId& id, std::int64_t offset, const Fd& pipe, int cancel_fd) {
  constexpr std::int64_t kWindow = 65'536;
  while (true) {
    auto chunk = manager.read_output(id, offset, kWindow);
    if (!chunk && chunk.error().code == ErrorCode::output_expired) {
      const auto next = parse_integer(chunk.error().details["nextOffset"], 0, INT64_MAX);
      if (!next) return;
      offset = *next;
      continue;
    }
    if (!chunk) return;
    std::string_view rest = chunk->bytes;
    while (!rest.empty()) {
      const ssize_t n = ::write(pipe.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    offset = chunk->next_offset;
    pollfd cancelled{.fd = cancel_fd, .events = POLLIN, .revents = 0};
    if (chunk->eof || ::poll(&cancelled, 1, 0) > 0) return;
    if (chunk->bytes.empty() && !manager.await_output(id, offset, std::nullopt, Cancellation::when_readable(cancel_fd)))
      return;
  }
}

// Where the last lines of the output begin.
Result<std::int64_t> start_of_last_lines(const TaskManager& manager, const TaskId& id, int lines) {
  constexpr std::int64_t kTail = 16'384;
  auto shown = manager.output_snapshot(id, 0);
  if (!shown) return std::unexpected(shown.error());
  if (lines <= 0) return shown->size_bytes;
  const std::int64_t from = std::max<std::int64_t>(0, shown->size_bytes - kTail);
  auto chunk = manager.read_output(id, from, kTail);
  if (!chunk) return shown->size_bytes;
  std::size_t at = chunk->bytes.size();
  for (int i = 0; i <= lines && at != std::string::npos && at > 0; ++i) at = chunk->bytes.rfind('\n', at - 1);
  return from + (at == std::string::npos || at == 0 ? 0 : static_cast<std::int64_t>(at) + 1);
}

}  // namespace

Result<int> run_in_foreground(TaskManager& manager, StartOptions start, const std::string& detach_keys,
                              TypedInput input) {
  auto key = parse_detach_keys(detach_keys);
  if (!key) return std::unexpected(key.error());
  auto ends = make_pipe();
  if (!ends) return std::unexpected(ends.error());
  // With a terminal of its own, what we read is typed into it; nothing to read is not.
  const bool is_typed =
      input == TypedInput::callers && (::isatty(STDIN_FILENO) == 1 || (start.terminal && !is_nothing_to_read()));
  if (input == TypedInput::callers && !start.terminal) {
    start.input = is_typed ? Input::pipe : Input::inherit;
    if (!is_typed) start.input_fd = STDIN_FILENO;
  }
  start.detached = false;
  start.stream_fd = ends->in.get();
  const Signals signals;
  auto task = manager.start(start);
  if (!task) return std::unexpected(task.error());
  ends->in.reset();
  if (task->found.existing) return attach(manager, task->id, detach_keys, false);
  TerminalSettings settings;
  Screen screen(Screen::How::as_it_is);
  Foreground foreground(manager, task->id, std::move(ends->out), screen);
  std::optional<Typing> typing;
  if (is_typed)
    if (auto held = manager.hold_input(task->id)) {
      typing.emplace(manager, task->id, std::move(*held), *key, settings);
      foreground.type_with(*typing);
    }
  if (!start.terminal || !is_typed) settings.set_quit_key(*key);
  auto attended = foreground.attend(signals, settings);
  if (!attended) return std::unexpected(attended.error());
  auto released = foreground.await_release(signals);
  screen.leave();
  settings.restore();
  typing.reset();
  if (!released) return std::unexpected(released.error());
  if (foreground.is_reader_gone()) return kReaderGone;
  if (released->how != Release::terminal) {
    note(task->id.str());
    return kDetached;
  }
  if (released->task.status != Status::completed && released->task.status != Status::failed)
    note("perdure: " + outcome_text(released->task));
  if (released->task.process.leftovers.value_or(0) > 0)
    note(fmt::format("perdure: {0} processes that the command started live on: `perdure stop {1}` ends them",
                     *released->task.process.leftovers, task->id.str()));
  return exit_status_of(released->task);
}

Result<int> attach(TaskManager& manager, const TaskId& id, const std::string& detach_keys, bool read_only) {
  auto key = parse_detach_keys(detach_keys);
  if (!key) return std::unexpected(key.error());
  auto task = manager.get(id);
  if (!task) return std::unexpected(task.error());
  if (manager.own_task() == id) return fail(ErrorCode::usage, fmt::format("{} can't attach to itself", id.str()));
  if (is_terminal(task->status))
    return fail(ErrorCode::task_not_running, fmt::format("{} has ended: see `perdure output {}`", id.str(), id.str()));
  if (task->status == Status::queued || task->kind != Kind::process)
    return fail(ErrorCode::usage, fmt::format("{} has no terminal and no input to attach to", id.str()));
  const bool has_terminal = task->process.input == "terminal";
  TerminalSettings settings;
  std::optional<Typing> typing;
  const Signals signals;
  if (!read_only) {
    auto held = manager.hold_input(id);
    if (!held && held.error().code == ErrorCode::usage)
      held.error().message += fmt::format("; watch it with `perdure attach {} --read-only`", id.str());
    if (!held) return std::unexpected(held.error());
    typing.emplace(manager, id, std::move(*held), *key, settings);
  }
  auto from = start_of_last_lines(manager, id, has_terminal ? 0 : 10);
  if (!from) return std::unexpected(from.error());
  auto ends = make_pipe();
  if (!ends) return std::unexpected(ends.error());
  const Fd cancel(::eventfd(0, EFD_CLOEXEC));
  Screen screen(!has_terminal ? Screen::How::safe : read_only ? Screen::How::watched : Screen::How::as_it_is);
  Foreground visit(manager, id, std::move(ends->out), screen);
  visit.only_visit(!read_only);
  if (typing) visit.type_with(*typing);
  if (!has_terminal || read_only) settings.set_quit_key(*key);
  Result<bool> stayed = true;
  {
    std::jthread follower([&] {
      follow(manager, id, *from, ends->in, cancel.get());
      ends->in.reset();
    });
    if (typing) typing->redraw();
    stayed = visit.attend(signals, settings);
    const std::uint64_t one = 1;
    static_cast<void>(::write(cancel.get(), &one, sizeof one) == 0);
    visit.drop_output();
  }
  screen.leave();
  settings.restore();
  typing.reset();
  if (!stayed) return std::unexpected(stayed.error());
  if (visit.is_reader_gone()) return kReaderGone;
  if (!*stayed) {
    note(fmt::format("perdure: left {}, which runs on", id.str()));
    return 0;
  }
  auto waited =
      manager.wait({.ids = {id}, .cancel = Cancellation::when_readable(signals.fd()), .part_of_longer_wait = true});
  if (!waited) return std::unexpected(waited.error());
  note(fmt::format("perdure: {}: {}", id.str(), outcome_text(waited->only())));
  return exit_status_of(waited->only());
}

}  // namespace perdure::cli
