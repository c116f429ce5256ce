#include "base/error.h"
#include "base/utf8.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/text/activity_text.h"
#include "cli/text/output_json.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::cli {
namespace {

constexpr std::int64_t kWindow = 256 << 10;
constexpr std::int64_t kPreview = 32768;

constexpr Option kOptions[] = {
    {"--tail", "S", "only the last bytes"},
    {"--offset", "B", "from this byte of the stream on"},
    {"--limit", "S", "at most so many bytes"},
    {"--follow", nullptr, "go on until the task ends"},
    {"--path", nullptr, "print the path of the log instead"},
    {"--activity", nullptr, "of a subagent: what it did, not its final message (--json: as JSON lines)"},
};

// Bytes to a pipe or file stay as they are. A terminal gets text that can do nothing to it, and a character that is
// cut by two reads is kept back until its rest has come.
class Sink {
 public:
  void write(std::string_view bytes) {
    if (!stdout_is_terminal()) return put(bytes);
    held_ += bytes;
    const std::size_t whole = held_.size() - incomplete_suffix(held_);
    put(harmless_text(std::string_view(held_).substr(0, whole)));
    held_.erase(0, whole);
  }
  ~Sink() {
    if (!held_.empty()) put(harmless_text(held_));
  }
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

 private:
  std::string held_;
};

// Copies from `offset` on until `limit` bytes, or the end. Bytes that were dropped are passed over with a note.
Result<int> copy(TaskManager& manager, const TaskId& id, std::int64_t offset, std::int64_t limit, bool follow) {
  const Interrupts interrupts;
  Sink sink;
  while (limit > 0) {
    auto chunk = manager.read_output(id, offset, std::min(limit, kWindow));
    if (!chunk && chunk.error().code == ErrorCode::output_expired) {
      auto next = parse_integer(chunk.error().details["nextOffset"], 0, INT64_MAX);
      if (!next) return std::unexpected(chunk.error());
      note(fmt::format("perdure: {} bytes were dropped here", *next - offset));
      offset = *next;
      continue;
    }
    if (!chunk) return std::unexpected(chunk.error());
    sink.write(chunk->bytes);
    offset = chunk->next_offset;
    limit -= static_cast<std::int64_t>(chunk->bytes.size());
    if (chunk->eof && chunk->missing > 0)
      return fail(ErrorCode::output_expired,
                  fmt::format("{} bytes of the output of {} are missing: its log was removed or cut", chunk->missing,
                              id.str()));
    if (chunk->eof) break;
    if (interrupts.came()) return kInterrupted;
    if (!chunk->bytes.empty()) continue;
    if (!follow) break;
    if (auto more = manager.await_output(id, offset, std::nullopt, interrupts.fd()); !more)
      return std::unexpected(more.error());
  }
  return 0;
}

// Whole lines only: what is incomplete comes with the next read.
Result<int> print_activity(const Call& call, TaskManager& manager, const TaskId& id, bool follow) {
  const Interrupts interrupts;
  std::int64_t offset = 0;
  while (true) {
    auto chunk = manager.read_activity(id, offset, kWindow);
    if (!chunk) return std::unexpected(chunk.error());
    const auto end = chunk->bytes.rfind('\n');
    const std::string_view lines = std::string_view(chunk->bytes).substr(0, end == std::string::npos ? 0 : end + 1);
    put(call.json ? std::string(lines) : activity_text(lines));
    offset += static_cast<std::int64_t>(lines.size());
    if (interrupts.came()) return kInterrupted;
    if (!lines.empty()) continue;
    if (chunk->eof || !chunk->bytes.empty() || !follow) return 0;
    if (auto more = manager.await_activity(id, offset, std::nullopt, interrupts.fd()); !more)
      return std::unexpected(more.error());
  }
}

Result<int> print_path(Call& call, TaskManager& manager, const TaskId& id) {
  auto path = manager.output_path(id);
  if (!path) return std::unexpected(path.error());
  if (call.json) {
    put_line(fmt::format(R"({{"outputPath":{}}})", *path ? json_quoted(**path) : "null"));
    return 0;
  }
  if (!*path) {
    note(fmt::format("perdure: {} has printed nothing", id.str()));
    return 1;
  }
  put_line(**path);
  return 0;
}

Result<OutputSnapshot> window(const TaskManager& manager, const TaskId& id, std::int64_t offset, std::int64_t limit) {
  auto shown = manager.output_snapshot(id, 0);
  if (!shown) return shown;
  auto chunk = manager.read_output(id, offset, limit);
  if (!chunk) return std::unexpected(chunk.error());
  // A cut never splits a character: what is incomplete at the end comes with the next read.
  const std::size_t keep = chunk->eof ? chunk->bytes.size() : chunk->bytes.size() - incomplete_suffix(chunk->bytes);
  shown->preview = to_valid_utf8(std::string_view(chunk->bytes).substr(0, keep));
  shown->preview_bytes = static_cast<std::int64_t>(shown->preview.size());
  shown->next_offset = chunk->offset + static_cast<std::int64_t>(keep);
  shown->eof = chunk->eof && keep == chunk->bytes.size();
  shown->truncated = chunk->offset > 0 || shown->next_offset < chunk->size;
  return shown;
}

Result<int> run(Call& call) {
  auto id = call.id();
  auto tail = call.size("--tail");
  auto offset = call.integer("--offset", 0, INT64_MAX);
  auto limit = call.size("--limit");
  if (!id) return std::unexpected(id.error());
  if (!tail) return std::unexpected(tail.error());
  if (!offset) return std::unexpected(offset.error());
  if (!limit) return std::unexpected(limit.error());
  if (*tail && *offset) return fail(ErrorCode::usage, "--tail and --offset exclude each other");
  const bool follow = call.has("--follow");
  const bool activity = call.has("--activity");
  if (activity && (*tail || *offset || *limit || call.has("--path")))
    return fail(ErrorCode::usage, "--activity prints all of it: it takes no --tail, --offset, --limit or --path");
  if (follow && call.json && !activity)
    return fail(ErrorCode::usage, "--follow prints the output itself: leave --json out, or read windows with --offset");
  auto opened = call.manager();
  if (!opened) return std::unexpected(opened.error());
  TaskManager& manager = **opened;
  if (call.has("--path")) return print_path(call, manager, *id);
  if (activity) return print_activity(call, manager, *id, follow);

  if (call.json) {
    auto shown = *offset || *limit ? window(manager, *id, offset->value_or(0), limit->value_or(kPreview))
                                   : manager.output_snapshot(*id, tail->value_or(kPreview));
    if (!shown) return std::unexpected(shown.error());
    put_line(snapshot_json(*shown));
    return 0;
  }
  std::int64_t from = offset->value_or(0);
  if (*tail) {
    auto shown = manager.output_snapshot(*id, **tail);
    if (!shown) return std::unexpected(shown.error());
    Sink().write(shown->preview);
    if (shown->missing_bytes > 0)
      return fail(ErrorCode::output_expired,
                  fmt::format("{} bytes of the output of {} are missing: its log was removed or cut",
                              shown->missing_bytes, id->str()));
    if (!follow) return 0;
    from = shown->next_offset;
  }
  return copy(manager, *id, from, limit->value_or(INT64_MAX), follow);
}

}  // namespace

std::string snapshot_json(const OutputSnapshot& o) {
  return fmt::format(
      R"({{"outputPath":{},"outputSizeBytes":{},"previewBytes":{},"truncated":{},"fullOutputAvailable":{},"droppedBytes":{},"missingBytes":{},"preview":{},"nextOffset":{},"eof":{}}})",
      o.path ? json_quoted(*o.path) : "null", o.size_bytes, o.preview_bytes, o.truncated, o.full_output_available,
      o.dropped_bytes, o.missing_bytes, json_quoted(o.preview), o.next_offset, o.eof);
}

const Verb kOutputVerb{"output", "ID", "what a task printed", kOptions, run, true};

}  // namespace perdure::cli
