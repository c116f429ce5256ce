#include "acp/requests/owner.h"

namespace perdure::acp {

Owner::Reply Owner::ask(const std::vector<Question>& questions, const jsonrpc::Call& call) const {
  Reply reply;
  AskOptions options{.questions = questions};
  options.deadline = plan_.permission_timeout;
  options.on_deadline = OnDeadline::expire;
  options.owner = plan_.owner;
  options.labels = {{"agentTask", task_.str()}};
  options.belongs_to = task_;
  auto task = manager_.questions().ask(options);
  if (!task) return reply;
  reply.question = task->id.str();
  activity_.add("question", {{"question", questions.front().text}, {"id", reply.question}});
  auto waited = manager_.wait(
      {.ids = {task->id}, .cancel = Cancellation::when_readable(call.stop.fd()), .part_of_longer_wait = true});
  if (!waited || waited->ended.empty()) {
    auto stopped = manager_.stop(
        task->id, {.reason = "The subagent does not need the answer any more", .suppress_notification = true});
    // The request was cancelled at the last moment: the answer is ignored.
    static_cast<void>(stopped);
    return reply;
  }
  const Task& ended = waited->ended.front();
  // The agent has the answer now; the owner gave it, so it is not notified of the question's end.
  [[maybe_unused]] const auto known = manager_.notifications().acknowledge({reply.question}, "agent");
  if (ended.question.outcome == QuestionOutcome::expired) reply.how = Reply::How::expired;
  if (ended.question.outcome == QuestionOutcome::dismissed) reply.how = Reply::How::dismissed;
  if (ended.question.outcome != QuestionOutcome::answered) return reply;
  auto asked = manager_.questions().get(task->id);
  if (!asked || !asked->answer) return reply;
  reply.how = Reply::How::answered;
  reply.answer = std::move(*asked->answer);
  return reply;
}

}  // namespace perdure::acp
