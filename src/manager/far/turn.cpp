#include "manager/far/turn.h"

#include "contract/names.h"
#include "manager/status/assess.h"
#include "store/queue.h"
#include "store/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace perdure::manager {
namespace {

struct Followed {
  TaskId id;
  bool may_fail = false;
};

// As runner and record have them: ids with blanks between, kHoweverItEnds before one that may end in any way.
std::vector<Followed> followed_by(const far::FarTask& task) {
  std::vector<Followed> all;
  const std::string text = task.planned.queue.after.value_or("");
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const bool may_fail = word.starts_with(contract::kHoweverItEnds);
    if (may_fail) word.remove_prefix(1);
    if (auto id = TaskId::parse(word)) all.push_back({std::move(*id), may_fail});
  }
  return all;
}

bool waits_in_queue(const store::Session& session, const TaskId& id) {
  const auto queue = store::list_queue(session);
  return !queue || std::ranges::any_of(*queue, [&](const store::QueueEntry& entry) { return entry.id == id; });
}

// Absent: it waits, or nothing can be said just now.
std::optional<Status> status_of(const store::Session& session, const TaskId& id, bool& is_gone) {
  const bool waits = far::is_entered(session, id) || waits_in_queue(session, id);
  auto record = store::find_record(session, id);
  if (!record) return std::nullopt;
  if (!*record) {
    is_gone = !waits;
    return std::nullopt;
  }
  if (is_terminal((*record)->status)) return (*record)->status;
  auto found = assess(session, std::move(**record));
  if (!found || !is_terminal(found->task.status)) return std::nullopt;
  return found->task.status;
}

std::string_view in_words(Status status) {
  switch (status) {
    case Status::timed_out: return "ended as timed_out";
    case Status::killed: return "ended as killed";
    case Status::lost: return "was lost";
    default: return "ended as failed";
  }
}

// The executor has it: that engine knows when it ends.
std::optional<std::string> place_at(const store::Session& session, const TaskId& id, const std::string& executor) {
  const auto sent = far::read_far_task(session, id);
  if (!sent || sent->executor() != executor) return std::nullopt;
  return sent->place;
}

}  // namespace

Turn turn_of(const store::Session& session, const far::FarTask& task) {
  Turn turn;
  for (const auto& [id, may_fail] : followed_by(task)) {
    bool is_gone = false;
    const auto status = status_of(session, id, is_gone);
    const auto refuse = [&](std::string_view how) {
      return Turn{.state = Turn::State::never,
                  .reason = fmt::format("Task {}, which it was to follow, {}", id.str(), how),
                  .followed = {}};
    };
    if (is_gone && !may_fail) return refuse("is not there any more");
    if (is_gone) continue;
    if (status && *status != Status::completed && !may_fail) return refuse(in_words(*status));
    if (status) continue;
    if (auto place = place_at(session, id, task.executor()))
      turn.followed.push_back({.place = std::move(*place), .may_fail = may_fail});
    else
      turn.state = Turn::State::waits;
  }
  if (turn.state == Turn::State::waits) turn.followed.clear();
  return turn;
}

std::vector<TaskId> predecessors_of(const far::FarTask& task) {
  std::vector<TaskId> ids;
  for (auto& followed : followed_by(task)) ids.push_back(std::move(followed.id));
  return ids;
}

std::string as_dependency(const std::vector<HandedOver>& followed) {
  std::string completed;
  std::string ended;
  for (const auto& one : followed) (one.may_fail ? ended : completed) += ":" + one.place;
  if (followed.empty()) return "";
  return fmt::format("--dependency={}{}{}{}{}", completed.empty() ? "" : "afterok", completed,
                     completed.empty() || ended.empty() ? "" : ",", ended.empty() ? "" : "afterany", ended);
}

std::string in_our_words(const store::Session& session, const far::FarTask& task, std::string text) {
  for (const auto& followed : followed_by(task)) {
    const auto place = place_at(session, followed.id, task.executor());
    if (!place || place->empty() || *place == followed.id.str()) continue;
    for (auto at = text.find(*place); at != std::string::npos; at = text.find(*place, at + followed.id.str().size()))
      text.replace(at, place->size(), followed.id.str());
  }
  return text;
}

}  // namespace perdure::manager
