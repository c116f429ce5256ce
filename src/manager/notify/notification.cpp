#include "manager/notify/notification.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/readable.h"
#include "base/try.h"
#include "base/utf8.h"
#include "manager/watch/output.h"
#include "store/output_log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace perdure {
namespace manager {
namespace {

constexpr std::int64_t kPreviewBytes = 1024;
constexpr std::int64_t kSearchedForFailure = 64 << 10;
constexpr std::size_t kMostOfFailure = 300;
constexpr std::size_t kMostOfBriefReason = 120;
constexpr std::size_t kMostOfDescription = 200;
constexpr std::size_t kMostOfReason = 1000;
constexpr std::string_view kOfTask = "task:";
constexpr std::string_view kOfLost = "lost:";
constexpr char kBetweenIds = '+';

// Text from another program as one harmless line.
std::string quoted_words(std::string_view text, std::size_t most) {
  std::string line = to_plain_text(text, false);
  if (line.size() <= most) return line;
  line.resize(most);
  line.resize(most - incomplete_suffix(line));
  return line + "...";
}

std::string in_words(std::int64_t ms) {
  const std::int64_t s = ms / 1000;
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 10'000) return fmt::format("{}.{} s", s, ms % 1000 / 100);
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
}

std::string_view ended_as(Status status) {
  return status == Status::timed_out ? "timed out" : name_of(status);
}

Severity severity_of(Status status) {
  switch (status) {
    case Status::failed:
    case Status::lost: return Severity::error;
    case Status::timed_out:
    case Status::killed: return Severity::warning;
    case Status::completed:
    case Status::queued:
    case Status::running: return Severity::info;
  }
  return Severity::info;
}

std::string name_of_signal(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("signal {} (SIG{})", number, name);
}

std::string_view in_words(Evidence evidence) {
  switch (evidence) {
    case Evidence::runner_killed: return "the process that looked after it was killed";
    case Evidence::rebooted: return "the machine was started anew meanwhile";
    case Evidence::never_started: return "what was to start it was killed before it ran";
    case Evidence::process_gone: return "its process is gone, and how it ended was not recorded";
    case Evidence::adopted: return "a person said so";
    case Evidence::engine_gone: return "the place where it ran does not know it any more";
    case Evidence::node_fail: return "the node that it ran on failed";
  }
  return "";
}

// "bash-1a2b3c4d failed with exit code 3 after 12 s."
std::string outcome_sentence(const Task& task) {
  std::string text = task.id.str();
  switch (task.status) {
    case Status::completed: text += " completed"; break;
    case Status::failed: text += " failed"; break;
    case Status::timed_out:
      text += " timed out";
      if (task.timed_out_by == "idle" && task.limits.idle_timeout_ms) {
        text += fmt::format(": there was no output for {}", in_words(*task.limits.idle_timeout_ms));
      } else if (task.limits.timeout_ms.value_or(0) > 0)
        text += fmt::format(" at its deadline of {}", in_words(*task.limits.timeout_ms));
      break;
    case Status::killed: text += " was stopped"; break;
    case Status::lost:
      text += " was lost";
      if (task.lost_evidence) text += fmt::format(": {}", in_words(*task.lost_evidence));
      return text + ". How it ended, and how much of its work was done, is not known.";
    case Status::queued:
    case Status::running: break;
  }
  if (task.process.exit_code) text += fmt::format(" with exit code {}", *task.process.exit_code);
  if (task.process.signal) text += fmt::format(": ended by {},", name_of_signal(*task.process.signal));
  if (task.restart.count > 1) text += fmt::format(" in attempt {}", task.restart.count);
  if (task.ended_at && *task.ended_at >= task.started_at)
    text += fmt::format(" after {}", in_words(ms_of(*task.ended_at) - ms_of(task.started_at)));
  return text + ".";
}

std::string output_sentences(const Task& task, const Notification& news) {
  const std::string& id = task.id.str();
  if (!news.output_path)
    return task.kind == Kind::process ? "It printed nothing." : fmt::format("See: perdure show {}", id);
  std::string text = fmt::format(
      "It printed {} bytes: read them with `perdure output {}`, the end with `perdure output {} --tail 4KiB`, "
      "or in the file {}",
      news.output_bytes, id, id, to_plain_text(*news.output_path, false));
  if (task.output.dropped_bytes.value_or(0) > 0)
    text +=
        fmt::format("\n{} of them, in the middle, were over its budget and are not kept.", *task.output.dropped_bytes);
  if (task.output.unstored_bytes.value_or(0) > 0)
    text += fmt::format("\n{} bytes more were refused by the disk and are missing.", *task.output.unstored_bytes);
  return text;
}

// Only an agent that did not finish can be resumed.
std::string resume_sentence(const Task& task) {
  if (task.kind != Kind::agent || !task.agent.id || task.status == Status::completed) return "";
  const std::string agent = quoted_words(task.agent.id->text, kMostOfDescription);
  return fmt::format(
      "\nThe subagent can go on where it was. Resume it by its agent id, which is {} (not by the task id): "
      "`perdure agent --resume {} PROMPT`",
      agent, agent);
}

// The body in few words.
std::string brief_of(const Task& task, const Notification& news) {
  std::string text = outcome_sentence(task);
  if (task.stop_reason) text += fmt::format("\nReason: {}", quoted_words(*task.stop_reason, kMostOfBriefReason));
  if (news.output_path) {
    text += fmt::format("\nIt printed {} bytes: `perdure output {}`", grouped(news.output_bytes), task.id.str());
    const std::int64_t missing = task.output.dropped_bytes.value_or(0) + task.output.unstored_bytes.value_or(0);
    if (missing > 0) text += fmt::format("; {} bytes are not kept", grouped(missing));
  } else if (task.kind == Kind::process) {
    text += "\nIt printed nothing.";
  }
  if (!task.process.survivors.empty())
    text += fmt::format("\nProcesses that outlived SIGKILL: {}", fmt::join(task.process.survivors, ", "));
  if (task.kind == Kind::agent && task.agent.id && task.status != Status::completed)
    text += fmt::format("\nResume the subagent by its agent id: `perdure agent --resume {} PROMPT`",
                        quoted_words(task.agent.id->text, kMostOfDescription));
  return text;
}

std::string failure_of(const store::Session& session, const Task& task) {
  if (task.status != Status::failed || task.kind != Kind::process) return {};
  const Readable readable = make_readable(output_tail(session, task, kSearchedForFailure));
  return quoted_words(failure_line(readable.text), kMostOfFailure);
}

Notification summary_of_lost(const store::Session& session, const std::vector<Task>& tasks) {
  Notification news{.id = std::string(kOfLost), .type = "tasks.lost", .source_kind = "session"};
  news.source_id = session.path();
  news.owner = tasks.front().owner;
  news.status = Status::lost;
  news.severity = Severity::error;
  news.title = fmt::format("{} tasks were lost", tasks.size());
  news.body =
      "How these ended was not recorded, and how much of their work was done is unknown. Their output is kept: "
      "`perdure output ID`. To acknowledge all of them, acknowledge this notification.";
  for (const auto& task : tasks) {
    if (!news.tasks.empty()) news.id += kBetweenIds;
    news.id += task.id.str();
    news.tasks.push_back(task.id);
    news.body += fmt::format("\n- {}: {}", task.id.str(), quoted_words(task.description, kMostOfDescription));
    if (task.lost_evidence) news.body += fmt::format(" ({})", in_words(*task.lost_evidence));
    if (task.agent.id)
      news.body += fmt::format(" resume it with agent id {}", quoted_words(task.agent.id->text, kMostOfDescription));
  }
  return news;
}

Result<std::vector<TaskId>> split_ids(std::string_view text) {
  std::vector<TaskId> ids;
  while (true) {
    const auto end = text.find(kBetweenIds);
    TRY(auto id, TaskId::parse(text.substr(0, end)));
    ids.push_back(std::move(id));
    if (end == std::string_view::npos) return ids;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Notification describe_end(const store::Session& session, const Task& task) {
  const std::string& id = task.id.str();
  Notification news{.id = fmt::format("{}{}:{}", kOfTask, id, name_of(task.status)),
                    .type = fmt::format("task.{}", name_of(task.status)),
                    .source_kind = "background_task",
                    .source_id = id,
                    .agent_id = task.agent.id,
                    .owner = task.owner,
                    .status = task.status,
                    .exit_code = task.process.exit_code,
                    .signal = task.process.signal,
                    .reason = task.stop_reason};
  news.severity = severity_of(task.status);
  news.title = fmt::format("{}: {}", quoted_words(task.description, kMostOfDescription), ended_as(task.status));
  news.output_path = store::output_log_path(session, task);
  if (news.output_path) {
    news.output_bytes = task.output.bytes ? *task.output.bytes : store::output_size(session, task);
    news.preview = output_tail(session, task, kPreviewBytes);
  }
  news.tasks.push_back(task.id);
  news.body = outcome_sentence(task);
  if (task.stop_reason) news.body += fmt::format("\nReason: {}", quoted_words(*task.stop_reason, kMostOfReason));
  news.body += "\n" + output_sentences(task, news);
  if (!task.process.survivors.empty())
    news.body += fmt::format("\nProcesses that outlived SIGKILL: {}", fmt::join(task.process.survivors, ", "));
  news.body += resume_sentence(task);
  news.brief = brief_of(task, news);
  if (news.output_path) news.failure_line = failure_of(session, task);
  if (!news.failure_line.empty()) news.body += fmt::format("\nFailure: {}", news.failure_line);
  return news;
}

std::vector<Notification> describe_ends(const store::Session& session, const std::vector<Task>& tasks) {
  std::map<std::optional<std::string>, std::vector<Task>> lost;
  for (const auto& task : tasks)
    if (task.status == Status::lost) lost[task.owner].push_back(task);
  std::vector<Notification> news;
  for (const auto& task : tasks) {
    if (task.status != Status::lost || lost[task.owner].size() == 1) {
      news.push_back(describe_end(session, task));
    } else if (lost[task.owner].front().id == task.id) {
      news.push_back(summary_of_lost(session, lost[task.owner]));
    }
  }
  return news;
}

Result<Meant> tasks_meant_by(std::string_view id) {
  Meant meant;
  if (id.starts_with(kOfLost)) {
    meant.status = Status::lost;
    id.remove_prefix(kOfLost.size());
  } else if (id.starts_with(kOfTask)) {
    id.remove_prefix(kOfTask.size());
    const auto colon = id.find(':');
    meant.status = colon == std::string_view::npos ? std::nullopt : status_from(id.substr(colon + 1));
    if (!meant.status)
      return fail(ErrorCode::task_id_invalid,
                  "this is not the id of a notification: those look like task:bash-1a2b3c4d:completed");
    id = id.substr(0, colon);
  }
  TRY(auto tasks, split_ids(id));
  meant.tasks = std::move(tasks);
  return meant;
}

}  // namespace manager
}  // namespace perdure
