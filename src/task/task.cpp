#include "base/error.h"
#include <perdure/agent.h>
#include <perdure/executor.h>

#include <algorithm>
#include <array>
#include <ranges>

namespace perdure {
namespace {

constexpr std::array<std::string_view, 7> kStatusNames = {"queued",    "running", "completed", "failed",
                                                          "timed_out", "killed",  "lost"};
constexpr std::array<std::string_view, 4> kKindNames = {"process", "agent", "question", "other"};
constexpr std::array<std::string_view, 7> kEvidenceNames = {
    "runner_killed", "rebooted", "never_started", "process_gone", "adopted", "engine_gone", "node_fail"};
constexpr std::array<std::string_view, 4> kQuestionOutcomeNames = {"answered", "dismissed", "expired", "withdrawn"};
constexpr std::array<std::string_view, 3> kOnDeadlineNames = {"wait", "default", "expire"};
constexpr std::size_t kSuffix = 8;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// ^[a-z0-9]+(?:-[a-z0-9]+)*-[0-9a-z]{8}$, at most 64 characters
bool has_record_form_text(std::string_view text) {
  if (text.size() < kSuffix + 2 || text.size() > 64) return false;
  const std::size_t dash = text.size() - kSuffix - 1;
  if (text[dash] != '-' || !std::ranges::all_of(text.substr(dash + 1), is_word)) return false;
  const std::string_view prefix = text.substr(0, dash);
  if (prefix.front() == '-' || prefix.back() == '-' || prefix.contains("--")) return false;
  return std::ranges::all_of(prefix, [](char c) { return is_word(c) || c == '-'; });
}

// ^[a-z0-9][a-z0-9-]{1,24}$
bool has_kimi_cli_form(std::string_view text) {
  return text.size() >= 2 && text.size() <= 25 && is_word(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_word(c) || c == '-'; });
}

}  // namespace

Result<TaskId> TaskId::parse(std::string_view text) {
  if (text.empty()) return fail(ErrorCode::task_id_empty, "task id is empty: give the id that `run` printed");
  if (!has_record_form_text(text) && !has_kimi_cli_form(text)) {
    // The text may contain anything, so only a short, harmless part of it is quoted.
    std::string shown;
    for (const char c : text.substr(0, 40)) shown += (c >= 0x20 && c < 0x7F) ? c : '?';
    if (text.size() > 40) shown += "...";
    return fail(ErrorCode::task_id_invalid,
                "'" + shown + "' is not a task id: ids look like bash-1a2b3c4d; see `perdure list --all`");
  }
  return TaskId(std::string(text));
}

bool TaskId::names_record(std::string_view text) {
  return has_record_form_text(text);
}

bool TaskId::has_record_form() const {
  return has_record_form_text(text_);
}

std::string_view name_of(Status status) {
  return kStatusNames.at(static_cast<std::size_t>(status));
}

std::optional<Status> status_from(std::string_view name) {
  const auto* const found = std::ranges::find(kStatusNames, name);
  if (found == kStatusNames.end()) return std::nullopt;
  return static_cast<Status>(found - kStatusNames.begin());
}

std::string_view name_of(Kind kind) {
  return kKindNames.at(static_cast<std::size_t>(kind));
}

std::string_view name_of(ExecutorDefinition::Type type) {
  return type == ExecutorDefinition::Type::ssh ? "ssh" : "slurm";
}

std::string described_place(const ExecutorDefinition& executor) {
  if (executor.type == ExecutorDefinition::Type::slurm) return executor.folder;
  if (!executor.host.empty()) return executor.on.empty() ? executor.host : executor.host + ", on " + executor.on;
  std::string words;
  for (const auto& word : executor.transport) words += (words.empty() ? "" : " ") + word;
  return words;
}

std::string_view name_of(Evidence evidence) {
  return kEvidenceNames.at(static_cast<std::size_t>(evidence));
}

std::string_view name_of(QuestionOutcome outcome) {
  return kQuestionOutcomeNames.at(static_cast<std::size_t>(outcome));
}

std::string_view name_of(PermissionPolicy policy) {
  switch (policy) {
    case PermissionPolicy::allow: return "allow";
    case PermissionPolicy::deny: return "deny";
    case PermissionPolicy::ask: return "ask";
  }
  return "";
}

std::string_view name_of(OnDeadline policy) {
  return kOnDeadlineNames.at(static_cast<std::size_t>(policy));
}

}  // namespace perdure
