#include "cli/start/pid_1.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <time.h>

namespace perdure::cli {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
constexpr timespec kLastPatience{.tv_sec = 1, .tv_nsec = 0};  // of a front end after SIGTERM

int as_shells_say(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

class Pid1 {
 public:
  Pid1(const std::function<int()>& front_end, const std::function<void()>& stop_tasks)
      : front_end_(front_end), stop_tasks_(stop_tasks) {
    ::sigemptyset(&watched_);
    for (const int number : kSignals) ::sigaddset(&watched_, number);
    ::sigaddset(&watched_, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &watched_, &before_);
  }

  int run() {
    child_ = ::fork();
    if (child_ < 0) return go_alone();
    if (child_ == 0) return go_alone();
    while (true) {
      siginfo_t info{};
      const timespec* const patience = told_to_end_ ? &kLastPatience : nullptr;
      const int number =
          patience != nullptr ? ::sigtimedwait(&watched_, &info, patience) : ::sigwaitinfo(&watched_, &info);
      if (number < 0 && errno == EAGAIN) ::kill(child_, SIGKILL);
      if (number == SIGCHLD) reap();
      if (number > 0 && number != SIGCHLD) take(number, info);
      if (over_ && stopper_ == 0) return status_;
    }
  }

 private:
  int go_alone() {
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
    return front_end_();
  }

  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == child_) {
        over_ = true;
        status_ = as_shells_say(status);
      } else if (pid == stopper_) {
        stopper_ = 0;
        told_to_end_ = true;
        if (!over_) ::kill(child_, SIGTERM);
      }
    }
  }

  void take(int number, const siginfo_t& info) {
    if (number == SIGTERM) return stop();
    // If SIGTERM came from the terminal, the child has got it already.
    if (info.si_code != SI_KERNEL && !over_) ::kill(child_, number);
  }

  void stop() {
    if (stopper_ != 0 || told_to_end_) return;
    stopper_ = ::fork();
    if (stopper_ == 0) {
      ::sigprocmask(SIG_SETMASK, &before_, nullptr);
      stop_tasks_();
      std::_Exit(0);
    }
    if (stopper_ > 0) return;
    stopper_ = 0;
    told_to_end_ = true;
    ::kill(child_, SIGTERM);
  }

  const std::function<int()>& front_end_;
  const std::function<void()>& stop_tasks_;
  sigset_t watched_{}, before_{};
  pid_t child_ = 0, stopper_ = 0;
  bool told_to_end_ = false, over_ = false;
  int status_ = 0;
};

}  // namespace

int run_as_pid_1(const std::function<int()>& front_end, const std::function<void()>& stop_tasks) {
  return Pid1(front_end, stop_tasks).run();
}

}  // namespace perdure::cli
