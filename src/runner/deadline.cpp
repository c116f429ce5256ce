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
  if (over) end(Event::idle, "", spec_.header->grace_ms);
  if (!life_.is_open()) idle_.stop();
}

}  // namespace runner
