#include "contract/control.h"
#include "contract/lock_page.h"
#include "runner/run.h"

// How long a task may go on: silence ends it, and a wish gives it more time.
namespace runner {

using namespace perdure::contract;

void Run::on_idle() {
  on_output();                                  // what is there was written in time
  if (stream_.is_behind()) idle_.saw_output();  // a caller that does not read keeps the command silent
  const bool over = idle_.is_over();
  if (over) look_at_children();  // an end before counts
  if (over && is_open()) end(Cause::idle, "", spec_.header->grace_ms);
  if (!is_open()) idle_.stop();
}

// First the record, then the timer: whoever is told "ok" finds the new deadline in both.
void Run::extend(int client, long timeout_ms) {
  look_at_children();  // an end before the wish counts
  if (!is_open()) return control_.answer(client, kNo);
  if (timeout_ms < 0) return answer_result(client, -EINVAL);
  const Facts before = facts_;
  facts_.timeout_ms = timeout_ms;
  facts_.timeout_from_ms = sys::now_ms();
  Facts running = facts_;
  running.exit_code = -1;  // the command may have ended, the task has not
  running.signal = 0;
  running.ended_ms = -1;
  const int e = facts_.detached ? record_.commit(running) : 0;  // a foreground task has none
  if (e < 0) {
    facts_ = before;
    return answer_result(client, e);
  }
  if (facts_.detached) record_.reserve_next();
  sys::arm(timer_.get(), timeout_ms);
  control_.answer(client, kOk);
}

}  // namespace runner
