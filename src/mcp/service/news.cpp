#include "mcp/service/news.h"

#include "base/clock.h"
#include "base/readable.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {
namespace {

// A client that polls tasks learns of an end from tasks/get; other channels deliver it only after this time.
constexpr std::int64_t kPollersPatienceMs = 30'000;
constexpr std::size_t kMost = 700, kMostOfLines = 220, kMostOfTitle = 100, kMostIds = 10;

// Replaces the text between two marks of a command line in `text`, and the marks, by `tool`.
void replace_command(std::string& text, std::string_view start, std::string_view end, auto tool) {
  for (auto at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
    const auto behind = at + start.size();
    const auto stop = text.find(end, behind);
    if (stop == std::string::npos) return;
    const std::string words = tool(std::string_view(text).substr(behind, stop - behind));
    text.replace(at, stop + end.size() - at, words);
  }
}

// Users type commands, models call tools.
std::string for_model(std::string brief, const Caller& caller) {
  replace_command(brief, "`perdure output ", "`",
                  [&](std::string_view) { return with_tool_names("@TaskOutput reads it", caller); });
  replace_command(brief, "`perdure agent --resume ", " PROMPT`", [&](std::string_view id) {
    return with_tool_names("@Agent with resume=", caller) + fmt::format("\"{}\"", id);
  });
  return brief;
}

std::string within(std::string_view text, std::size_t most) {
  std::string cut(text.substr(0, most));
  cut.resize(cut.size() - incomplete_suffix(cut));
  return cut;
}

}  // namespace

std::chrono::milliseconds left_to_polling(const TaskManager& manager, const Notification& news) {
  std::int64_t longest = 0;
  for (const auto& id : news.tasks) {
    const auto task = manager.get(id);
    const std::int64_t left = task ? ms_of(task->ended_at).value_or(0) + kPollersPatienceMs - now_ms() : 0;
    // More than the whole period: the clock was set back.
    if (!task || task->notification.delivered_by != kDeliveredByTasks || left <= 0 || left > kPollersPatienceMs)
      return {};
    longest = std::max(longest, left);
  }
  return std::chrono::milliseconds(longest);
}

std::string news_xml(const Notification& news, const Caller& caller) {
  Notification told = news;
  told.brief = for_model(news.brief.empty() ? news.body : news.brief, caller);
  return notification_xml(told);
}

json::object news_members(const Notification& news, const Caller& caller) {
  json::object members{{"source_id", news.source_id}, {"status", name_of(news.status)}};
  if (news.exit_code) members["exitCode"] = *news.exit_code;
  if (news.agent_id) members["agentId"] = to_valid_utf8(news.agent_id->text);
  if (news.tasks.size() > 1) {
    json::array ids;
    for (const auto& id : news.tasks)
      if (ids.size() < kMostIds) ids.emplace_back(id.str());
    members["tasks"] = std::move(ids);
    members["count"] = news.tasks.size();
  }
  members["title"] = within(news.title, kMostOfTitle);
  std::string body = for_model(news.brief.empty() ? news.body : news.brief, caller);
  const std::string readable = make_readable(news.preview).text;
  if (!news.failure_line.empty() && !end_of(readable, kMostOfLines / 2).contains(news.failure_line))
    body += "\nFailure: " + news.failure_line;
  const auto room = [&] { return kMost - std::min(kMost, json::serialize(members).size() + 24); };
  // Escapes make the text longer in JSON: it is shortened until it fits.
  for (std::size_t most = room(); most > 0; most = most * 3 / 4) {
    members["body"] = within(body, most);
    if (json::serialize(members).size() <= kMost) break;
  }
  for (std::size_t most = std::min(room(), kMostOfLines); most >= 16; most = most * 3 / 4) {
    members["last_lines"] = end_of(readable, most);
    if (readable.empty() || json::serialize(members).size() > kMost) members.erase("last_lines");
    if (readable.empty() || members.contains("last_lines")) break;
  }
  return members;
}

}  // namespace perdure::mcp
