#include "base/error.h"
#include "base/words.h"
#include "cli/console/call.h"
#include "cli/console/input.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fmt/format.h>

// Parses a user's name for a task: its id, its name, a part of its id, or @N for the N-th newest (I21).
namespace perdure::cli {
namespace {

constexpr std::size_t kRandomPart = 8, kLeastOfIt = 3, kMostCandidates = 6;

bool is_part_of(std::string_view text, const TaskId& id) {
  const std::string_view whole = id.str();
  if (whole.size() < kRandomPart) return false;
  if (text.size() == kRandomPart && whole.ends_with(text)) return true;
  return text.size() >= whole.size() - kRandomPart + kLeastOfIt && whole.starts_with(text);
}

std::unexpected<Error> ambiguous(std::string_view text, const std::vector<const Task*>& found) {
  std::string lines;
  for (std::size_t i = 0; i < found.size() && i < kMostCandidates; ++i)
    lines += fmt::format("\n  {}  {}  {}", found[i]->id.str(), name_of(found[i]->status),
                         cut_to_width(harmless_line(found[i]->description), 50));
  if (found.size() > kMostCandidates) lines += fmt::format("\n  and {} more", found.size() - kMostCandidates);
  return fail(ErrorCode::usage, fmt::format("'{}' can be any of{}", harmless_line(text), lines));
}

}  // namespace

Result<TaskId> Call::resolve(std::string_view typed, Use use, BadConfig bad) {
  const std::string_view text = id_in_reference(typed);
  auto exact = TaskId::parse(text);
  if (text.empty() || (exact && exact->has_record_form())) return exact;
  auto opened = manager(bad);
  if (!opened) return exact ? exact : std::unexpected(opened.error());
  const TaskManager& tasks = **opened;
  // Ids of the oldest builds have the form of a part of an id, or of a name.
  if (exact && tasks.get(*exact)) return exact;
  auto named = tasks.named(text);
  if (!named) return std::unexpected(named.error());
  if (*named) {
    if (use != Use::acts || !is_terminal((*named)->status)) return (*named)->id;
    return fail(ErrorCode::task_not_running,
                fmt::format("no live task has the name '{}'; the last one was {}", text, (*named)->id.str()));
  }
  if (json) return exact;  // programs use whole ids
  ListFilter filter{.ended = true, .status = {}, .kind = {}, .owner = value("--owner")};
  auto all = tasks.list(filter);
  if (!all) return std::unexpected(all.error());
  std::vector<const Task*> found;
  if (text.starts_with('@')) {
    auto place = parse_integer(text.substr(1), 1, INT32_MAX);
    if (!place)
      return fail(ErrorCode::usage, fmt::format("expected @1 for the newest task, @2 for the one before, got '{}'",
                                                harmless_line(typed)));
    const auto n = static_cast<std::size_t>(*place);
    if (n > all->size())
      return fail(ErrorCode::task_not_found, fmt::format("{}: there are {} tasks", text, all->size()));
    found.push_back(&(*all)[all->size() - n]);
  } else {
    for (const auto& task : *all)
      if (is_part_of(text, task.id)) found.push_back(&task);
  }
  if (found.empty()) return exact;
  if (found.size() > 1) return ambiguous(text, found);
  if (use != Use::looks && !has("--yes") && !is_terminal_input() && !stderr_is_terminal())
    return fail(ErrorCode::usage, fmt::format("'{}' stands for {}: without a terminal write the whole id, or add --yes",
                                              harmless_line(text), found.front()->id.str()));
  return found.front()->id;
}

Result<TaskId> Call::id(Use use) {
  if (arguments.size() > 1)
    return fail(ErrorCode::usage, fmt::format("expected one task id, got {}", arguments.size()));
  return resolve(arguments.empty() ? std::string_view() : std::string_view(arguments.front()), use);
}

Result<std::vector<TaskId>> Call::ids(Use use, BadConfig bad) {
  std::vector<TaskId> ids;
  for (const auto& text : arguments) {
    auto id = resolve(text, use, bad);
    if (!id) return std::unexpected(id.error());
    ids.push_back(std::move(*id));
  }
  return ids;
}

}  // namespace perdure::cli
