#include "cli/console/print.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "cli/console/call.h"
#include "cli/console/text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace perdure::cli {
namespace {

std::string* held_back = nullptr;

constexpr int kTimedOut = 124, kLost = 125, kStopped = 143;

std::string& done() {
  static std::string what;
  return what;
}

void write_all_to(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && fd == STDOUT_FILENO) {
      const int error = errno;
      if (!done().empty()) note(fmt::format("perdure: {}; the answer can't be printed", done()));
      if (error == EPIPE) std::_Exit(141);  // the reader has closed it: the exit status of a filter
      if (!done().empty()) std::_Exit(0);
      note(fmt::format("perdure: printing the answer: {}", describe_errno(error)));
      std::_Exit(1);
    }
    if (n < 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string_view colour_of(Status status) {
  switch (status) {
    case Status::completed: return "\033[32m";
    case Status::failed:
    case Status::lost: return "\033[31m";
    case Status::timed_out:
    case Status::killed: return "\033[33m";
    case Status::running: return "\033[36m";
    case Status::queued: return "";
  }
  return "";
}

}  // namespace

bool wants_colour() {
  static const bool wanted =
      stdout_is_terminal() && !environment("NO_COLOR") && environment("TERM").value_or("dumb") != "dumb";
  return wanted;
}

void note_done(std::string what) {
  done() = std::move(what);
}

void guard_standard_streams() {
  pollfd streams[] = {{STDIN_FILENO, 0, 0}, {STDOUT_FILENO, 0, 0}, {STDERR_FILENO, 0, 0}};
  static_cast<void>(::poll(streams, 3, 0));  // asks for nothing: only one that is not open says something
  for (const auto& [fd, events, found] : streams)
    if ((found & POLLNVAL) != 0) static_cast<void>(::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY));
}

void hold_back_output(std::string* into) {
  held_back = into;
}

void put(std::string_view text) {
  if (held_back != nullptr) {
    held_back->append(text);
  } else {
    write_all_to(STDOUT_FILENO, text);
  }
}

void put_line(std::string_view line) {
  put(std::string(line) + "\n");
}

void note(std::string_view line) {
  write_all_to(STDERR_FILENO, std::string(line) + "\n");
}

bool stdout_is_terminal() {
  static const bool is = ::isatty(STDOUT_FILENO) == 1;
  return is;
}

bool stderr_is_terminal() {
  static const bool is = ::isatty(STDERR_FILENO) == 1;
  return is;
}

std::size_t terminal_columns() {
  winsize size{};
  if (!stdout_is_terminal() || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string coloured(Status status, std::string_view text) {
  if (!wants_colour() || colour_of(status).empty()) return std::string(text);
  return fmt::format("{}{}\033[0m", colour_of(status), text);
}

std::string after_text(const Task& task) {
  std::string text;
  for (std::string_view rest = task.queue.after ? std::string_view(*task.queue.after) : std::string_view();
       !rest.empty();) {
    std::string_view id = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), id.size() + 1));
    const bool is_any = id.starts_with('~');
    if (is_any) id.remove_prefix(1);
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", id, is_any ? " (however it ends)" : "");
  }
  return text;
}

std::string outcome_text(const Task& task) {
  if (task.found.unrecorded_end) return *task.found.unrecorded_end;
  std::string text(task.kind == Kind::question && task.status == Status::running ? "open" : name_of(task.status));
  if (task.queue.place) text += fmt::format(", place {}", *task.queue.place);
  if (task.status == Status::queued && !task.queue.place && task.queue.after)
    text += fmt::format(", after {}", after_text(task));
  if (!task.detached && !is_terminal(task.status)) text += " in the foreground";
  if (task.question.outcome) text += fmt::format(", {}", name_of(*task.question.outcome));
  if (task.timed_out_by == "idle") text += ", no output for too long";
  if (task.process.exit_code) text += fmt::format(", exit code {}", *task.process.exit_code);
  if (task.process.signal) text += fmt::format(", signal {}", *task.process.signal);
  if (task.lost_evidence) text += fmt::format(", evidence {}", name_of(*task.lost_evidence));
  if (task.stop_reason) text += fmt::format(": {}", harmless_line(*task.stop_reason));
  if (task.found.runner_gone)
    text += task.status == Status::queued ? " (asleep: perdure reconcile)"
                                          : ", its runner was killed: `perdure reconcile` ends what is left";
  if (task.found.unverified && task.executor && task.executor->silent_since) {
    text += fmt::format(", not heard since {}",
                        time_text(ms_of(task.executor->seen_at).value_or(ms_of(*task.executor->silent_since))));
    if (task.executor->reason) text += fmt::format(": {}", harmless_line(*task.executor->reason));
  } else if (task.found.unverified) {
    text += ", not verified";
  }
  if (task.found.paused) text += fmt::format(", paused: `perdure signal {} CONT` lets it go on", task.id.str());
  if (task.status == Status::queued && task.executor && task.executor->state)
    text += fmt::format(", {}{}", harmless_line(*task.executor->state),
                        task.executor->reason ? " (" + harmless_line(*task.executor->reason) + ")" : "");
  return text;
}

std::string place_text(const ExecutorState& executor) {
  std::string text = executor.name;
  if (executor.type == "slurm" && executor.place) text += " job " + *executor.place;
  if (executor.node) text += fmt::format(" ({})", *executor.node);
  return text;
}

int exit_status_of(const Task& task) {
  switch (task.status) {
    case Status::completed: return 0;
    case Status::failed: return task.process.signal ? 128 + *task.process.signal : task.process.exit_code.value_or(1);
    case Status::timed_out: return kTimedOut;
    case Status::killed: return kStopped;
    case Status::lost: return kLost;
    case Status::queued:
    case Status::running: return task.found.unverified ? kLost : 1;
  }
  return 1;
}

std::string task_json(const Task& task) {
  JsonObject json(record_json(task));
  if (task.found.runner_gone) json.add("runnerGone", true);
  if (task.found.unverified) json.add("unverified", true);
  if (task.found.unrecorded_end) json.add("unrecordedEnd", *task.found.unrecorded_end);
  if (task.found.existing) json.add("existing", true).add("sameCommand", task.found.same_command);
  if (task.found.paused) json.add("paused", true);
  if (task.found.has_leftovers) json.add("hasLeftovers", true);
  return json.str();
}

std::string tasks_json(const std::vector<Task>& tasks) {
  JsonArray json;
  for (const auto& task : tasks) json.add(RawJson{task_json(task)});
  return json.json().text;
}

std::string error_json(const Error& error) {
  JsonObject details;
  for (const auto& [name, value] : error.details) details.add(name, value);
  const auto about = JsonObject()
                         .add("code", name_of(error.code))
                         .add("message", error.message)
                         .add("retryable", error.retryable())
                         .add("details", details.json());
  return JsonObject().add("error", about.json()).str();
}

Progress::Progress() : wanted_(stderr_is_terminal() && environment("TERM").value_or("dumb") != "dumb") {}

Progress::~Progress() {
  if (shown_) write_all_to(STDERR_FILENO, "\r\033[K");
}

void Progress::show(std::string_view text) {
  if (!wanted_) return;
  shown_ = true;
  write_all_to(STDERR_FILENO, fmt::format("\r\033[K{}", text));
}

Interrupts::Interrupts() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Interrupts::~Interrupts() {
  ::close(fd_);
}

bool Interrupts::came() const {
  pollfd look{.fd = fd_, .events = POLLIN};
  return ::poll(&look, 1, 0) > 0;
}

}  // namespace perdure::cli
