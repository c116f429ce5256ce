#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "base/utf8.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/text/activity_text.h"
#include "cli/text/output_json.h"
#include "cli/text/output_tail.h"
#include "cli/text/terminal_text.h"
#include "cli/verbs/verbs.h"
#include "view/task_screen.h"

#include <poll.h>

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace perdure::cli {
namespace {

constexpr std::int64_t kWindow = 256 << 10;
constexpr std::int64_t kPreview = 32768;

constexpr Option kOutputOptions[] = {
    {"-n,--tail", "N|SIZE", "only the last N lines, or the last bytes: 4KiB"},
    {"--offset", "B", "from this byte of the stream on"},
    {"--limit", "S", "at most so many bytes"},
    {"-f,--follow", nullptr, "go on until the task ends"},
    {"--raw", nullptr, "the bytes as they are, also to a terminal"},
    {"--screen", nullptr, "of a task with --pty: what its terminal shows now, or showed at the end"},
    {"--path", nullptr, "print the path of the log instead"},
    {"--activity", nullptr, "of a subagent: what it did, not its final message (--json: as JSON lines)"},
};

// Bytes to a pipe or file are not changed, and with --raw none are. A terminal gets harmless text.
class Sink {
 public:
  explicit Sink(bool raw, bool live = false, std::string prefix = {})
      : raw_(raw || (!stdout_is_terminal() && prefix.empty())),
        text_(wants_colour() && !raw, live && prefix.empty()),
        prefix_(std::move(prefix)) {}
  void write(std::string_view bytes) {
    if (raw_) return put(bytes);
    print(prefix_.empty() || stdout_is_terminal() ? text_.take(bytes) : std::string(bytes));
  }
  ~Sink() {
    if (!raw_) print(text_.finish());
    if (!line_.empty()) put(prefix_ + line_ + "\n");
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

 private:
  // With a prefix, whole lines only: else two tasks would share a line.
  void print(std::string_view text) {
    if (prefix_.empty()) return put(text);
    line_ += text;
    std::string lines;
    for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos; line_.erase(0, end + 1))
      lines += prefix_ + line_.substr(0, end + 1);
    put(lines);
  }

  bool raw_;
  TerminalText text_;
  std::string prefix_, line_;
};

struct WantedOutput {
  std::int64_t offset = 0, limit = INT64_MAX;
  std::optional<TailLength> tail;
  bool follow = false, raw = false;
};

constexpr std::int64_t kMostTailLines = 100'000;

// `N` is lines, `4KiB` bytes (I40).
Result<> read_tail_option(const Call& call, WantedOutput& wanted) {
  const auto text = call.value("--tail");
  if (!text) return {};
  if (text->find_first_not_of("0123456789") == std::string::npos) {
    auto lines = parse_integer(*text, 0, kMostTailLines);
    if (!lines)
      return fail(ErrorCode::usage,
                  fmt::format("--tail: expected at most {} lines, got '{}'; a size such as 4KiB is bytes",
                              kMostTailLines, harmless_line(*text)));
    wanted.tail = TailLength{.lines = *lines};
    return {};
  }
  auto bytes = parse_size(*text);
  if (!bytes)
    return fail(ErrorCode::usage, fmt::format("--tail: expected a number of lines, or a size such as 4KiB, got '{}'",
                                              harmless_line(*text)));
  wanted.tail = TailLength{.bytes = *bytes};
  return {};
}

bool is_readable(int fd) {
  pollfd look{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, 0) > 0;
}

// Copies from `offset` up to `limit` bytes, or to the end. Skips dropped bytes and prints a note.
Result<int> copy(TaskManager& manager, const TaskId& id, std::int64_t offset, std::int64_t limit, bool follow,
                 Sink& sink, int cancel_fd) {
  while (limit > 0) {
    auto chunk = manager.read_output(id, offset, std::min(limit, kWindow));
    if (!chunk && chunk.error().code == ErrorCode::output_expired) {
      auto next = parse_integer(chunk.error().details["nextOffset"], 0, INT64_MAX);
      if (!next) return std::unexpected(chunk.error());
      note(fmt::format("perdure: {} bytes were dropped at offset {}", *next - offset, offset));
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
    if (is_readable(cancel_fd)) return kInterrupted;
    if (!chunk->bytes.empty()) continue;
    if (!follow) break;
    if (auto more = manager.await_output(id, offset, std::nullopt, Cancellation::when_readable(cancel_fd)); !more)
      return std::unexpected(more.error());
  }
  return 0;
}

// Whole lines only: an incomplete one comes with the next read.
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
    if (auto more = manager.await_activity(id, offset, std::nullopt, Cancellation::when_readable(interrupts.fd()));
        !more)
      return std::unexpected(more.error());
  }
}

Result<int> print_path(Call& call, TaskManager& manager, const TaskId& id) {
  auto path = manager.output_path(id);
  if (!path) return std::unexpected(path.error());
  if (call.json) {
    put_line(JsonObject().add("outputPath", *path).str());
    return 0;
  }
  if (!*path) {
    note(fmt::format("perdure: {} has printed nothing", id.str()));
    return 1;
  }
  put_line(**path);
  return 0;
}

Result<int> print_screen(const Call& call, const TaskManager& manager, const TaskId& id) {
  auto screen = view::screen_of(manager, id);
  if (!screen) return std::unexpected(screen.error());
  if (call.json) {
    put_line(fmt::format(R"({{"screen":{},"rows":{},"columns":{}}})", json_quoted(screen->text), screen->size.rows,
                         screen->size.columns));
  } else {
    put(screen->text);
  }
  return 0;
}

Result<OutputSnapshot> window(const TaskManager& manager, const TaskId& id, std::int64_t offset, std::int64_t limit) {
  auto shown = manager.output_snapshot(id, 0);
  if (!shown) return shown;
  auto chunk = manager.read_output(id, offset, limit);
  if (!chunk) return std::unexpected(chunk.error());
  // Never cuts within a character: an incomplete one at the end comes with the next read.
  const std::size_t keep = chunk->eof ? chunk->bytes.size() : chunk->bytes.size() - incomplete_suffix(chunk->bytes);
  shown->preview = to_valid_utf8(std::string_view(chunk->bytes).substr(0, keep));
  shown->preview_bytes = static_cast<std::int64_t>(shown->preview.size());
  shown->next_offset = chunk->offset + static_cast<std::int64_t>(keep);
  shown->eof = chunk->eof && keep == chunk->bytes.size();
  shown->truncated = chunk->offset > 0 || shown->next_offset < chunk->size;
  return shown;
}

Result<OutputSnapshot> tail_snapshot(const TaskManager& manager, const TaskId& id, const TailLength& length) {
  auto shown = manager.output_snapshot(id, 0);
  if (!shown) return shown;
  TRY(const auto end, read_tail(manager, id, length));
  const std::size_t keep = end.eof ? end.bytes.size() : end.bytes.size() - incomplete_suffix(end.bytes);
  shown->preview = to_valid_utf8(std::string_view(end.bytes).substr(0, keep));
  shown->preview_bytes = static_cast<std::int64_t>(shown->preview.size());
  shown->next_offset = end.offset + static_cast<std::int64_t>(keep);
  shown->eof = end.eof && keep == end.bytes.size();
  shown->truncated = end.offset > 0;
  return shown;
}

Result<int> print_one(TaskManager& manager, const TaskId& id, const WantedOutput& wanted, Sink& sink, int cancel_fd) {
  std::int64_t from = wanted.offset;
  if (wanted.tail) {
    TRY(const auto end, read_tail(manager, id, *wanted.tail));
    sink.write(end.bytes);
    if (end.missing > 0)
      return fail(
          ErrorCode::output_expired,
          fmt::format("{} bytes of the output of {} are missing: its log was removed or cut", end.missing, id.str()));
    if (!wanted.follow) return 0;
    from = end.next_offset;
  }
  return copy(manager, id, from, wanted.limit, wanted.follow, sink, cancel_fd);
}

// One after the other; with --follow all at once, each line with its task's id in front.
Result<int> print_several(TaskManager& manager, const std::vector<TaskId>& ids, const WantedOutput& wanted) {
  const Interrupts interrupts;
  std::size_t width = 0;
  for (const auto& id : ids) width = std::max(width, id.str().size());
  std::vector<Result<int>> results(ids.size(), 0);
  const auto one = [&](std::size_t i) {
    Sink sink(wanted.raw, wanted.follow, fmt::format("{:<{}}  ", ids[i].str(), width));
    results[i] = print_one(manager, ids[i], wanted, sink, interrupts.fd());
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (wanted.follow) {
      threads.emplace_back(one, i);
    } else {
      one(i);
    }
  }
  threads.clear();
  for (const auto& result : results)
    if (!result || *result != 0) return result;
  return 0;
}

Result<int> run_output(Call& call) {
  auto ids = call.ids();
  auto offset = call.integer("--offset", 0, INT64_MAX);
  auto limit = call.size("--limit");
  WantedOutput wanted;
  auto tail = read_tail_option(call, wanted);
  if (!ids) return std::unexpected(ids.error());
  if (ids->empty()) return fail(ErrorCode::task_id_empty, "no task id: write `perdure output @1` for the newest task");
  if (!tail) return std::unexpected(tail.error());
  if (!offset) return std::unexpected(offset.error());
  if (!limit) return std::unexpected(limit.error());
  const bool has_tail = call.has("--tail");
  if (has_tail && *offset) return fail(ErrorCode::usage, "--tail and --offset exclude each other");
  wanted.follow = call.has("--follow");
  wanted.raw = call.has("--raw");
  wanted.offset = offset->value_or(0);
  wanted.limit = limit->value_or(INT64_MAX);
  const bool activity = call.has("--activity");
  if (ids->size() > 1 && (activity || call.json || call.has("--path")))
    return fail(ErrorCode::usage, "--activity, --json and --path are for one task");
  if (activity && (has_tail || *offset || *limit || call.has("--path")))
    return fail(ErrorCode::usage, "--activity prints all of it: it takes no --tail, --offset, --limit or --path");
  if (call.has("--screen") && (ids->size() > 1 || activity || wanted.follow || wanted.raw || has_tail || *offset ||
                               *limit || call.has("--path")))
    return fail(ErrorCode::usage, "--screen is for one task, and alone");
  if (wanted.follow && call.json && !activity)
    return fail(ErrorCode::usage, "--follow prints the output itself: leave --json out, or read windows with --offset");
  auto opened = call.manager();
  if (!opened) return std::unexpected(opened.error());
  TaskManager& manager = **opened;
  const TaskId& id = ids->front();
  if (call.has("--path")) return print_path(call, manager, id);
  if (call.has("--screen")) return print_screen(call, manager, id);
  if (activity) return print_activity(call, manager, id, wanted.follow);

  if (call.json) {
    auto shown = *offset || *limit ? window(manager, id, wanted.offset, limit->value_or(kPreview))
                 : has_tail        ? tail_snapshot(manager, id, *wanted.tail)
                                   : manager.output_snapshot(id, kPreview);
    if (!shown) return std::unexpected(shown.error());
    put_line(snapshot_json(*shown));
    return 0;
  }
  if (ids->size() > 1) return print_several(manager, *ids, wanted);
  const Interrupts interrupts;
  Sink sink(wanted.raw, wanted.follow);
  return print_one(manager, id, wanted, sink, interrupts.fd());
}

}  // namespace

std::string snapshot_json(const OutputSnapshot& o) {
  return JsonObject()
      .add("outputPath", o.path)
      .add("outputSizeBytes", o.size_bytes)
      .add("previewBytes", o.preview_bytes)
      .add("truncated", o.truncated)
      .add("fullOutputAvailable", o.full_output_available)
      .add("droppedBytes", o.dropped_bytes)
      .add("missingBytes", o.missing_bytes)
      .add("preview", o.preview)
      .add("nextOffset", o.next_offset)
      .add("eof", o.eof)
      .str();
}

const Verb kOutputVerb{"output", "ID...", "what a task printed", kOutputOptions, run_output, true};

}  // namespace perdure::cli
