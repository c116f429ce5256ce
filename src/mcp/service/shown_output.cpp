#include "mcp/service/shown_output.h"

#include "base/readable.h"
#include "base/try.h"
#include "base/utf8.h"
#include "mcp/protocol/client.h"
#include "mcp/service/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

// Progress frames take far more space in the log than in the collapsed output.
constexpr std::int64_t kReadAhead = 8, kMostRead = 1 << 20, kLeastRead = 64 << 10;
constexpr std::size_t kFailureLine = 300;

constexpr std::array<std::string_view, 5> kCutKeys = {"output_truncated", "output_size_bytes", "dropped_bytes",
                                                      "output_path", "preview_limit_bytes"};
constexpr std::array<std::string_view, 5> kGoOnKeys = {"next_offset", "eof", "maybe_waiting_for_input", "asks_secret",
                                                       "next"};

bool may_name_a_failure(const Task& task) {
  return task.status == Status::failed && task.kind == Kind::process;
}

std::string cut_line(std::string_view line, std::size_t most) {
  std::string text = to_plain_text(line, false);
  if (text.size() <= most) return text;
  text.resize(most);
  text.resize(most - incomplete_suffix(text));
  return text + "...";
}

// How to continue, for clients that see only these members. Empty: the output is complete.
std::string next_step(const Caller& caller, const Task& task, const ShownOutput& shown) {
  std::string text;
  if (!is_terminal(task.status)) {
    text = fmt::format("@WaitFor waits for its end; @TaskOutput with offset={} reads on", shown.next_offset);
  } else if (!shown.eof) {
    text = fmt::format("@TaskOutput with offset={} reads on", shown.next_offset);
  } else if (!shown.is_whole && !shown.is_window) {
    text = "@TaskOutput with offset=0 reads it from the start";
  }
  return with_tool_names(text, caller);
}

std::string line_of(const json::object& members, auto& keys) {
  std::string line;
  for (const std::string_view key : keys) {
    const auto* const value = members.if_contains(key);
    if (value == nullptr) continue;
    line += fmt::format("{}{}: {}", line.empty() ? "" : ", ", key,
                        value->is_string() ? to_plain_text(value->get_string(), false) : json::serialize(*value));
  }
  return line.empty() ? line : line + "\n";
}

}  // namespace

Result<ShownOutput> show_tail(const Service& service, const Caller& caller, const Task& task, std::int64_t tail,
                              bool exact) {
  const std::int64_t limit = std::min(tail, Service::preview_limit(caller));
  const std::int64_t window = exact || limit == 0 ? limit : std::clamp(limit * kReadAhead, kLeastRead, kMostRead);
  TRY(auto snapshot, service.manager().output_snapshot(task.id, window));
  ShownOutput shown{.size = snapshot.size_bytes,
                    .dropped = snapshot.dropped_bytes,
                    .next_offset = snapshot.next_offset,
                    .eof = snapshot.eof,
                    .is_whole = !snapshot.truncated,
                    .path = std::move(snapshot.path)};
  if (exact) {
    shown.text = std::move(snapshot.preview);
    return shown;
  }
  Readable readable = make_readable(snapshot.preview);
  const std::string_view end = end_of(readable.text, static_cast<std::size_t>(limit));
  if (end.size() < readable.text.size()) shown.is_whole = false;
  if (limit > 0) shown.collapsed = collapsed_words(readable);
  if (may_name_a_failure(task) && limit > 0)
    if (const auto line = failure_line(readable.text); !line.empty() && !end.contains(line))
      shown.failure = cut_line(line, kFailureLine);
  shown.text = std::string(end);
  return shown;
}

Result<ShownOutput> show_window(const Service& service, const Caller& caller, const Task& task, std::int64_t offset,
                                std::optional<std::int64_t> limit, bool exact) {
  const std::int64_t most = Service::preview_limit(caller);
  TRY(auto chunk, service.manager().read_output(task.id, offset, std::min(limit.value_or(most), most)));
  ShownOutput shown{.size = chunk.size,
                    .dropped = chunk.dropped,
                    .next_offset = chunk.next_offset,
                    .eof = chunk.eof,
                    .is_window = true};
  if (const std::size_t cut = incomplete_suffix(chunk.bytes); cut > 0 && cut < chunk.bytes.size() && !chunk.eof) {
    chunk.bytes.resize(chunk.bytes.size() - cut);
    shown.next_offset -= static_cast<std::int64_t>(cut);
  }
  shown.is_whole = chunk.offset == 0 && shown.next_offset >= chunk.size;
  if (exact) {
    shown.text = to_valid_utf8(chunk.bytes);
  } else {
    Readable readable = make_readable(chunk.bytes);
    shown.collapsed = collapsed_words(readable);
    shown.text = std::move(readable.text);
  }
  if (auto path = service.manager().output_path(task.id); path && *path) shown.path = std::move(**path);
  return shown;
}

json::object answer_members(const Caller& caller, const Task& task, const ShownOutput& shown,
                            std::string_view retrieval_status) {
  json::object members{{"output", shown.text}};
  if (!retrieval_status.empty()) members["retrieval_status"] = retrieval_status;
  members["task_id"] = task.id.str();
  for (auto& fact : outcome_facts(task)) members[fact.key()] = std::move(fact.value());
  if (!shown.is_whole) {
    members["output_truncated"] = true;
    members["output_size_bytes"] = shown.size;
  }
  if (shown.dropped > 0) members["dropped_bytes"] = shown.dropped;
  if ((!shown.is_whole || !shown.collapsed.empty()) && shown.path) members["output_path"] = to_valid_utf8(*shown.path);
  if (!shown.is_whole || shown.is_window || !shown.eof) members["next_offset"] = shown.next_offset;
  members["eof"] = shown.eof;
  if (const std::string next = next_step(caller, task, shown); !next.empty()) members["next"] = next;
  if (!shown.failure.empty()) members["failure_line"] = shown.failure;
  if (!shown.collapsed.empty())
    members["collapsed"] =
        with_tool_names(fmt::format("{}; @TaskOutput with raw=true has them", shown.collapsed), caller);
  return members;
}

std::string answer_text(const json::object& members) {
  const auto* const found = members.if_contains("output");
  std::string text(found == nullptr ? std::string_view() : std::string_view(found->get_string()));
  if (text.empty()) text = "(no output)";
  if (!text.ends_with('\n')) text += '\n';
  std::vector<std::string_view> facts;
  for (const auto& member : members) {
    const std::string_view key = member.key();
    if (key != "output" && key != "failure_line" && key != "collapsed" &&
        std::ranges::find(kCutKeys, key) == kCutKeys.end() && std::ranges::find(kGoOnKeys, key) == kGoOnKeys.end())
      facts.push_back(key);
  }
  constexpr std::array<std::string_view, 1> kFailure = {"failure_line"}, kCollapsed = {"collapsed"};
  text += line_of(members, facts) + line_of(members, kCutKeys);
  if (members.contains("next_offset")) text += line_of(members, kGoOnKeys);
  return text + line_of(members, kFailure) + line_of(members, kCollapsed);
}

}  // namespace perdure::mcp
