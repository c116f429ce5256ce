// perdure-runner SESSION TASKID [ENTRY]: owns one task from its launch to its committed end, even if the process that
// started it dies. Started by the manager only: descriptor 3 is the launch specification, descriptor 4 takes the
// answer. ENTRY: the task is queued already, in this file of queue/.
//
// perdure-runner --version: "perdure-runner VERSION launch N", where N is the version of the launch specification.
//
// Exit status: 0 the task's record was committed, or the launch was answered with an error; 2 not started by a manager.
// In place, as a batch job: the same as that of `perdure run --wait`. See docs/internals/runner.md.

#include "contract/launch_spec.h"
#include "contract/names.h"
#include "runner/question.h"
#include "runner/run.h"

#include <charconv>
#include <cstdlib>
#include <new>

namespace {

using namespace perdure::contract;

constexpr int kUsage = 2, kNotStarted = 126;

void say(int fd, std::string_view text) {
  sys::write(fd, text.data(), text.size());
}

int say_usage() {
  say(2, "perdure-runner: this program is started by perdure: use `perdure run`\n");
  return kUsage;
}

// The ignored signals as bits, SIGHUP first; all bits if /proc can not be read.
unsigned long ignored_signals() {
  constexpr std::string_view kKey = "\nSigIgn:\t";
  char buffer[4096];
  const runner::Fd status(sys::open_at(AT_FDCWD, "/proc/self/status", O_RDONLY));
  const long n = status ? sys::read(status.get(), buffer, sizeof buffer) : 0;
  const std::string_view text(buffer, n > 0 ? static_cast<unsigned long>(n) : 0);
  const auto at = text.find(kKey);
  unsigned long bits = ~0UL;
  if (at != std::string_view::npos)
    std::from_chars(text.data() + at + kKey.size(), text.data() + text.size(), bits, 16);
  return bits;
}

// A hang-up of the terminal, Ctrl-C or a broken pipe must not end a runner: all signals are blocked, two of them are
// read. None stays ignored: children of a runner that ignores SIGCHLD are reaped without a status, and an exec passes
// ignored signals on. /proc says which ones are ignored.
void take_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  struct sigaction plain{};
  plain.sa_handler = SIG_DFL;
  const unsigned long ignored = ignored_signals();
  for (int signal = 1; signal < NSIG; ++signal)
    if ((ignored >> (signal - 1) & 1) != 0) ::sigaction(signal, &plain, nullptr);
}

runner::Inherited take_what_changes() {
  runner::Inherited inherited;
  inherited.umask = ::umask(0077);
  ::getrlimit(RLIMIT_NOFILE, &inherited.open_files);
  rlimit more = inherited.open_files;
  more.rlim_cur = more.rlim_max;
  if (more.rlim_cur != inherited.open_files.rlim_cur) ::setrlimit(RLIMIT_NOFILE, &more);
  return inherited;
}

// Of what was inherited the answer stays, and what the launch says is there. The terminal goes, too.
void keep_descriptors(const LaunchSpec& spec) {
  const bool keeps_stream = spec.has_stream != 0, keeps_input = spec.input == SpecInput::inherit;
  const int in = ::open("/dev/null", O_RDONLY);
  const int out = ::open("/dev/null", O_WRONLY);
  if (in >= 0) ::dup2(in, 0);
  if (out >= 0) ::dup2(out, 1);
  if (out >= 0) ::dup2(out, 2);
  // Both were given numbers that are not kept, so they go with the rest.
  sys::close(kSpecFd);
  if (keeps_stream) ::fcntl(kStreamFd, F_SETFD, FD_CLOEXEC);
  if (keeps_input) ::fcntl(kInputFd, F_SETFD, FD_CLOEXEC);
  if (keeps_input && !keeps_stream) sys::close(kStreamFd);
  ::syscall(SYS_close_range, keeps_input ? kInputFd + 1 : keeps_stream ? kStreamFd + 1 : kStreamFd, ~0U, 0);
}

// Runs the hooks of one event, for a task that a manager has settled.
[[noreturn]] void tell_hooks(const runner::Spec& spec, char** argv, const runner::Inherited& inherited, int answer) {
  const runner::Fd tasks(
      sys::open_at(AT_FDCWD, (runner::Text<8192>() << argv[1] << "/" << kTasksDir).c_str(), O_RDONLY | O_DIRECTORY));
  const runner::Fd folder(sys::open_at(tasks.get(), argv[2], O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  runner::Hooks hooks(spec, argv[2], inherited);
  hooks.open(argv[1], folder);
  hooks.prepare(static_cast<runner::HookEvent>(spec.header->only_event));
  sys::write(answer, "telling\n", 8);
  hooks.tell_here();
  sys::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    const auto text = runner::Text<64>() << "perdure-runner " PERDURE_VERSION " launch "
                                         << static_cast<long>(kSpecVersion) << "\n";
    say(1, text.view());
    return 0;
  }
  if (argc < 3 || argc > 4 || ::fcntl(kAnswerFd, F_SETFD, FD_CLOEXEC) != 0) {
    return say_usage();
  }
  const char* const job_ends = std::getenv(kInPlaceVariable);
  take_signals();
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  runner::Inherited inherited = take_what_changes();
  if (job_ends != nullptr) inherited.job_ends = std::atol(job_ends);

  runner::Fd answer(kAnswerFd);
  runner::Spec spec;
  const int unread = spec.read(kSpecFd);
  if (unread == -EBADF) return say_usage();
  if (unread < 0) {
    const auto text = runner::Text<96>() << "failed " << static_cast<long>(-unread)
                                         << " understand the launch: is this perdure-runner of the same version?\n";
    sys::write(answer.get(), text.c_str(), text.view().size());
    return 0;
  }
  if (job_ends != nullptr && spec.add_engine_variables(environ) < 0) return 0;
  keep_descriptors(*spec.header);
  if (spec.header->only_event != 0) tell_hooks(spec, argv, inherited, answer.get());
  // Never destroyed: this process ends by _exit, and a destructor at exit would need a part of the C++ runtime.
  if (spec.header->mode == SpecMode::question) {
    alignas(runner::Question) static char place[sizeof(runner::Question)];
    runner::Question& question = *new (place) runner::Question(spec, argv[2]);
    if (question.launch(argv[1], std::move(answer))) question.supervise();
    sys::exit(0);
  }
  alignas(runner::Run) static char room[sizeof(runner::Run)];
  runner::Run& run = *new (room) runner::Run(spec, argv[2], argc > 3 ? argv[3] : "", inherited);
  const bool started = run.launch(argv[1], std::move(answer));
  if (started) run.supervise();
  // So that the batch engine's accounting, and jobs that depend on this one, see the task's own outcome.
  sys::exit(job_ends == nullptr ? 0 : started ? run.exit_status() : kNotStarted);
}
