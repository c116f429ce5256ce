#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/admission/status.h"
#include "runner/run.h"

#include <cstdlib>

// A queued task: it waits for a slot, for tasks before it in the queue, or for the end of another task (L05).
namespace runner {

using namespace perdure::contract;

namespace {

// Used when no runner can be asked: between the taking of a slot and the holder's socket, or without free descriptors.
constexpr long kSoonMs = 20;
constexpr long kLaterMs = 1'000;

std::string_view in_words(int error) {
  switch (error) {
    case ENOENT: return "the program is not there";
    case EACCES:
    case EPERM: return "permission denied";
    case ENOTDIR: return "not a folder";
    case ENOEXEC: return "not a program";
    case ENOMEM:
    case EAGAIN: return "no memory or no process was left";
    case ENOSPC: return "the disk is full";
    default: return "the system refused";
  }
}

}  // namespace

// Call with the queue's lock held.
int Run::park(const char*& doing) {
  if (const int e = prepare(doing); e < 0) return e;
  doing = "wait in the queue";
  if (place_.entry_name.empty()) {
    const int e = place_.queue.enter(spec_.header->priority, next_seq(folders_.session.get()), !spec_.after.empty(),
                                     spec_.entry_text);
    if (e < 0) return e;
  } else if (const int e = place_.queue.adopt(place_.entry_name, spec_.header->entry_inode); e < 0) {
    place_.is_stale = true;
    return e;
  }
  place_.queue.unlock();
  apply(Event::queued);
  return 0;
}

void Run::try_to_start() {
  place_.awaited.drop_all();
  deadlines_.disarm();
  if (!may_follow()) return;
  if (place_.queue.lock() < 0) {
    deadlines_.arm(kLaterMs);
    return;
  }
  Queue::Id before;
  if (place_.queue.nearest_before(before) < 0) {
    place_.queue.unlock();
    deadlines_.arm(kLaterMs);
    return;
  }
  if (!before.view().empty()) {
    await(before.view(), kStarted);
    return place_.queue.unlock();
  }
  const int cap = static_cast<int>(spec_.header->max_running);
  int held = 0;
  int e = place_.slot.take(task_id_, cap, held);
  if (e == -EDQUOT) {
    // If there is only one slot, its holder must not wait for this task: that is a cycle, and the request names this
    // task, so that the holder sees it (L43).
    const auto wait = Text<96>() << kWait << (cap == 1 ? " " : "") << (cap == 1 ? task_id_ : std::string_view());
    place_.slot.each_holder([&](std::string_view id) { await(id, wait.c_str()); });
    e = place_.slot.take(task_id_, cap, held);  // in case a slot was freed before its holder could be asked
  }
  place_.queue.unlock();
  if (e == 0) return start_parked();
  if (e != -EDQUOT) deadlines_.arm(kLaterMs);
}

// Have all tasks that this one follows ended as required?
bool Run::may_follow() {
  if (!place_.queue.follows()) return true;
  bool waits = false;
  for (std::string_view rest = spec_.after; !rest.empty();) {
    std::string_view id = rest.substr(0, rest.find(' '));
    rest.remove_prefix(id.size() < rest.size() ? id.size() + 1 : rest.size());
    const bool may_fail = id.starts_with(kHoweverItEnds);
    if (may_fail) id.remove_prefix(1);
    const Predecessor found = look_at_predecessor(folders_.tasks.get(), id);
    if (found == Predecessor::unknown) {
      deadlines_.arm(kLaterMs);
      waits = true;
    } else if (found == Predecessor::lives) {
      await(id, (Text<96>() << kWait << " " << task_id_).c_str());
      waits = true;
    } else if (found != Predecessor::completed && !may_fail) {
      const std::string_view how = found == Predecessor::gone ? "is not there any more" : in_words(found);
      const auto reason = Text<192>() << "Task " << id << ", which it was to follow, " << how;
      end(Event::stop, reason.view(), 0);
      return false;
    }
  }
  if (waits) return false;
  int e = place_.queue.lock();
  if (e == 0) e = place_.queue.compete(spec_.header->priority);
  place_.queue.unlock();
  if (e < 0) deadlines_.arm(kLaterMs);
  return e == 0;
}

// The next line from that task's runner, or its hang-up, leads to another attempt.
void Run::await(std::string_view id, const char* word) {
  Fd runner(connect_to_runner(folders_.tasks.get(), id));
  if (!place_.awaited.make_room()) runner.reset();
  const auto line = Text<128>() << word << "\n";
  if (!runner || ::send(runner.get(), line.c_str(), line.view().size(), MSG_NOSIGNAL) < 0 ||
      loop_.watch(runner.get(), Source::awaited) < 0) {
    deadlines_.arm(kSoonMs);
    return;
  }
  place_.awaited.add(std::move(runner));
}

void Run::start_parked() {
  place_.awaited.drop_all();
  const char* doing = "";
  ExecFailure failure{};
  const int e = start_command(doing, failure);
  const int error = failure.error != 0 ? failure.error : -e;
  if (error != 0) {
    durable_.facts.pid = 0;
    const auto reason = Text<128>() << "It could not be started: " << in_words(error) << " (error "
                                    << static_cast<long>(error) << ")";
    durable_.facts.status = "failed";
    return apply(Event::start_failed, seen(), {.reason = reason.view()});
  }
  if (!may_restart()) spec_.drop_command();
  apply(Event::started);
  // The entry goes only after the record exists: a process that finds neither concludes that there is no such task.
  place_.queue.leave();
  control_.tell(Control::awaits_start, kStarted);
  tell_hooks(hook_started);
  durable_.record.reserve_next();
}

// The reason is the one given to decide(), or the error that kept the command from being started.
void Run::end_parked() {
  place_.awaited.drop_all();
  if (durable_.facts.status != "failed") durable_.facts.status = "killed";
  durable_.facts.quiet = life_.cause == Cause::stop_quietly;
  durable_.facts.reason = durable_.reason.view();
  durable_.facts.ended_ms = sys::now_ms();
  if (durable_.facts.started_ms == 0) durable_.facts.started_ms = durable_.facts.ended_ms;
  durable_.facts.output_bytes = 0;
  deadlines_.disarm();
  make_room();
  commit();
}

// Without this the queue would stop if no other Perdure process is running.
void Run::make_room() {
  place_.slot.release();
  if (inherited_.job_ends >= 0) return;  // in place, the batch engine has the queue
  processes_.tree.leave_out(
      queue_restart_.start_if_needed(folders_.session.get(), folders_.tasks.get(), task_id_, inherited_));
}

}  // namespace runner
