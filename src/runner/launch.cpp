#include "contract/control.h"
#include "contract/names.h"
#include "runner/run.h"

namespace runner {

using namespace perdure::contract;

namespace {

void answer(int fd, std::string_view text) {
  sys::write(fd, text.data(), text.size());
}

}  // namespace

bool Run::launch(const char* session, int answer_fd) {
  const char* doing = "";
  ExecFailure failure{};
  int held = 0;
  session_ = Fd(sys::open_at(AT_FDCWD, session, O_RDONLY | O_DIRECTORY));
  int e = session_ ? slot_.take(session_.get(), task_id_, static_cast<int>(spec_.header->max_running), held)
                   : session_.get();
  if (e == -EDQUOT && held > 0) {
    answer(answer_fd, (Text<64>() << "limit " << static_cast<long>(held) << " "
                                  << static_cast<long>(spec_.header->max_running) << "\n")
                          .view());
    return false;
  }
  if (e < 0) doing = "take a slot in the session";
  if (e == 0) e = prepare(doing);
  if (e == 0) e = start_command(doing, failure);
  if (e == 0 && failure.error == 0) {
    answer(answer_fd,
           (Text<64>() << "running " << static_cast<long>(facts_.pid) << " " << facts_.started_ms << "\n").view());
    // Behind the answer, since nobody needs to wait for it: on a disk that is full by now the terminal record is
    // tried again until there is room (commit()).
    record_.reserve_next();
    return true;
  }
  // What is left on disk goes before the answer: whoever hears it finds nothing (architecture, "Launch"). Without the
  // lock nothing of it is ours: another runner has this task.
  if (lock_.is_held()) {
    record_.remove();
    control_.unlink(folder_.get());
    sys::unlink_at(folder_.get(), kRunnerLock);
  }
  if (failure.error != 0) {
    answer(answer_fd, (Text<64>() << (failure.step == ExecFailure::cwd ? "cwd " : "exec ")
                                  << static_cast<long>(failure.error) << "\n")
                          .view());
  } else {
    answer(answer_fd, (Text<128>() << "failed " << static_cast<long>(-e) << " " << doing << "\n").view());
  }
  return false;
}

int Run::prepare(const char*& doing) {
  doing = "open the task's folder";
  tasks_ = Fd(sys::open_at(session_.get(), kTasksDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!tasks_) return tasks_.get();
  folder_ = Fd(sys::open_at(tasks_.get(), (Text<80>() << task_id_).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!folder_) return folder_.get();
  doing = "take runner.lock";
  if (const int e = lock_.open(folder_.get(), task_id_); e < 0) return e;
  doing = "open the control socket";
  if (const int e = control_.open(folder_.get()); e < 0) return e;
  log_.open(folder_.get(), spec_.header->output_limit, spec_.header->on_limit);
  record_.open(tasks_.get(), folder_.get(), task_id_, spec_.constant);
  return 0;
}

int Run::start_command(const char*& doing, ExecFailure& failure) {
  doing = "make pipes";
  int ends[2];
  if (const int e = sys::pipe(ends); e < 0) return e;
  output_ = Fd(ends[0]);
  Fd output_in(ends[1]);
  if (const int e = sys::pipe(ends); e < 0) return e;
  Fd gate_out(ends[0]), gate_in(ends[1]);
  if (const int e = sys::pipe(ends); e < 0) return e;
  Fd failure_out(ends[0]), failure_in(ends[1]);
  if (const int e = sys::set_nonblocking(output_.get()); e < 0) return e;
  doing = "wait for events";
  if (const int e = watch_everything(); e < 0) return e;

  doing = "make a process";
  int pid = -EAGAIN;
  // The limit on processes may be reached for just a moment; the caller waits for our answer meanwhile.
  for (int attempt = 0; attempt < 20 && (pid = sys::fork()) == -EAGAIN; ++attempt) {
    const timespec a_moment{0, 10'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
  if (pid < 0) return pid;
  if (pid == 0)
    become_command(spec_, inherited_, {gate_out.get(), output_in.get(), failure_in.get()},
                   {lock_.fd(), slot_.fd(), control_.listener(), gate_in.get()});
  ::setpgid(pid, pid);
  tree_.set_command(pid);
  output_in.reset();
  gate_out.reset();
  failure_in.reset();

  facts_.pid = pid;
  facts_.started_ms = sys::now_ms();
  facts_.timeout_ms = spec_.header->timeout_ms;
  facts_.started_seq = next_seq(session_.get());
  doing = "write the record";
  int e = record_.commit(facts_);
  if (e < 0) {
    gate_in.reset();  // the child sees the end of the gate and is gone
    ::waitpid(pid, nullptr, 0);
    return e;
  }
  lock_.note_gate();
  if (facts_.timeout_ms > 0) sys::arm(timer_.get(), facts_.timeout_ms);
  sys::write(gate_in.get(), "G", 1);
  gate_in.reset();
  long n = 0;
  while ((n = sys::read(failure_out.get(), &failure, sizeof failure)) == -EINTR) {
  }
  if (n == static_cast<long>(sizeof failure)) {
    ::waitpid(pid, nullptr, 0);
    return 0;
  }
  failure = {};
  spec_.drop_command();
  return 0;
}

int Run::watch_everything() {
  sigset_t mine;
  ::sigemptyset(&mine);
  ::sigaddset(&mine, SIGCHLD);
  ::sigaddset(&mine, SIGTERM);
  signals_ = Fd(sys::checked(::signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK)));
  timer_ = Fd(sys::timer());
  epoll_ = Fd(sys::epoll());
  for (const Fd* fd : {&signals_, &timer_, &epoll_})
    if (!*fd) return fd->get();
  control_.set_listener_tag(epoll_.get(), tag(Source::listener));
  int e = sys::watch(epoll_.get(), output_.get(), tag(Source::output));
  if (e == 0) e = sys::watch(epoll_.get(), signals_.get(), tag(Source::signals));
  if (e == 0) e = sys::watch(epoll_.get(), timer_.get(), tag(Source::timer));
  if (e == 0) e = sys::watch(epoll_.get(), control_.listener(), tag(Source::listener));
  return e;
}

}  // namespace runner
