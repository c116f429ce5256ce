#include "web/metrics/metrics.h"

#include "base/clock.h"
#include "base/files.h"

#include <fcntl.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace perdure::web {
namespace {

namespace json = boost::json;

constexpr const char* kFile = "metrics";
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::size_t kMostBytes = 1 << 20;
// Numbers of events are microseconds, and each is given out some time before its record is visible.
constexpr std::int64_t kUnsettledUs = 10'000'000;
constexpr std::int64_t kBuckets[] = {1, 5, 30, 60, 300, 1800, 7200};  // seconds

struct About {
  std::string_view name, type, help;
};
constexpr About kAbout[] = {
    {"perdure_tasks", "gauge", "Tasks that have not ended."},
    {"perdure_tasks_started_total", "counter", "Tasks that were started."},
    {"perdure_tasks_ended_total", "counter", "Tasks that have ended."},
    {"perdure_task_duration_seconds", "histogram", "From the start of a task to its end."},
    {"perdure_queue_wait_seconds", "histogram", "How long a queued task waited for a slot."},
    {"perdure_questions_open", "gauge", "Open questions."},
    {"perdure_question_oldest_seconds", "gauge", "Age of the oldest open question."},
    {"perdure_notifications_pending", "gauge", "Undelivered notifications."},
    {"perdure_notifications_oldest_seconds", "gauge", "Age of the oldest of them."},
    {"perdure_output_bytes_total", "counter", "Bytes that ended tasks printed."},
    {"perdure_output_dropped_bytes_total", "counter", "Bytes of them that were not kept."},
    {"perdure_session_bytes", "gauge", "Bytes of the files of the session."},
    {"perdure_lost_total", "counter", "Tasks whose ending is unknown."},
    {"perdure_build_info", "gauge", "Always 1."},
};

// Another program's name of a kind could be any text.
std::string_view kind_of(const Task& task) {
  return task.kind == Kind::other ? "other" : name_of(task.kind);
}

void observe(std::map<std::string, std::int64_t>& values, std::string_view name, std::int64_t ms) {
  for (const std::int64_t bucket : kBuckets)
    values[fmt::format("{}_bucket{{le=\"{}\"", name, bucket)] += ms <= bucket * 1000 ? 1 : 0;
  ++values[fmt::format("{}_bucket{{le=\"+Inf\"", name)];
  ++values[fmt::format("{}_count{{", name)];
  values[fmt::format("{}_sum{{", name)] += ms;
}

void count_start(std::map<std::string, std::int64_t>& values, const Task& task) {
  ++values[fmt::format("perdure_tasks_started_total{{kind=\"{}\"", kind_of(task))];
  if (task.queue.queued_at)
    observe(values, "perdure_queue_wait_seconds",
            std::max<std::int64_t>(0, ms_of(task.started_at) - ms_of(*task.queue.queued_at)));
}

void count_end(std::map<std::string, std::int64_t>& values, const Task& task) {
  ++values[fmt::format("perdure_tasks_ended_total{{kind=\"{}\",status=\"{}\"", kind_of(task), name_of(task.status))];
  if (ms_of(task.started_at) > 0 && task.ended_at)
    observe(values, "perdure_task_duration_seconds",
            std::max<std::int64_t>(0, ms_of(*task.ended_at) - ms_of(task.started_at)));
  values["perdure_output_bytes_total{"] += task.output.bytes.value_or(0);
  values["perdure_output_dropped_bytes_total{"] += task.output.dropped_bytes.value_or(0);
  if (task.status == Status::lost)
    ++values[fmt::format("perdure_lost_total{{evidence=\"{}\"",
                         task.lost_evidence ? name_of(*task.lost_evidence) : "unknown")];
}

// The counters that always exist, so that a rate can be computed from the first event on.
std::map<std::string, std::int64_t> zeros() {
  return {{"perdure_output_bytes_total{", 0}, {"perdure_output_dropped_bytes_total{", 0}};
}

struct Kept {
  Counters counters;
  std::int64_t written_at = 0;
};

Kept read_kept(const std::string& session) {
  auto folder = open_folder_at(AT_FDCWD, session, session);
  auto text = folder ? read_regular_file(folder->get(), kFile, kMostBytes, kFile) : std::unexpected(folder.error());
  if (!text) return {};
  boost::system::error_code bad;
  const auto value = json::parse(*text, bad);
  const auto* const object = bad ? nullptr : value.if_object();
  const auto* const at = object == nullptr ? nullptr : object->if_contains("writtenAt");
  return {counters_from_json(*text), at != nullptr && at->is_int64() ? at->get_int64() : 0};
}

// Losing the file is harmless, and so is a failure to write it.
void keep(const std::string& session, const Counters& counters) {
  auto folder = open_folder_at(AT_FDCWD, session, session);
  if (!folder) return;
  [[maybe_unused]] const auto written =
      replace_file(folder->get(), kFile, counters_json(counters), session + "/" + kFile);
}

std::int64_t bytes_of(const std::string& session) {
  namespace fs = std::filesystem;
  std::error_code bad;
  std::int64_t bytes = 0;
  for (fs::recursive_directory_iterator one(session, fs::directory_options::skip_permission_denied, bad), end;
       !bad && one != end; one.increment(bad)) {
    std::error_code gone;
    if (one->is_symlink(gone) || !one->is_regular_file(gone)) continue;
    const auto size = one->file_size(gone);
    if (!gone) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

void add_gauges(std::map<std::string, std::int64_t>& values, const TaskManager& manager,
                const std::vector<Task>& tasks) {
  std::int64_t questions = 0, oldest_question = INT64_MAX;
  for (const auto& task : tasks) {
    if (is_terminal(task.status)) continue;
    ++values[fmt::format("perdure_tasks{{kind=\"{}\",status=\"{}\"", kind_of(task), name_of(task.status))];
    if (task.kind != Kind::question || task.status != Status::running) continue;
    ++questions;
    oldest_question = std::min(oldest_question, ms_of(task.started_at));
  }
  std::set<std::string> untold;
  std::int64_t pending = 0, oldest = INT64_MAX;
  if (const auto news = manager.notifications().pending()) {
    pending = static_cast<std::int64_t>(news->size());
    for (const auto& one : *news)
      for (const auto& id : one.tasks) untold.insert(id.str());
  }
  for (const auto& task : tasks)
    if (task.ended_at && untold.contains(task.id.str())) oldest = std::min(oldest, ms_of(*task.ended_at));
  const std::int64_t now = now_ms();
  const auto age = [now](std::int64_t since) {
    return since == INT64_MAX ? 0 : std::max<std::int64_t>(0, now - since) / 1000;
  };
  values["perdure_questions_open{"] = questions;
  values["perdure_question_oldest_seconds{"] = age(oldest_question);
  values["perdure_notifications_pending{"] = pending;
  values["perdure_notifications_oldest_seconds{"] = age(oldest);
  values["perdure_session_bytes{"] = bytes_of(manager.session());
}

// "perdure_task_duration_seconds_bucket{..." belongs to perdure_task_duration_seconds.
bool belongs(std::string_view key, const About& about) {
  const std::string_view name = key.substr(0, key.find('{'));
  if (about.type != "histogram") return name == about.name;
  if (!name.starts_with(about.name)) return false;
  const std::string_view rest = name.substr(about.name.size());
  return rest == "_bucket" || rest == "_sum" || rest == "_count";
}

// Buckets in the order of their bounds, then count and sum.
std::int64_t order_of(std::string_view key) {
  const auto at = key.find("le=\"");
  if (at == std::string_view::npos) return key.find("_count{") == std::string_view::npos ? INT64_MAX : INT64_MAX - 1;
  std::int64_t bound = 0;
  for (const char c : key.substr(at + 4)) {
    if (c == '+') return INT64_MAX - 2;
    if (c < '0' || c > '9') break;
    bound = bound * 10 + (c - '0');
  }
  return bound;
}

std::string text_of(const std::map<std::string, std::int64_t>& values, const std::string& session,
                    MetricsFormat format) {
  const bool open = format == MetricsFormat::openmetrics;
  std::string text;
  for (const auto& about : kAbout) {
    std::vector<std::pair<std::string, std::int64_t>> lines;
    for (const auto& [key, value] : values)
      if (belongs(key, about)) lines.emplace_back(key, value);
    const bool is_build = about.name == "perdure_build_info";
    if (lines.empty() && !is_build) continue;
    if (about.type == "histogram")
      std::ranges::stable_sort(lines, {}, [](const auto& line) { return order_of(line.first); });
    std::string_view family = about.name;
    if (open && about.type == "counter") family.remove_suffix(std::string_view("_total").size());
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", family, about.help, family, about.type);
    if (is_build) text += "perdure_build_info{version=\"" PERDURE_VERSION "\"} 1\n";
    for (const auto& [key, value] : lines) {
      const bool seconds = key.find("_seconds_sum{") != std::string::npos;
      text += fmt::format("{}{}session=\"{}\"}} {}\n", key, key.ends_with('{') ? "" : ",", session,
                          seconds ? fmt::format("{}.{:03}", value / 1000, value % 1000) : fmt::format("{}", value));
    }
  }
  return open ? text + "# EOF\n" : text;
}

}  // namespace

Counters counted(Counters counters, const std::vector<Task>& tasks, std::int64_t until) {
  const auto is_new = [&](const std::optional<std::int64_t>& seq) {
    return seq && *seq > counters.seq && *seq <= until;
  };
  for (const auto& task : tasks) {
    if (is_new(task.started_seq)) count_start(counters.values, task);
    if (is_terminal(task.status) && is_new(task.ended_seq)) count_end(counters.values, task);
  }
  counters.seq = std::max(counters.seq, until);
  return counters;
}

std::string counters_json(const Counters& counters) {
  json::object values;
  for (const auto& [key, value] : counters.values) values[key] = value;
  return json::serialize(
      json::object{{"version", 1}, {"writtenAt", now_ms()}, {"seq", counters.seq}, {"values", std::move(values)}});
}

Counters counters_from_json(std::string_view text) {
  boost::system::error_code bad;
  const auto value = json::parse(text, bad);
  const auto* const object = bad ? nullptr : value.if_object();
  if (object == nullptr) return {};
  const auto* const version = object->if_contains("version");
  const auto* const seq = object->if_contains("seq");
  const auto* const values = object->if_contains("values");
  if (version == nullptr || *version != json::value(1) || seq == nullptr || !seq->is_int64() || values == nullptr ||
      !values->is_object())
    return {};
  Counters counters{.seq = seq->get_int64(), .values = {}};
  for (const auto& one : values->get_object()) {
    if (!one.value().is_int64()) return {};
    counters.values[std::string(one.key())] = one.value().get_int64();
  }
  return counters;
}

Result<std::string> metrics_of(TaskManager& manager, const std::string& session, MetricsFormat format) {
  // The kept counters first: a task that ends between the two reads is in the list, and not lost.
  auto kept = read_kept(manager.session());
  const std::int64_t settled = now_ms() * 1000 - kUnsettledUs;
  auto tasks = manager.list({.ended = true});
  if (!tasks) return std::unexpected(tasks.error());
  const bool ours = std::ranges::any_of(
      *tasks, [](const Task& task) { return task.host.runner.has_value() || task.host.machine_id.has_value(); });
  if (ours && now_ms() - kept.written_at >= kMinuteMs) {
    kept.counters = counted(std::move(kept.counters), *tasks, settled);
    keep(manager.session(), kept.counters);
  }
  auto values = zeros();
  for (auto& [key, value] : counted(std::move(kept.counters), *tasks, INT64_MAX).values) values[key] = value;
  add_gauges(values, manager, *tasks);
  return text_of(values, session, format);
}

}  // namespace perdure::web
