#include "manager/far/act.h"

#include "base/clock.h"
#include "far/far_task.h"
#include "manager/far/contact.h"
#include "manager/far/mirror.h"
#include "manager/status/waiting.h"
#include "store/records.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::manager {
namespace {

constexpr std::int64_t kAnswerMs = 60'000;

Result<far::FarTask> sent_from_here(const store::Session& session, const TaskId& id) {
  auto sent = far::read_far_task(session, id);
  if (!sent)
    return fail(ErrorCode::record_invalid,
                fmt::format("the data sent for {} is not signed by this user: nothing is done with it", id.str()));
  return std::move(*sent);
}

std::unexpected<Error> not_placed(const TaskId& id, const std::string& executor) {
  return fail(ErrorCode::task_not_running,
              fmt::format("{} has not started on {} yet, as far as is known here", id.str(), executor));
}

Result<far::FarTask> placed(const store::Session& session, const TaskId& id) {
  auto sent = sent_from_here(session, id);
  if (sent && !sent->place) return not_placed(id, sent->executor());
  return sent;
}

Result<Task> record_now(const store::Session& session, const Task& task) {
  auto again = store::find_record(session, task.id);
  if (!again) return std::unexpected(again.error());
  return *again ? std::move(**again) : task;
}

// A job's task has the same id on the cluster; its place is the job.
std::string id_there(const far::FarTask& sent) {
  return sent.planned.executor->type == "slurm" ? sent.planned.id.str() : *sent.place;
}

// The other host's answer, or its error as one of this library.
Result<> succeeded(const Result<far::Answer>& answer, const far::FarTask& sent) {
  if (!answer) return std::unexpected(answer.error());
  if (answer->exit_status == 0) return {};
  return std::unexpected(error_there(*answer, sent.executor()));
}

}  // namespace

Result<Task> stop_far(const FarSide& side, const Task& task, const StopOptions& options) {
  const auto& session = side.session;
  if (is_terminal(task.status)) return task;
  auto sent = sent_from_here(session, task.id);
  if (!sent) return std::unexpected(sent.error());
  const std::string executor = sent->executor();
  // Durable before anything is sent: any later contact passes it on.
  sent->stop = far::StopWanted{.reason = options.reason,
                               .grace_ms = options.grace ? options.grace->count() : -1,
                               .is_quiet = is_quiet(options, task)};
  if (auto written = far::write_far_task(session, *sent); !written) return std::unexpected(written.error());
  // One that waits here was never sent: no place has to be asked.
  if (sent->is_parked) static_cast<void>(side.contact.submit(*sent));
  if (auto now = record_now(session, task); now && is_terminal(now->status)) return now;
  side.contact.refresh(executor);
  auto now = record_now(session, task);
  if (!now || is_terminal(now->status)) return now;
  return fail(
      ErrorCode::session_unusable,
      fmt::format("asked to stop {}, but {} does not answer{}: it is passed on at the next contact", task.id.str(),
                  executor, now->executor && now->executor->reason ? " (" + *now->executor->reason + ")" : ""));
}

Result<Task> extend_far(const FarSide& side, const Task& task, std::chrono::milliseconds timeout) {
  auto sent = placed(side.session, task.id);
  if (!sent) return std::unexpected(sent.error());
  if (const auto cluster = side.contact.cluster_of(sent->executor()))
    if (auto fine = cluster->check_extension(*sent, timeout); !fine) return std::unexpected(fine.error());
  const auto answer =
      side.contact.call(*sent, {"extend", id_there(*sent), "--json", fmt::format("--timeout={}ms", timeout.count())},
                        steady_ms() + kAnswerMs);
  if (auto fine = succeeded(answer, *sent); !fine) return std::unexpected(fine.error());
  side.contact.refresh(sent->executor());
  return record_now(side.session, task);
}

Result<> signal_far(const FarSide& side, const Task& task, int signal_number) {
  auto sent = placed(side.session, task.id);
  if (!sent) return std::unexpected(sent.error());
  return succeeded(side.contact.call(*sent, {"signal", id_there(*sent), fmt::to_string(signal_number), "--json"},
                                     steady_ms() + kAnswerMs),
                   *sent);
}

Result<int> open_input_far(const FarSide& side, const Task& task) {
  auto sent = placed(side.session, task.id);
  if (!sent) return std::unexpected(sent.error());
  return side.contact.open_input(*sent);
}

Result<> close_input_far(const FarSide& side, const Task& task) {
  auto sent = placed(side.session, task.id);
  if (!sent) return std::unexpected(sent.error());
  if (auto written = side.contact.end_inputs(task.id); !written) return written;
  return succeeded(side.contact.call(*sent, {"write", *sent->place, "--eof", "--json"}, steady_ms() + kAnswerMs),
                   *sent);
}

Result<> remove_far(const FarSide& side, const TaskId& id) {
  auto sent = sent_from_here(side.session, id);
  if (!sent) return {};  // planted or copied: nothing of this session is there
  if (const auto cluster = side.contact.cluster_of(sent->executor())) return cluster->remove(id);
  if (!sent->place) return {};
  auto answer = side.contact.call(*sent, {"remove", *sent->place, "--json"}, steady_ms() + kAnswerMs);
  auto done = succeeded(answer, *sent);
  if (!done && done.error().code == ErrorCode::task_not_found) return {};
  return done;
}

}  // namespace perdure::manager
