#include "runner/processes/child.h"

#include "runner/os/fd.h"
#include "runner/os/text.h"

#include <cstdlib>

namespace runner {
namespace {

// The OOM killer shall choose the command before its runner; raising the score needs no privilege.
void offer_to_the_oom_killer() {
  constexpr long kMore = 200, kMost = 1000;
  const Fd file(sys::open_at(AT_FDCWD, "/proc/self/oom_score_adj", O_RDWR));
  char buffer[16];
  const long n = file ? sys::read(file.get(), buffer, sizeof buffer) : 0;
  if (n <= 0) return;
  std::string_view text(buffer, static_cast<unsigned long>(n));
  const long wanted = take_number(text) + kMore;
  const auto value = Text<16>() << (wanted < kMost ? wanted : kMost);
  sys::write_at(file.get(), value.c_str(), value.view().size(), 0);
}

// What each one does is the default already (main.cpp).
void unblock_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void fail(int pipe, ExecFailure::Step step, int error) {
  const ExecFailure failure{step, error};
  sys::write(pipe, &failure, sizeof failure);
  sys::exit(127);
}

}  // namespace

void become_like_the_caller(const Inherited& inherited) {
  offer_to_the_oom_killer();
  if (inherited.open_files.rlim_cur != inherited.open_files.rlim_max) ::setrlimit(RLIMIT_NOFILE, &inherited.open_files);
  ::umask(inherited.umask);
  unblock_signals();
}

void become_command(const Spec& spec, const Inherited& inherited, const Limits& limits, const ChildPipes& pipes,
                    const int (&close_first)[4]) {
  // First: while these are open in the child, the runner's death frees no lock and does not end the gate.
  for (const int fd : close_first)
    if (fd >= 0) sys::close(fd);
  // A terminal belongs to a kernel session; its leader also leads a process group.
  if (pipes.terminal) {
    ::setsid();
    ::ioctl(pipes.input, TIOCSCTTY, 0);
  } else {
    ::setpgid(0, 0);
  }
  // Preparations without an effect on others, while the runner commits the record.
  become_like_the_caller(inherited);
  const int no_folder = ::chdir(spec.cwd) != 0 ? errno : 0;
  const int no_limits = limits.apply(*spec.header);
  char go = 0;
  long n = 0;
  while ((n = sys::read(pipes.gate, &go, 1)) == -EINTR) {
  }
  if (n != 1) sys::exit(127);
  if (no_limits < 0) fail(pipes.failure, ExecFailure::limits, -no_limits);
  if (no_folder != 0) fail(pipes.failure, ExecFailure::cwd, no_folder);
  if (pipes.input >= 0) ::dup2(pipes.input, 0);
  ::dup2(pipes.output, 1);
  ::dup2(pipes.output, 2);
  ::execve(spec.program, spec.argv, spec.envp);
  if (errno == ENOEXEC) {
    // A script without a #! line: run by /bin/sh, as a shell would.
    auto** const argv = static_cast<char**>(std::calloc(spec.header->argc + 2UL, sizeof(char*)));
    if (argv != nullptr) {
      static char shell[] = "/bin/sh";
      argv[0] = shell;
      argv[1] = const_cast<char*>(spec.program);
      for (unsigned i = 1; i < spec.header->argc; ++i) argv[i + 1] = spec.argv[i];
      ::execve(shell, argv, spec.envp);
    }
  }
  fail(pipes.failure, ExecFailure::exec, errno);
}

}  // namespace runner
