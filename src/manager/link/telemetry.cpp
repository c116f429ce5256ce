#include "manager/link/telemetry.h"

#include "base/clock.h"
#include "base/fd.h"
#include "codec/record.h"
#include "contract/telemetry.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <utility>

namespace perdure {

TelemetrySink::~TelemetrySink() = default;

JsonlSink::JsonlSink(std::string path) : path_(std::move(path)) {}

void JsonlSink::record(std::string_view /*event*/, std::string_view line) {
  const std::string text = fmt::format("{}\n", line);
  const Fd file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  // A line that can't be written is left out: the task must not depend on it.
  if (file) static_cast<void>(!::write(file.get(), text.data(), text.size()));
}

namespace manager {
namespace {

using namespace contract;

void tell(TelemetrySink& sink, std::string_view event, const std::string& line) {
  try {
    sink.record(event, line);
  } catch (...) {  // NOLINT(bugprone-empty-catch): an exception of the user's sink must not affect the task
  }
}

std::string_view kind_of(const Task& task) {
  switch (task.kind) {
    case Kind::agent: return "agent";
    case Kind::question: return "question";
    case Kind::process:
    case Kind::other: return "bash";
  }
  return "bash";
}

std::string line_of(std::string_view event, std::string_view fields) {
  return fmt::format(R"({{"schema":{},"time":{},"event":"{}"{}}})", kTelemetrySchema, now_ms(), event, fields);
}

std::string task_fields(const Task& task) {
  return fmt::format(R"(,"task_id":"{}","kind":"{}")", task.id.str(), kind_of(task));
}

// The time of a lost task's end is unknown: its record has the time at which the loss was noticed.
std::optional<std::int64_t> duration_of(const Task& task) {
  if (task.status == Status::lost || !task.ended_at || *task.ended_at < task.started_at) return std::nullopt;
  return *ms_of(task.ended_at) - ms_of(task.started_at);
}

std::string completed_line(const Task& task) {
  std::string fields = task_fields(task) + fmt::format(R"(,"status":"{}")", name_of(task.status));
  if (const auto ms = duration_of(task)) {
    fields += fmt::format(R"(,"duration_s":{}.{:03},"duration_ms":{})", *ms / 1000, *ms % 1000, *ms);
  } else {
    fields += R"(,"duration_s":null,"duration_ms":null)";
  }
  return line_of(kTaskCompleted, fields);
}

}  // namespace

Telemetry::Telemetry(const std::string& file, std::shared_ptr<TelemetrySink> sink)
    : file_(file.empty() ? nullptr : std::make_shared<JsonlSink>(file)), sink_(std::move(sink)) {}

void Telemetry::to_file(std::string_view event, const std::string& line) const {
  if (file_) tell(*file_, event, line);
}

void Telemetry::to_sink(std::string_view event, const std::string& line) const {
  if (sink_) tell(*sink_, event, line);
}

void Telemetry::to_both(std::string_view event, const std::string& line) const {
  to_file(event, line);
  to_sink(event, line);
}

void Telemetry::started(const Task& task) {
  if (!sink_ || !task.detached) return;
  {
    const std::scoped_lock lock(mutex_);
    if (!started_.try_emplace(task.id, false).second) return;
  }
  to_sink(kTaskCreated, line_of(kTaskCreated, task_fields(task)));
}

void Telemetry::started_alone(const Task& task) {
  if (!task.detached) return;  // L42
  to_file(kTaskCreated, line_of(kTaskCreated, task_fields(task)));
  started(task);
}

void Telemetry::found_ended(const Task& task) {
  if (!sink_ || !is_terminal(task.status)) return;
  {
    const std::scoped_lock lock(mutex_);
    const auto known = started_.find(task.id);
    if (known == started_.end() || std::exchange(known->second, true)) return;
  }
  to_sink(kTaskCompleted, completed_line(task));
}

void Telemetry::settled(const Task& task, bool runs_on_end) {
  if (heard_) heard_(task, runs_on_end);
  if (!is_wanted() || !task.detached) return;  // L42
  {
    const std::scoped_lock lock(mutex_);
    if (const auto known = started_.find(task.id); known != started_.end()) known->second = true;
  }
  to_both(kTaskCompleted, completed_line(task));
}

void Telemetry::waited(const Wait& wait) {
  if (!is_wanted()) return;
  const std::string timeout = wait.timeout ? fmt::to_string(wait.timeout->count()) : "null";
  to_both(kWaitCompleted,
          line_of(kWaitCompleted,
                  fmt::format(R"(,"outcome":"{}","timeout_ms":{},"waited_ms":{},"has_task_id":{},)"
                              R"("extra_completed_count":{})",
                              wait.outcome, timeout, wait.waited_ms, wait.has_task_id, wait.extra_completed)));
}

void Telemetry::question_answered() {
  if (is_wanted()) to_both(kQuestionAnswered, line_of(kQuestionAnswered, ""));
}

void Telemetry::question_dismissed() {
  if (is_wanted()) to_both(kQuestionDismissed, line_of(kQuestionDismissed, ""));
}

}  // namespace manager
}  // namespace perdure
