#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/run.h"

// A subagent: the command is a driver that speaks with the agent, and says what its exit status can't (L14, L28 to L30).
namespace runner {

using namespace perdure::contract;

namespace {

// The agent's own id, where it is one that can be compared as it stands.
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
  note_.clear();
  note_ << members;
  facts_.note = note_.view();
  tree_.set_other_name(agent_id_in(note_.view()));
}

// The driver ended without a word about the turn.
void Run::say_silent() {
  reason_.clear();
  write_silent_driver(reason_, facts_.signal > 0, facts_.signal > 0 ? facts_.signal : facts_.exit_code);
}

void Run::note_turn(std::string_view reason) {
  facts_.ended_ms = sys::now_ms();
  reason_.clear();
  reason_ << reason;
  lock_.note_turn_end(life_.cause == Cause::exit_quietly, reason, facts_.ended_ms);
}

// Nothing of a subagent outlives its driver (L30).
void Run::follow_driver() {
  if (!tree_.has_others()) return;
  const long grace = spec_.header->grace_ms;
  owned_ = tree_.stop_owned_tasks(grace);
  if (tree_.count() == 0) return;
  for (const int signal : {SIGTERM, SIGCONT}) tree_.signal(signal, 0);
  if (life_.is(State::trailing)) sys::arm(timer_.get(), grace > 0 ? grace : 1);
}

}  // namespace runner
