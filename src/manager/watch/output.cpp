#include "manager/watch/output.h"

#include "base/error.h"
#include "base/try.h"
#include "base/utf8.h"
#include "contract/control.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "store/runner_lock.h"

#include <poll.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace perdure {
namespace manager {
namespace {

constexpr int kAnswerPatienceMs = 1'000;  // a runner stopped by SIGSTOP must not block readers

struct RunnerCounts {
  std::int64_t stream = 0, dropped = 0, unstored = 0;
};

// Absent: no runner answered in time.
std::optional<RunnerCounts> ask_for_counts(const store::Session& session, const TaskId& id) {
  auto client = RunnerClient::connect(session, id);
  if (!client || !*client || !(*client)->send(contract::kOutput)) return std::nullopt;
  pollfd answered{.fd = (*client)->fd(), .events = POLLIN, .revents = 0};
  if (::poll(&answered, 1, kAnswerPatienceMs) <= 0) return std::nullopt;
  const auto line = (*client)->receive();
  if (!line) return std::nullopt;
  std::string_view rest = *line;
  RunnerCounts counts;
  for (std::int64_t* const value : {&counts.stream, &counts.dropped, &counts.unstored}) {
    rest.remove_prefix(
        std::min(rest.size(), rest.find(' ') == std::string_view::npos ? rest.size() : rest.find(' ') + 1));
    if (std::from_chars(rest.data(), rest.data() + rest.size(), *value).ec != std::errc()) return std::nullopt;
  }
  return counts;
}

// May the runner have begun to join the segments of the log? It notes the cause before; while it joins and commits it
// answers no request. So an answer proves that what was read before it was not changed.
bool may_have_been_joined(const store::Session& session, const Task& task) {
  if (is_terminal(task.status) || task.found.runner_gone || task.found.unverified || !is_own_record(session, task))
    return false;
  if (!store::read_runner_notes(session, task.id).decision && store::is_runner_alive(session, task.id).value_or(false))
    return false;
  return !ask_for_counts(session, task.id).has_value();
}

struct Reading {
  Task task;
  store::OutputLog log;
};

Result<Task> assessed(const store::Session& session, Task task) {
  TRY(auto found, assess(session, std::move(task)));
  return std::move(found.task);
}

// Reads a task and its log consistently. `use` reads the wanted part before it is known whether both match.
template <class Use>
auto with_log(const store::Session& session, HeldTasks& held, const TaskId& id, const Use& use)
    -> decltype(use(std::declval<const Reading&>())) {
  constexpr int kMostAttempts = 3;  // at the second the task has ended, or its runner is dead
  for (int attempt = 1;; ++attempt) {
    TRY(auto found, find_task(session, held, id));
    if (!found) return unknown_task(session, id);
    TRY(auto task, found->has_record ? assessed(session, std::move(found->task)) : std::move(found->task));
    TRY(auto log, found->log ? store::OutputLog::of(*found->log, task) : store::OutputLog::open(session, task));
    const Reading reading{std::move(task), std::move(log)};
    auto used = use(reading);
    if (attempt == kMostAttempts || !found->has_record || !may_have_been_joined(session, reading.task)) return used;
  }
}

// Bytes of the stream that the log no longer has: it was removed or truncated (L56). For a running task the runner
// knows the number; the log's size is then read again, since it has grown meanwhile.
std::int64_t missing_bytes(const store::Session& session, const Reading& reading,
                           const std::optional<RunnerCounts>& counts) {
  if (is_terminal(reading.task.status)) {
    if (!is_own_record(session, reading.task)) return 0;
    return std::max<std::int64_t>(0, reading.task.output.bytes.value_or(0) - reading.log.size());
  }
  if (!counts || counts->stream <= reading.log.size()) return 0;
  const auto again = store::OutputLog::open(session, reading.task);
  return again ? std::max<std::int64_t>(0, counts->stream - again->size()) : 0;
}

}  // namespace

Result<Preview> preview_of(const store::OutputLog& log, std::int64_t limit, bool ended) {
  const auto window = log.tail(limit);
  TRY(auto bytes, log.read(window.begin, window.end - window.begin));
  std::string_view kept = bytes;
  bool cut = window.cut;
  if (cut) kept.remove_prefix(continuation_prefix(kept));
  Preview preview{.end = window.begin + static_cast<std::int64_t>(bytes.size())};
  if (!ended) {
    const std::size_t waiting = incomplete_suffix(kept);
    kept.remove_suffix(waiting);
    preview.end -= static_cast<std::int64_t>(waiting);
    cut = cut || waiting > 0;
  }
  preview.text = to_valid_utf8(kept);
  // An invalid byte becomes a character of three bytes; no more than the requested length is returned.
  if (const auto most = static_cast<std::size_t>(std::max<std::int64_t>(limit, 0)); preview.text.size() > most) {
    std::string_view end = std::string_view(preview.text).substr(preview.text.size() - most);
    preview.text = end.substr(continuation_prefix(end));
    cut = true;
  }
  preview.whole = !cut && window.begin == 0;
  return preview;
}

std::string output_tail(const store::Session& session, const Task& task, std::int64_t limit) {
  const auto log = store::OutputLog::open(session, task);
  if (!log) return {};
  auto preview = preview_of(*log, limit, is_terminal(task.status));
  return preview ? std::move(preview->text) : std::string();
}

}  // namespace manager

Result<std::optional<std::string>> TaskManager::output_path(const TaskId& id) const {
  TRY_VOID(state_->check_open());
  TRY(auto task, get(id));
  return store::output_log_path(state_->session, task);
}

Result<OutputChunk> TaskManager::read_output(const TaskId& id, std::int64_t offset, std::int64_t limit) const {
  TRY_VOID(state_->check_open());
  if (offset < 0) return fail(ErrorCode::usage, fmt::format("the offset {} is negative", offset));
  if (limit < 0) return fail(ErrorCode::usage, fmt::format("the limit {} is negative", limit));
  return manager::with_log(state_->session, *state_->held, id,
                           [&](const manager::Reading& reading) -> Result<OutputChunk> {
                             TRY(auto bytes, reading.log.read(offset, limit));
                             OutputChunk chunk{.bytes = std::move(bytes), .offset = offset};
                             chunk.next_offset = offset + static_cast<std::int64_t>(chunk.bytes.size());
                             chunk.size = reading.log.size();
                             chunk.dropped = reading.log.dropped();
                             chunk.eof = is_terminal(reading.task.status) && chunk.next_offset >= chunk.size;
                             if (chunk.eof) chunk.missing = manager::missing_bytes(state_->session, reading, {});
                             return chunk;
                           });
}

Result<OutputSnapshot> TaskManager::output_snapshot(const TaskId& id, std::int64_t tail) const {
  TRY_VOID(state_->check_open());
  if (tail < 0) return fail(ErrorCode::usage, fmt::format("the tail of {} bytes is negative", tail));
  const auto& session = state_->session;
  return manager::with_log(session, *state_->held, id, [&](const manager::Reading& reading) -> Result<OutputSnapshot> {
    const bool ended = is_terminal(reading.task.status);
    TRY(auto preview, manager::preview_of(reading.log, tail, ended));
    OutputSnapshot snapshot;
    snapshot.path = store::output_log_path(session, reading.task);
    snapshot.size_bytes = reading.log.size();
    snapshot.preview_bytes = static_cast<std::int64_t>(preview.text.size());
    snapshot.preview = std::move(preview.text);
    snapshot.truncated = !preview.whole && snapshot.size_bytes > 0;
    snapshot.dropped_bytes = reading.log.dropped();
    snapshot.next_offset = ended ? snapshot.size_bytes : preview.end;
    snapshot.eof = ended;
    std::int64_t unstored = reading.task.output.unstored_bytes.value_or(0);
    std::optional<manager::RunnerCounts> counts;
    if (!ended && manager::is_own_record(session, reading.task)) counts = manager::ask_for_counts(session, id);
    if (counts) {
      unstored = counts->unstored;
      snapshot.dropped_bytes = std::max(snapshot.dropped_bytes, counts->dropped);
    }
    snapshot.missing_bytes = manager::missing_bytes(session, reading, counts);
    snapshot.full_output_available = (snapshot.path || !reading.task.detached) && snapshot.dropped_bytes == 0 &&
                                     unstored == 0 && snapshot.missing_bytes == 0;
    return snapshot;
  });
}

}  // namespace perdure
