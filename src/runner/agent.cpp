#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/run.h"

// A subagent: the command is a driver that speaks with the agent, and says what its exit status can't (L14, L28 to L30).
namespace runner {

using namespace perdure::contract;

namespace {

constexpr long kLeaveMs =
    10'000;  // for a driver to write the final message and to end the agent, once it said how it ended

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

// Durable before it is answered: the driver goes on to what makes the agent's tools ask for its id.
void Run::keep_note(int client, std::string_view members) {
  const bool may_still_tell = phase_ == Phase::running || (phase_ == Phase::ending && cause_ == Cause::stop);
  if (!is_agent() || !may_still_tell) return control_.answer(client, kNo);
  if (static_cast<long>(members.size()) > kMaxNoteBytes || !is_members(members))
    return control_.answer(client, "error 22");
  know_agent(members);
  const int e = record_.commit(facts_);
  record_.reserve_next();
  answer_result(client, e);
}

// The turn has ended, and the driver has only to leave: from here on no deadline counts. What ends a turn after a
// deadline changes nothing (L09).
void Run::take_outcome(int client, std::string_view line) {
  const std::string_view word = take_word(line);
  const Said said = word == "completed" ? Said::completed : word == "failed" ? Said::failed : Said::nothing;
  if (said == Said::nothing || line.empty() == (said == Said::failed) || !is_escaped_json(line) ||
      static_cast<long>(line.size()) > kMaxReasonBytes)
    return control_.answer(client, "error 22");
  const bool in_time = phase_ == Phase::running;
  const bool in_grace = phase_ == Phase::ending && cause_ == Cause::stop && !killed_;
  if (!is_agent() || said_ != Said::nothing || exited_ || (!in_time && !in_grace)) return control_.answer(client, kNo);
  said_ = said;
  said_reason_ << line;
  if (in_time) {
    phase_ = Phase::trailing;
    cause_ = Cause::exit;
    facts_.ended_ms = sys::now_ms();
    lock_.note_decision(kCauseExit, line, facts_.ended_ms);
    sys::arm(timer_.get(), spec_.header->grace_ms > kLeaveMs ? spec_.header->grace_ms : kLeaveMs);
  }
  control_.answer(client, kOk);
}

// The driver ended without a word about the turn.
void Run::on_driver_end() {
  said_ = Said::failed;
  said_reason_ << "The driver of the subagent ended by ";
  if (facts_.signal > 0) {
    said_reason_ << "signal " << static_cast<long>(facts_.signal);
  } else {
    said_reason_ << "itself, with exit code " << static_cast<long>(facts_.exit_code);
  }
  facts_.signal = 0;
}

// Nothing of a subagent outlives its driver (L30).
void Run::follow_driver() {
  if (killed_ || !tree_.has_others()) return;
  waits_for_owned_ = tree_.stop_owned_tasks(spec_.header->grace_ms) > 0;
  if (tree_.count() == 0) return;
  for (const int signal : {SIGTERM, SIGCONT}) tree_.signal(signal, 0);
  if (phase_ == Phase::trailing) sys::arm(timer_.get(), spec_.header->grace_ms > 0 ? spec_.header->grace_ms : 1);
}

}  // namespace runner
