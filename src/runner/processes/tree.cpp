#include "runner/processes/tree.h"

#include "contract/control.h"
#include "contract/names.h"
#include "runner/os/fd.h"
#include "runner/os/sys.h"
#include "runner/os/text.h"
#include "runner/processes/inner_runner.h"

#include <cstdlib>

namespace runner {
namespace {

using Path = Text<128>;

constexpr std::int64_t kReapSliceUs = 5'000;
constexpr long kAnswerPatienceMs = 1'000;  // for all runners below together

struct Stat {
  char state = 'X';  // '?': it could not be inspected and may be alive
  int parent = 0;
  int group = 0;
};

Stat stat_of(int pid) {
  char buffer[512];
  const Fd fd(sys::open_at(AT_FDCWD, (Path() << "/proc/" << pid << "/stat").c_str(), O_RDONLY));
  if (is_scarcity(fd.get())) return {'?'};
  std::string_view text = read_all(fd, buffer, sizeof buffer);
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 4 > text.size()) return {};
  text.remove_prefix(name_end + 2);
  const char state = text.front();
  text.remove_prefix(2);
  const int parent = static_cast<int>(take_number(text));
  return {state, parent, static_cast<int>(take_number(text))};
}

// False if the kernel did not tell: then its children are not known.
bool add_children_of_thread(int pid, int thread, Pids& into) {
  Fd fd(sys::open_at(AT_FDCWD, (Path() << "/proc/" << pid << "/task/" << thread << "/children").c_str(), O_RDONLY));
  if (!fd) return false;
  char buffer[1024];
  int number = 0;
  long failure = 0;
  while (true) {
    const long n = sys::read(fd.get(), buffer, sizeof buffer);
    if (n == -EINTR) continue;
    if (n <= 0) {
      failure = n;
      break;
    }
    for (long i = 0; i < n; ++i) {
      if (buffer[i] >= '0' && buffer[i] <= '9') {
        number = number * 10 + (buffer[i] - '0');
      } else if (number > 0) {
        into.add(number);
        number = 0;
      }
    }
  }
  if (number > 0) into.add(number);
  return failure == 0;
}

// Every thread has children of its own. Returns the number of threads; 0 if not all could be read.
int add_children(int pid, Pids& into) {
  Fd folder(sys::open_at(AT_FDCWD, (Path() << "/proc/" << pid << "/task").c_str(), O_RDONLY | O_DIRECTORY));
  if (!folder) return 0;
  alignas(sys::DirEntry) char buffer[2048];
  int threads = 0;
  bool whole = true;
  while (true) {
    const long n = sys::list(folder.get(), buffer, sizeof buffer);
    if (n <= 0) return n == 0 && whole ? threads : 0;
    for (long at = 0; at < n;) {
      const auto* const entry = reinterpret_cast<const sys::DirEntry*>(buffer + at);
      at += entry->length;
      std::string_view name(entry->name);
      const int thread = static_cast<int>(take_number(name));
      if (thread <= 0) continue;
      ++threads;
      whole &= add_children_of_thread(pid, thread, into);
    }
  }
}

// A zombie leader whose other threads run is alive.
bool is_dead(int pid, int threads) {
  const char state = stat_of(pid).state;
  return state == 'X' || (state == 'Z' && threads <= 1);
}

}  // namespace

bool Tree::is_ours(int pid) const {
  const int self = sys::own_pid();
  for (int depth = 0; depth < 4096 && pid > 1; ++depth) {
    const int parent = stat_of(pid).parent;
    if (parent == self) return true;
    pid = parent;
  }
  return false;
}

Answer Tree::find_inner_runner(int pid, int* control) {
  *control = -1;
  if (!is_same_program(pid)) return Answer::no;
  int prober = 0;
  const Answer answer = probe_runner(pid, control, &prober);
  if (prober > 0) leave_out(prober);
  return answer;
}

// One scan of all processes below. False if one died during the scan: its children were reparented to this process and
// may have been missed, so an empty result proves nothing.
bool Tree::look(Pids& living, Pids& runners) {
  Pids queue;
  const int self = sys::own_pid();
  bool certain = add_children_of_thread(self, self, queue);
  for (unsigned i = 0; i < queue.size(); ++i) {
    const int pid = queue[i];
    if ((pid == command_ && command_ended_) || is_left_out(pid)) continue;
    int control = -1;
    const Answer runner = find_inner_runner(pid, &control);
    if (runner == Answer::yes) {
      sys::close(control);
      runners.add(pid);
      continue;
    }
    if (runner == Answer::unknown) {
      certain = false;  // unknown: it is neither killed nor skipped; the next scan may tell
      continue;
    }
    const int threads = add_children(pid, queue);
    if (!is_dead(pid, threads)) {
      living.add(pid);
    } else {
      certain = false;
      command_ended_ |= pid == command_;
    }
  }
  return certain || living.size() > 0;
}

// visit(pid, control): control is -1 for a process of this task, else a connection to the runner of another one.
template <class F>
void Tree::walk(F&& visit) {
  constexpr int kMostLooks = 100;
  for (int looks = 0; looks < kMostLooks; ++looks) {
    Pids living, runners;
    reap_adopted();
    if (!look(living, runners) && looks + 1 < kMostLooks) continue;
    for (unsigned i = 0; i < living.size(); ++i) visit(living[i], -1);
    for (unsigned i = 0; i < runners.size(); ++i) {
      int control = -1;
      if (find_inner_runner(runners[i], &control) != Answer::yes) continue;
      const Fd owned(control);
      visit(runners[i], owned.get());
    }
    return;
  }
}

void Tree::leave_out(int pid) {
  for (int& left_out : left_out_) {
    if (left_out != 0 || pid <= 0) continue;
    left_out = pid;
    return;
  }
}

bool Tree::is_left_out(int pid) const {
  for (const int left_out : left_out_)
    if (left_out == pid) return true;
  return false;
}

bool Tree::has_others() const {
  Pids children;
  const int self = sys::own_pid();
  if (!add_children_of_thread(self, self, children)) return true;
  return children.size() > 1 || (children.size() == 1 && children[0] != command_);
}

int Tree::count() {
  int n = 0;
  walk([&](int, int control) { n += control < 0 ? 1 : 0; });
  return n;
}

void Tree::signal(int signal, int group) {
  walk([&](int pid, int control) {
    if (control >= 0 || (group > 0 && stat_of(pid).group == group)) return;
    Fd process(sys::pidfd_open(pid));
    if (process && is_ours(pid)) sys::pidfd_signal(process.get(), signal);
  });
}

int Tree::kill_all(long patience_ms) {
  const std::int64_t until = sys::now_us(CLOCK_MONOTONIC) + patience_ms * 1000;
  while (true) {
    int left = 0;
    walk([&](int pid, int control) {
      if (control >= 0) return;
      if (left < kMaxSurvivors) survivors_[left] = pid;
      ++left;  // counts even if it has exited by now: its children are found in the next round
      Fd process(sys::pidfd_open(pid));
      if (!process) return;
      // SIGSTOP first, so that the process can't exec a runner between the check and the kill.
      sys::pidfd_signal(process.get(), SIGSTOP);
      int other = -1;
      const Answer runner = find_inner_runner(pid, &other);
      const Fd close_it(other);
      sys::pidfd_signal(process.get(), is_ours(pid) && runner == Answer::no ? SIGKILL : SIGCONT);
    });
    reap_adopted();
    if (left == 0) return 0;
    if (sys::now_us(CLOCK_MONOTONIC) > until) return left;
    // Until the next child exits, or 5 ms: a process killed here may be a child of another process.
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    const timespec a_moment{0, 5'000'000};
    ::sigtimedwait(&child, nullptr, &a_moment);
    reap_adopted();
  }
}

int Tree::stop_owned_tasks(long grace_ms) {
  OwnerRequests requests(own_id_, other_name_, grace_ms);
  walk([&](int pid, int control) {
    if (control < 0) return;
    // A runner stopped by a signal has the request in its queue and can't answer until it continues.
    const Fd process(sys::pidfd_open(pid));
    if (process) sys::pidfd_signal(process.get(), SIGCONT);
    requests.add(control);
  });
  return requests.send_and_count(kAnswerPatienceMs);
}

void Tree::reap_adopted() {
  Pids children;
  const int self = sys::own_pid();
  add_children_of_thread(self, self, children);
  // A tree that forks faster than this process reaps must not keep it from requests and deadlines.
  const std::int64_t until = sys::now_us(CLOCK_MONOTONIC) + kReapSliceUs;
  has_unreaped_ = false;
  for (unsigned i = 0; i < children.size() && !has_unreaped_; ++i) {
    has_unreaped_ = i > 0 && sys::now_us(CLOCK_MONOTONIC) > until;
    const int pid = children[i];
    if (pid == command_ || sys::reap(pid) <= 0) continue;
    // From here on the kernel may reuse the pid.
    for (int& left_out : left_out_)
      if (left_out == pid) left_out = 0;
  }
}

}  // namespace runner
