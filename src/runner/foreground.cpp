#include "contract/control.h"
#include "contract/names.h"
#include "runner/record/telemetry.h"
#include "runner/run.h"

// A task that a caller waits for: it has no record and no name on disk until it is detached (L02, L10, L11, L27, L42,
// L44).
namespace runner {

using namespace perdure::contract;

namespace {

constexpr long kRetryMs = 1'000;  // between attempts to detach at the deadline while the disk refuses

}  // namespace

void Run::watch_caller(Fd caller) {
  caller_.connection = std::move(caller);
  control_.add_waiter(caller_.connection.get(), Control::awaits_release);
  loop_.try_to_watch(caller_.connection.get(), Source::caller, EPOLLIN | EPOLLRDHUP);
}

// The caller sends nothing, so this is its hang-up: the task continues in the background.
void Run::on_caller() {
  control_.forget(caller_.connection.get());
  caller_.connection.reset();
  apply(Event::caller_left);
}

void Run::try_again_to_detach() {
  if (life_.caller == Caller::left) static_cast<void>(detach(Released::by_request, spec_.header->detach_timeout_ms));
}

void Run::detach_at_deadline() {
  const std::int64_t timeout = spec_.header->detach_timeout_ms;
  if (detach(Released::by_deadline, timeout < 0 ? 0 : timeout) < 0) deadlines_.arm(kRetryMs);
}

// Makes it a background task: the log gets its name, the record is committed, the deadline is the requested one (-1: it
// stays). 0 or -errno; on failure it stays in the foreground.
int Run::detach(Released how, long timeout_ms) {
  if (const int e = output_.log.link(); e < 0) return e;
  const std::int64_t timeout_before = durable_.facts.timeout_ms, from_before = durable_.facts.timeout_from_ms;
  durable_.facts.detached = true;
  durable_.facts.started_seq = next_seq(folders_.session.get());
  if (timeout_ms >= 0) {
    durable_.facts.timeout_ms = timeout_ms;
    durable_.facts.timeout_from_ms = sys::now_ms();
  }
  if (const int e = durable_.record.commit(durable_.facts); e < 0) {
    durable_.facts.detached = false;
    durable_.facts.timeout_ms = timeout_before;
    durable_.facts.timeout_from_ms = from_before;
    return e;
  }
  apply(Event::detached);
  tell_hooks(hook_started);
  caller_.record.reset();
  if (timeout_ms >= 0 && life_.is(State::running)) deadlines_.arm(timeout_ms);
  drop_stream();
  control_.tell(Control::awaits_release, how == Released::by_deadline ? kTimeoutDetached : kDetached);
  if (caller_.connection) control_.forget(caller_.connection.get());
  caller_.connection.reset();
  durable_.record.reserve_next();
  report_created(spec_.telemetry, task_id_);
  return 0;
}

void Run::on_stream() {
  output_.stream.flush();
  if (output_.stream.is_behind()) return;
  loop_.unwatch(output_.stream.fd());
  if (output_.pipe) loop_.try_to_watch(output_.pipe.get(), Source::output);
  evaluate();
}

void Run::drop_stream() {
  const bool was_behind = output_.stream.is_behind();
  output_.stream.close();
  if (was_behind && output_.pipe) loop_.try_to_watch(output_.pipe.get(), Source::output);
}

// Passes on to the caller the output that the command wrote before it exited, at the speed of the reader.
void Run::pass_on(int leftovers) {
  if (!output_.stream.is_open()) return;
  if (leftovers == 0) {
    pump(INT64_MAX);
    return;
  }
  // Leftovers may write for ever: the caller gets only the bytes that were in the pipe when the command exited.
  if (output_.owed < 0) output_.owed = output_.pipe ? output_.waiting() : 0;
  output_.owed -= pump(output_.owed);
}

// Collects the log's files, to be sent after the record's, and describes them in the line.
int Run::collect_files(int record, int (&fds)[kMostFiles], Text<1024>& line) const {
  int count = 0;
  fds[count++] = record;
  bool has_head = false;
  Text<1024> segments;
  output_.log.each_file([&](int fd, std::int64_t at) {
    has_head |= at < 0;
    if (at >= 0) segments << " " << at;
    fds[count++] = fd;
  });
  line << (has_head ? " 1" : " 0") << segments.view();
  return count;
}

void Run::on_request(int client, const request::Look& /*wanted*/) {
  if (!life_.is_foreground()) return control_.answer(client, kNo);
  const Fd file(sys::make_memory_file("perdure-record"));
  int e = file ? 0 : file.get();
  if (e == 0) e = durable_.record.write_to(file.get(), durable_.facts);
  if (e < 0) return control_.answer_result(client, e);
  int fds[kMostFiles];
  auto line = Text<1024>() << kRecord;
  const int count = collect_files(file.get(), fds, line);
  control_.answer(client, line.view(), fds, count);
}

// Nothing stays on disk: the names are removed before the caller is notified.
void Run::end_in_foreground() {
  apply(Event::unrecorded);
  static_cast<void>(durable_.record.write_to(caller_.record.get(), durable_.facts));
  output_.log.forget();
  durable_.record.drop_next();
  durable_.active.leave(task_id_);
  sys::unlink_at(folders_.task.get(), kRunnerLock);
  control_.unlink(folders_.task.get());
  durable_.lock.release();
  sys::unlink_at(folders_.tasks.get(), (Text<80>() << task_id_).c_str(), AT_REMOVEDIR);
  drop_stream();
  tell_end_with_files();
}

// The task ended and has a record because it left processes running.
void Run::release_with_record() {
  static_cast<void>(durable_.record.write_to(caller_.record.get(), durable_.facts));
  drop_stream();
  tell_end_with_files();
  if (caller_.connection) control_.forget(caller_.connection.get());
  caller_.connection.reset();
  apply(Event::detached);
}

void Run::tell_end_with_files() {
  int fds[kMostFiles];
  auto line = Text<1024>() << kEnded;
  const int count = collect_files(caller_.record.get(), fds, line);
  control_.tell(Control::awaits_release, line.view(), fds, count);
  control_.tell(Control::awaits_end, line.view(), fds, count);
}

}  // namespace runner
