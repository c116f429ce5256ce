#include "runner/hooks/hook_process.h"

#include "runner/os/fd.h"
#include "runner/os/text.h"
#include "runner/processes/tree.h"

#include <poll.h>
#include <sys/uio.h>

namespace runner {
namespace {

constexpr unsigned kKeptOutput = 65536;
constexpr unsigned long kShownCommand = 200;
constexpr long kKillPatienceMs = 5'000;

[[noreturn]] void become_hook(const HookCall& call, const Inherited& inherited, int output) {
  ::setpgid(0, 0);
  become_like_the_caller(inherited);
  // An open file description of its own: a shared one would have one offset for all hooks.
  const auto news = Text<40>() << "/proc/self/fd/" << call.news;
  if (const int in = sys::open_at(AT_FDCWD, news.c_str(), O_RDONLY); in >= 0) ::dup2(in, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  // The folder of a task that has ended may have been removed.
  if (::chdir(call.cwd) != 0 && ::chdir("/") != 0) sys::exit(127);
  static char shell[] = "/bin/sh", flag[] = "-c";
  char* const argv[] = {shell, flag, const_cast<char*>(call.command), nullptr};
  ::execve(shell, argv, call.environment);
  constexpr std::string_view kNoShell = "perdure: there is no /bin/sh to run this hook with\n";
  sys::write(2, kNoShell.data(), kNoShell.size());
  sys::exit(127);
}

// The beginning of a hook's output.
class Printed {
 public:
  void read_from(const Fd& pipe) {
    char discarded[4096];
    while (true) {
      const unsigned long room = kKeptOutput - kept_;
      const long n =
          room > 0 ? sys::read(pipe.get(), bytes_ + kept_, room) : sys::read(pipe.get(), discarded, sizeof discarded);
      if (n == -EINTR) continue;
      if (n <= 0) return;
      if (room > 0) kept_ += static_cast<unsigned>(n);
      all_ += n;
    }
  }
  [[nodiscard]] std::string_view kept() const { return {bytes_, kept_}; }
  [[nodiscard]] long cut_off() const { return all_ - kept_; }

 private:
  char bytes_[kKeptOutput];
  unsigned kept_ = 0;
  long all_ = 0;
};

using Line = Text<600>;

// UTC, as 2026-11-23T09:30:00Z. Not gmtime_r: it links musl's time zones, which add half of the program's size.
void add_time(Line& line) {
  const std::int64_t now = sys::now_ms() / 1000;
  // Years begin in March, so that the leap day is the last day, in eras of 400 years.
  const std::int64_t days = now / 86'400 + 719'468;
  const std::int64_t era_day = days % 146'097;
  const std::int64_t era_year = (era_day - era_day / 1'460 + era_day / 36'524 - era_day / 146'096) / 365;
  const std::int64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
  const std::int64_t march_month = (5 * year_day + 2) / 153;
  const std::int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  const auto two = [&](std::int64_t number, std::string_view behind) {
    line << (number < 10 ? "0" : "") << number << behind;
  };
  line << days / 146'097 * 400 + era_year + (month <= 2 ? 1 : 0) << "-";
  two(month, "-");
  two(year_day - (153 * march_month + 2) / 5 + 1, "T");
  two(now / 3600 % 24, ":");
  two(now / 60 % 60, ":");
  two(now % 60, "Z ");
}

// One write per hook: the lines of hooks that run at the same time must not be mixed.
void write_down(const HookCall& call, std::string_view how, long ran_ms, const Printed& printed) {
  Line line;
  line << "[";
  add_time(line);
  const std::string_view command(call.command);
  line << call.event << ": " << how << " after " << ran_ms
       << " ms: " << first(first(command, command.find('\n')), kShownCommand);
  if (printed.cut_off() > 0) line << "; " << printed.cut_off() << " more bytes of its output were not kept";
  line << "]\n";
  const std::string_view output = printed.kept();
  const std::string_view end = output.empty() || output.back() == '\n' ? "" : "\n";
  iovec parts[3];
  int used = 0;
  for (const std::string_view part : {line.view(), output, end})
    parts[used++] = {const_cast<char*>(part.data()), part.size()};
  if (call.log >= 0) static_cast<void>(sys::checked(::writev(call.log, parts, used)));
}

}  // namespace

void run_hook(const HookCall& call, const Inherited& inherited) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  static Printed printed;
  const std::int64_t started_us = sys::now_us(CLOCK_MONOTONIC);
  const auto ran_ms = [&] { return (sys::now_us(CLOCK_MONOTONIC) - started_us) / 1000; };
  const auto failed = [&](const char* doing, int error) {
    write_down(call, (Text<96>() << "could not be run, " << doing << ": error " << -error).view(), ran_ms(), printed);
  };
  sigset_t child_ended;
  ::sigemptyset(&child_ended);
  ::sigaddset(&child_ended, SIGCHLD);
  const Fd signals(sys::checked(::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK)));
  int ends[2];
  if (const int e = sys::pipe(ends); e < 0) return failed("making a pipe", e);
  const Fd output(ends[0]);
  Fd output_in(ends[1]);
  if (!signals) return failed("waiting for signals", signals.get());
  if (const int e = sys::set_nonblocking(output.get()); e < 0) return failed("reading its output", e);
  const int pid = sys::fork();
  if (pid < 0) return failed("making a process", pid);
  if (pid == 0) become_hook(call, inherited, output_in.get());
  output_in.reset();

  Tree tree("");
  tree.set_command(pid);
  siginfo_t how{};
  bool exited = false;
  bool late = false;
  bool prints = true;
  while (true) {
    const long left = call.timeout_ms - ran_ms();
    pollfd look[2] = {{signals.get(), POLLIN, 0}, {prints ? output.get() : -1, POLLIN, 0}};
    late = left <= 0 || ::poll(look, 2, static_cast<int>(left)) == 0;
    if (late) break;
    printed.read_from(output);
    prints = (look[1].revents & POLLHUP) == 0;  // a closed pipe would stay readable for ever
    signalfd_siginfo ignored{};
    while (sys::read(signals.get(), &ignored, sizeof ignored) > 0) {
    }
    tree.reap_adopted();
    if (!exited && sys::look_at_end(pid, how) == 0 && how.si_pid != 0) {
      exited = true;
      tree.command_ended();
    }
    if (exited && (!tree.has_others() || tree.count() == 0)) break;
  }
  const int survivors = late ? tree.kill_all(kKillPatienceMs) : 0;
  printed.read_from(output);
  Text<160> end;
  if (exited) end << (how.si_code == CLD_EXITED ? "exit " : "signal ") << how.si_status;
  if (late) end << (exited ? ", what it left running killed" : "killed");
  if (survivors > 0) end << ", " << survivors << " processes outlived SIGKILL";
  write_down(call, end.view(), ran_ms(), printed);
}

}  // namespace runner
