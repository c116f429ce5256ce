#include "contract/control.h"
#include "contract/names.h"
#include "runner/run.h"

#include <variant>

// Requests on the control socket: one function for each kind. `control/request.h` parses lines into values.
namespace runner {

using namespace perdure::contract;

void Run::on_client(int client, unsigned events) {
  std::string_view line;
  while (control_.next_line(client, line)) {
    // A table of the functions below by kind of request; a kind without one does not compile.
    std::visit([&](const auto& wanted) { on_request(client, wanted); }, request::parse(line));
  }
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    control_.hung_up(client, (events & (EPOLLHUP | EPOLLERR)) != 0);
}

void Run::on_request(int client, const request::Bad& bad) {
  Text<128> line;
  request::write_error(line, bad);
  control_.answer(client, line.view());
}

// Only questions have an answer, and those have a runner of their own (question.cpp).
void Run::on_request(int client, const request::Settle& /*wanted*/) {
  control_.answer_result(client, -ENOSYS);
}

void Run::on_request(int client, const request::Wait& wanted) {
  if (life_.has_ended()) return control_.answer(client, kEnded);
  control_.add_waiter(client, Control::awaits_end, wanted.inside);
}

void Run::on_request(int client, const request::Waiters& /*wanted*/) {
  control_.answer_waiters(client);
}

void Run::on_request(int client, const request::Started& /*wanted*/) {
  if (!life_.is(State::parked)) return control_.answer(client, kStarted);
  control_.add_waiter(client, Control::awaits_start);
}

// Before the answer nothing of the task is this process's any more: whoever hears it may take the lock.
void Run::on_request(int client, const request::Yield& /*wanted*/) {
  if (!life_.is(State::parked)) return control_.answer(client, kNo);
  place_.awaited.drop_all();
  durable_.lock.release();
  control_.answer(client, kOk);
  apply(Event::yielded);
}

void Run::on_request(int client, const request::Release& /*wanted*/) {
  if (life_.has_ended()) return control_.answer(client, kEnded);
  if (!life_.is_foreground()) return control_.answer(client, kDetached);
  control_.add_waiter(client, Control::awaits_release);
}

void Run::on_request(int client, const request::Detach& wanted) {
  if (!life_.is_foreground() || (!life_.is(State::running) && !life_.is_being_ended()))
    return control_.answer(client, kNo);
  const long timeout = wanted.timeout_ms < 0 ? spec_.header->detach_timeout_ms : wanted.timeout_ms;
  control_.answer_result(client, detach(Released::by_request, timeout));
}

void Run::on_request(int client, const request::Stop& wanted) {
  look_at_children();  // an exit before this request wins
  note_wish(wanted.cause, wanted.reason);
  control_.answer(client, kOk);
  end(event_of(wanted), wanted.reason, grace_of(wanted.grace_ms));
}

void Run::on_request(int client, const request::StopOwned& wanted) {
  if (wanted.owner != spec_.owner || wanted.owner.empty()) return control_.answer(client, kNo);
  note_wish(Cause::stop, kOwnerEnded);
  control_.answer(client, kOk);
  end(Event::stop, kOwnerEnded, wanted.grace_ms);
}

void Run::on_request(int client, const request::EndLeftovers& wanted) {
  control_.answer(client, life_.is(State::leftovers) ? kOk : kNo);
  if (!life_.is(State::leftovers)) return;
  control_.add_waiter(client, Control::awaits_end);  // finish() sends "ended" when the leftovers have exited
  end(Event::end_leftovers, "", wanted.grace_ms);
}

void Run::on_request(int client, const request::Signal& wanted) {
  control_.answer_result(
      client, processes_.tree.has_command_ended() ? -ESRCH : sys::kill_group(durable_.facts.pid, wanted.number));
}

void Run::on_request(int client, const request::Input& /*wanted*/) {
  if (!life_.is(State::running)) return control_.answer(client, kNo);
  output_.stdio.answer_input(control_, client);
}

void Run::on_request(int client, const request::Type& wanted) {
  if (!life_.is(State::running)) return control_.answer(client, kNo);
  output_.typed.answer(control_, client, wanted, output_.stdio);
}

void Run::on_request(int client, const request::CloseInput& /*wanted*/) {
  output_.stdio.close_input();
  control_.answer(client, kOk);
}

void Run::on_request(int client, const request::Figures& /*wanted*/) {
  control_.answer(client, (Text<96>() << kOutput << " " << output_.log.stream_bytes() << " "
                                      << output_.log.dropped_bytes() << " " << output_.log.unstored_bytes())
                              .view());
}

// First the record, then the timer: a client that reads "ok" finds the new deadline in both.
void Run::on_request(int client, const request::Extend& wanted) {
  if (life_.has_ended()) return control_.answer(client, kNo);
  look_at_children();  // an exit before the extension wins
  if (!life_.is_open() && !life_.is_between()) return control_.answer(client, kNo);
  if (wanted.timeout_ms < 0) return control_.answer_result(client, -EINVAL);
  const Facts before = durable_.facts;
  durable_.facts.timeout_ms = wanted.timeout_ms;
  durable_.facts.timeout_from_ms = sys::now_ms();
  Facts running = durable_.facts;
  running.exit_code = -1;  // the command may have exited, but the task has not ended
  running.signal = 0;
  running.ended_ms = -1;
  const int e = durable_.facts.detached ? durable_.record.commit(running) : 0;  // a foreground task has none
  if (e < 0) {
    durable_.facts = before;
    return control_.answer_result(client, e);
  }
  if (durable_.facts.detached) durable_.record.reserve_next();
  if (life_.is(State::resting)) {
    arm_rest();
  } else if (!life_.is_between()) {
    deadlines_.arm(wanted.timeout_ms);
  }
  control_.answer(client, kOk);
}

// Durable before it is answered: next, the driver enables the agent's tools, which need its id.
void Run::on_request(int client, const request::Note& note) {
  if (!is_agent() || (!life_.is(State::running) && !life_.is_stopping())) return control_.answer(client, kNo);
  know_agent(note.members);
  const int e = durable_.record.commit(durable_.facts);
  durable_.record.reserve_next();
  control_.answer_result(client, e);
}

// The turn has ended, and only the driver has to exit: no deadline counts any more. A turn that ends after a deadline
// changes nothing (L09). A turn that broke within the grace of a stop is an effect of the stop (L14).
void Run::on_request(int client, const request::TurnEnded& turn) {
  const Event event = turn.how == request::TurnEnded::How::broke ? Event::turn_broke : Event::turn_ended;
  const Life before = life_;
  apply(event, seen(), {.reason = turn.reason});
  control_.answer(client, life_ == before ? kNo : kOk);
}

}  // namespace runner
