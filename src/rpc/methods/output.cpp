#include "base/base64.h"
#include "base/error.h"
#include "base/utf8.h"
#include "base/words.h"
#include "rpc/methods/methods.h"
#include "rpc/methods/streams.h"

#include <algorithm>

// task.output, task.activity
namespace perdure::rpc {

Result<Window> read_window(const TaskManager& manager, const TaskId& id, std::int64_t at, std::int64_t limit) {
  auto chunk = manager.read_output(id, at, limit);
  if (chunk) return Window{std::move(*chunk), std::nullopt};
  if (chunk.error().code != ErrorCode::output_expired) return std::unexpected(chunk.error());
  const auto next = parse_integer(chunk.error().details["nextOffset"], 0, INT64_MAX);
  if (!next) return std::unexpected(chunk.error());
  auto behind = manager.read_output(id, *next, limit);
  if (!behind) return std::unexpected(behind.error());
  return Window{std::move(*behind), std::pair(at, *next - at)};
}

namespace {

constexpr std::int64_t kMostWindow = 256 << 10, kUsualWindow = 64 << 10;
constexpr std::int64_t kLookBack = 64 << 10;  // for the start of a line

// Where the last `lines` lines of the kept end begin.
Result<std::int64_t> start_of_last_lines(const TaskManager& manager, const TaskId& id, std::int64_t size,
                                         std::int64_t lines) {
  auto end = read_window(manager, id, std::max<std::int64_t>(0, size - kMostWindow), kMostWindow);
  if (!end) return std::unexpected(end.error());
  const std::string_view bytes = end->chunk.bytes;
  // The final line end does not start another line.
  std::size_t stop = bytes.size();
  if (bytes.ends_with('\n')) --stop;
  for (; lines > 0 && stop > 0; --lines) {
    const auto found = bytes.rfind('\n', stop - 1);
    if (lines == 1 || found == std::string_view::npos)
      return end->chunk.offset + (found == std::string_view::npos ? 0 : static_cast<std::int64_t>(found) + 1);
    stop = found;
  }
  return end->chunk.offset;
}

Result<std::int64_t> start_of_line(const TaskManager& manager, const TaskId& id, std::int64_t at) {
  const std::int64_t from = std::max<std::int64_t>(0, at - kLookBack);
  auto before = read_window(manager, id, from, at - from);
  if (!before) return std::unexpected(before.error());
  const auto found = std::string_view(before->chunk.bytes).rfind('\n');
  if (found != std::string_view::npos) return before->chunk.offset + static_cast<std::int64_t>(found) + 1;
  return before->chunk.offset == 0 ? 0 : at;
}

// Offset at which the window begins.
Result<std::int64_t> place_of_window(const Request& request, const TaskId& id) {
  const auto& manager = request.manager();
  const auto tail_bytes = request.integer("tailBytes"), tail_lines = request.integer("tailLines");
  const auto at = request.integer("at");
  if (int(at.has_value()) + int(tail_bytes.has_value()) + int(tail_lines.has_value()) > 1)
    return fail(ErrorCode::usage, "at, tailBytes and tailLines exclude each other");
  if (!tail_bytes && !tail_lines) {
    const std::int64_t exact = at.value_or(0);
    return request.is_true("align") && exact > 0 ? start_of_line(manager, id, exact) : Result<std::int64_t>(exact);
  }
  auto end = manager.read_output(id, INT64_MAX, 0);
  if (!end) return std::unexpected(end.error());
  if (tail_bytes) return std::max<std::int64_t>(0, end->size - *tail_bytes);
  return start_of_last_lines(manager, id, end->size, *tail_lines);
}

json::object window_json(Window window, bool base64, bool is_tail) {
  OutputChunk& chunk = window.chunk;
  std::string_view bytes = chunk.bytes;
  if (!base64) {
    // The window never splits a character: an incomplete one at the end comes with the next window.
    const std::size_t cut = is_tail && chunk.offset > 0 ? continuation_prefix(bytes) : 0;
    bytes.remove_prefix(cut);
    chunk.offset += static_cast<std::int64_t>(cut);
    if (const auto rest = incomplete_suffix(bytes); rest > 0 && !chunk.eof && rest < bytes.size()) {
      bytes.remove_suffix(rest);
      chunk.next_offset -= static_cast<std::int64_t>(rest);
    }
  }
  json::object json{{"data", base64 ? base64_of(bytes) : to_valid_utf8(bytes)},
                    {"encoding", base64 ? "base64" : "utf8"},
                    {"offset", chunk.offset},
                    {"nextOffset", chunk.next_offset},
                    {"size", chunk.size},
                    {"eof", chunk.eof}};
  if (window.gap) json["gap"] = json::object{{"at", window.gap->first}, {"bytes", window.gap->second}};
  return json;
}

Reply output(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto at = place_of_window(request, *id);
  if (!at) return failed(at.error());
  const std::int64_t limit = request.integer("limit").value_or(kUsualWindow);
  const bool is_tail = request.find("tailBytes") != nullptr;
  auto window =
      read_window(request.manager(), *id, *at, is_tail ? std::max(limit, *request.integer("tailBytes")) : limit);
  if (!window) return failed(window.error());
  if (const auto patience = request.time("waitMs"); patience && window->chunk.bytes.empty() && !window->chunk.eof) {
    if (auto more = request.manager().await_output(*id, window->chunk.next_offset, patience,
                                                   Cancellation::when_readable(request.call.stop.fd()));
        !more)
      return failed(more.error());
    window = read_window(request.manager(), *id, window->chunk.next_offset, limit);
    if (!window) return failed(window.error());
  }
  return window_json(std::move(*window), request.text("encoding") == "base64", is_tail);
}

// Whole lines only: an incomplete one comes with the next window.
Reply activity(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  const std::int64_t at = request.integer("at").value_or(0);
  const std::int64_t limit = request.integer("limit").value_or(kUsualWindow);
  auto chunk = request.manager().read_activity(*id, at, limit);
  if (!chunk) return failed(chunk.error());
  if (const auto patience = request.time("waitMs"); patience && chunk->bytes.empty() && !chunk->eof) {
    if (auto more =
            request.manager().await_activity(*id, at, patience, Cancellation::when_readable(request.call.stop.fd()));
        !more)
      return failed(more.error());
    chunk = request.manager().read_activity(*id, at, limit);
    if (!chunk) return failed(chunk.error());
  }
  json::array lines;
  std::string_view left = chunk->bytes;
  std::int64_t next = chunk->offset;
  for (auto end = left.find('\n'); end != std::string_view::npos; end = left.find('\n')) {
    auto line = parsed(left.substr(0, end));
    if (line.is_object()) lines.push_back(std::move(line));
    left.remove_prefix(end + 1);
    next += static_cast<std::int64_t>(end) + 1;
  }
  // A line longer than the window is split, so that the reader makes progress.
  if (next == chunk->offset) next = chunk->next_offset;
  return json::object{{"lines", std::move(lines)},
                      {"nextOffset", next},
                      {"size", chunk->size},
                      {"eof", chunk->eof && next == chunk->next_offset}};
}

constexpr Field kOutputParams[] = {
    {"id", "string", "exact id of a task", true},
    {"at", "integer", "offset of the first byte (default: 0)"},
    {.name = "tailBytes", .type = "integer", .help = "instead: the last bytes", .least = 0, .most = kMostWindow},
    {.name = "tailLines", .type = "integer", .help = "instead: the last lines, of the last 256 KiB", .least = 1},
    {.name = "limit", .type = "integer", .help = "bytes (default 65536)", .least = 1, .most = kMostWindow},
    {"align", "boolean", "begin at the start of a line, at most 64 KiB before `at`"},
    {"encoding", "utf8|base64", "default: utf8, with what is invalid as U+FFFD"},
    {"waitMs", "integer", "where there is nothing yet: wait so long for it"},
};
constexpr Field kOutputResult[] = {
    {"data", "string", "", true},
    {"encoding", "utf8|base64", "of data", true},
    {"offset", "integer", "of the first byte", true},
    {"nextOffset", "integer", "where the next window begins", true},
    {"size", "integer", "bytes of the stream so far", true},
    {"eof", "boolean", "the task has ended and nextOffset is the end", true},
    {"gap", "Gap", "bytes before `offset` that were asked for and were not kept"},
};
constexpr Field kActivityParams[] = {
    {"id", "string", "exact id of a task", true},
    {"at", "integer", "offset of a line (default: 0)"},
    {.name = "limit", .type = "integer", .help = "bytes (default 65536)", .least = 1, .most = kMostWindow},
    {"waitMs", "integer", "where there is nothing yet: wait so long for it"},
};
constexpr Field kActivityResult[] = {
    {"lines", "object[]", "see docs/guide/agents.md", true},
    {"nextOffset", "integer", "where the next window begins", true},
    {"size", "integer", "bytes of the activity so far", true},
    {"eof", "boolean", "nothing more will come", true},
};
constexpr Method kOutputMethods[] = {
    {.name = "task.output",
     .help = "A window of what a task printed. Offsets count bytes of the stream.",
     .params = kOutputParams,
     .result = kOutputResult,
     .handle = output},
    {.name = "task.activity",
     .help = "What a subagent did.",
     .params = kActivityParams,
     .result = kActivityResult,
     .handle = activity},
};

}  // namespace

std::span<const Method> output_methods() {
  return kOutputMethods;
}

}  // namespace perdure::rpc
