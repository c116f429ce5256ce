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
  const bool may_still_tell =
      phase_ == Phase::running || (phase_ == Phase::ending && (cause_ == Cause::stop || cause_ == Cause::stop_quietly));
  if (!is_agent() || !may_still_tell) return control_.answer(client, kNo);
  if (static_cast<long>(members.size()) > kMaxNoteBytes || !is_members(members)) return answer_result(client, -EINVAL);
  know_agent(members);
  const int e = record_.commit(facts_);
  record_.reserve_next();
  answer_result(client, e);
}

// The turn has ended, and the driver has only to leave: from here on no deadline counts. What ends a turn after a
// deadline changes nothing (L09). A turn that broke within the grace of a stop is an effect of the stop (L14).
void Run::take_outcome(int client, std::string_view line) {
  const std::string_view word = take_word(line);
  const bool completed = word == kTurnCompleted;
  const bool broke = word == kTurnBroke;
  if ((!completed && !broke && word != kTurnFailed) || line.empty() != completed || !is_escaped_json(line) ||
      static_cast<long>(line.size()) > kMaxReasonBytes)
    return answer_result(client, -EINVAL);
  const bool in_time = phase_ == Phase::running;
  const bool is_stopping = cause_ == Cause::stop || cause_ == Cause::stop_quietly;
  const bool in_grace = phase_ == Phase::ending && is_stopping && !killed_ && !broke;
  if (!is_agent() || turn_ended_ || exited_ || (!in_time && !in_grace)) return control_.answer(client, kNo);
  turn_ended_ = true;
  facts_.ended_ms = sys::now_ms();
  reason_.clear();
  reason_ << line;
  const bool quiet = cause_ == Cause::stop_quietly;
  lock_.note_turn_end(quiet, line, facts_.ended_ms);
  cause_ = quiet ? Cause::exit_quietly : Cause::exit;
  if (in_time) {
    phase_ = Phase::trailing;
    sys::arm(timer_.get(), spec_.header->grace_ms > kLeaveMs ? spec_.header->grace_ms : kLeaveMs);
  }
  control_.answer(client, kOk);
}

// The driver ended without a word about the turn.
void Run::on_silent_driver() {
  if (turn_ended_) return;
  reason_.clear();
  write_silent_driver(reason_, facts_.signal > 0, facts_.signal > 0 ? facts_.signal : facts_.exit_code);
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
