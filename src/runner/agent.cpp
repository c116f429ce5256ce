#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/run.h"

// A subagent: the command is a driver that talks to the agent. It reports the turn's outcome, which its exit status
// can't express (L14, L28 to L30).
namespace runner {

using namespace perdure::contract;

namespace {

// The agent's own id, if it needs no unescaping to be compared.
std::string_view agent_id_in(std::string_view members) {
  constexpr unsigned long kMost = 900;
  constexpr std::string_view kHead = R"("agentId":")";
  if (!members.starts_with(kHead)) return {};
  members = behind(members, kHead.size());
  const auto end = members.find_first_of("\"\\");
  return end == std::string_view::npos || members[end] == '\\' || end > kMost ? std::string_view()
                                                                              : first(members, end);
}

}  // namespace

void Run::know_agent(std::string_view members) {
  durable_.note.clear();
  durable_.note << members;
  durable_.facts.note = durable_.note.view();
  processes_.tree.set_other_name(agent_id_in(durable_.note.view()));
}

// The driver exited without reporting the turn's outcome.
void Run::say_silent() {
  durable_.reason.clear();
  write_silent_driver(durable_.reason, durable_.facts.signal > 0,
                      durable_.facts.signal > 0 ? durable_.facts.signal : durable_.facts.exit_code);
}

void Run::note_turn(std::string_view reason) {
  durable_.facts.ended_ms = sys::now_ms();
  durable_.reason.clear();
  durable_.reason << reason;
  durable_.lock.note_turn_end(life_.cause == Cause::exit_quietly, reason, durable_.facts.ended_ms);
}

// Ends all processes of a subagent when its driver has exited (L30).
void Run::follow_driver() {
  if (!processes_.tree.has_others()) return;
  const long grace = spec_.header->grace_ms;
  processes_.ask_owned(grace);
  if (processes_.tree.count() == 0) return;
  for (const int signal : {SIGTERM, SIGCONT}) processes_.tree.signal(signal, 0);
  if (life_.is(State::trailing)) deadlines_.arm(grace > 0 ? grace : 1);
}

}  // namespace runner
