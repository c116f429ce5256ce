#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/table_layout.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"
#include <perdure/listing.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 7> kStatuses = {"queued",    "running", "completed", "failed",
                                                       "timed_out", "killed",  "lost"};
constexpr std::array<std::string_view, 3> kKinds = {"process", "agent", "question"};

constexpr Option kListOptions[] = {
    {"-a,--all", nullptr, "ended tasks, too"},
    {"-n,--limit", "N", "the running ones and the newest, N at most"},
    {"--status", "queued|running|completed|failed|timed_out|killed|lost", "only tasks of this status"},
    {"--kind", "process|agent|question", "only tasks of this kind"},
    {"--owner", "O", "only tasks of this owner"},
    {"--label", "K[=V]", "only tasks with this label", true},
    {"--name", "N", "only tasks of this name"},
    {"--since", "T", "only tasks that were started since: 10m, 2h, or 2026-11-30 or 2026-11-30T08:00:00"},
    {"--refresh", nullptr, "ask the executors of tasks that run elsewhere first"},
};

constexpr std::size_t kLeastDescription = 30;

// "10m": that long ago. Else a local day or time. Errors: usage.
Result<std::optional<std::int64_t>> read_since(const Call& call) {
  const auto text = call.value("--since");
  if (!text) return std::nullopt;
  for (const char* const format : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    std::tm local{};
    local.tm_isdst = -1;
    const char* const end = ::strptime(text->c_str(), format, &local);
    if (end != nullptr && *end == '\0') return std::int64_t{::mktime(&local)} * 1000;
  }
  if (const auto ago = parse_duration(*text)) return now_ms() - ago->count();
  return fail(ErrorCode::usage,
              fmt::format("--since: expected a length such as 10m, a day or a time, got '{}'", harmless_line(*text)));
}

// "K=V", or "K" for any value.
std::vector<std::pair<std::string, std::optional<std::string>>> read_labels(const Call& call) {
  std::vector<std::pair<std::string, std::optional<std::string>>> labels;
  for (const auto& text : call.values("--label")) {
    const auto equals = text.find('=');
    labels.emplace_back(text.substr(0, equals),
                        equals == std::string::npos ? std::nullopt : std::optional(text.substr(equals + 1)));
  }
  return labels;
}

std::string status_text(const TaskRow& task) {
  if (task.unrecorded_end) return *task.unrecorded_end;
  // A question waits for a person, and does nothing.
  std::string status(task.kind == Kind::question && task.status == Status::running ? "open" : name_of(task.status));
  if (task.unverified) status += "?";
  if (task.restarts > 0)
    status += task.is_between_attempts ? " (restarting)" : fmt::format(" (attempt {})", task.restarts + 1);
  if (task.paused) status += " (stopped)";
  if (task.has_leftovers) status += " (left processes)";
  if (task.runner_gone) status += task.status == Status::queued ? " (asleep: perdure reconcile)" : "!";
  if (task.queue_place) status += fmt::format(" #{}", *task.queue_place);
  if (!task.detached) status += " fg";
  return status;
}

std::string exit_text(const TaskRow& task) {
  if (task.exit_code) return fmt::to_string(*task.exit_code);
  if (task.signal) return fmt::format("sig {}", *task.signal);
  return "-";
}

// Which one, and the id by which it is resumed, once there is one (L28).
std::string agent_text(const TaskRow& task) {
  if (task.kind != Kind::agent) return "-";
  const std::string type = harmless_line(task.agent_type.value_or("?"));
  return task.agent_id ? fmt::format("{} {}", type, harmless_line(*task.agent_id)) : type;
}

std::string executor_text(const TaskRow& task) {
  if (task.executor_type.empty()) return "-";
  ExecutorState executor;
  executor.name = task.executor_name;
  executor.type = task.executor_type;
  executor.place = task.executor_place;
  executor.node = task.executor_node;
  return harmless_line(place_text(executor));
}

// Output in pieces: of a hundred thousand tasks it is ten megabytes.
class Pieces {
 public:
  ~Pieces() { flush(); }
  Pieces() = default;
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;
  void add(std::string_view text) {
    text_ += text;
    if (text_.size() >= kPiece) flush();
  }
  // False: a part was written already.
  [[nodiscard]] bool drop() {
    if (has_written_) return false;
    text_.clear();
    return true;
  }

 private:
  static constexpr std::size_t kPiece = 64 << 10;
  void flush() {
    if (!text_.empty()) put(text_);
    has_written_ = has_written_ || !text_.empty();
    text_.clear();
  }
  std::string text_;
  bool has_written_ = false;
};

class ListTable {
 public:
  explicit ListTable(const Listing& tasks) : tasks_(tasks), columns_(terminal_columns()), layout_(columns_) {}

  void print() {
    choose_columns();
    std::vector<std::string> head = {"ID", "STATUS", "STARTED", "DURATION", "EXIT"};
    if (names_) head.emplace_back("NAME");
    if (owners_) head.emplace_back("OWNER");
    if (agents_) head.emplace_back("AGENT");
    if (elsewhere_) head.emplace_back("ON");
    head.emplace_back("DESCRIPTION");
    layout_.measure(head);
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      fill(cells, tasks_.row(i));
      layout_.measure(cells);
    }
    Pieces out;
    out.add(layout_.line(head) + "\n");
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const TaskRow task = tasks_.row(i);
      fill(cells, task);
      std::string line = layout_.line(cells);
      if (wants_colour()) {
        // Coloured afterwards: an escape sequence has no width.
        const std::string_view name = name_of(task.status);
        const auto found = line.find(name, task.id.str().size());
        if (found != std::string::npos) line.replace(found, name.size(), coloured(task.status, name));
      }
      line += '\n';
      out.add(line);
    }
  }

 private:
  void choose_columns() {
    std::size_t fixed = 0;
    bool owned = false;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const TaskRow task = tasks_.row(i);
      if (columns_ > 0) fixed = std::max(fixed, task.id.str().size() + status_text(task).size());
      owned |= task.owner.has_value();
      names_ |= task.name.has_value();
      agents_ |= task.kind == Kind::agent;
      elsewhere_ |= !task.executor_type.empty();
    }
    fixed += std::string_view("    10m ago   3m 12s    0     ").size();
    // The owner is left out where it would leave too little of what the task is (I42).
    owners_ = owned && (columns_ == 0 || columns_ >= fixed + columns_ / 3 + kLeastDescription);
  }

  void fill(std::vector<std::string>& cells, const TaskRow& task) const {
    const bool queued = task.status == Status::queued;
    cells.clear();
    cells.push_back(task.id.str());
    cells.push_back(status_text(task));
    cells.push_back(queued ? "-" : age_text(now_ - ms_of(task.started_at)));
    cells.push_back(queued ? "-" : duration_text(ms_of(task.ended_at).value_or(now_) - ms_of(task.started_at)));
    cells.push_back(exit_text(task));
    if (names_) cells.push_back(task.name.value_or("-"));
    if (owners_) cells.push_back(harmless_line(task.owner.value_or("-")));
    if (agents_) cells.push_back(agent_text(task));
    if (elsewhere_) cells.push_back(executor_text(task));
    cells.push_back(harmless_line(task.description));
  }

  const Listing& tasks_;
  const std::size_t columns_;
  const std::int64_t now_ = now_ms();
  TableLayout layout_;
  bool names_ = false, owners_ = false, agents_ = false, elsewhere_ = false;
};

// An error before the first piece is the answer. Later, the array ends where it is, and the error goes to standard error.
Result<int> print_json(const Listing& tasks) {
  Pieces out;
  out.add("[");
  bool is_first = true;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const auto task = tasks.task(i);
    if (!task && out.drop()) return std::unexpected(task.error());
    if (!task) {
      out.add("]\n");
      note("perdure: " + task.error().message);
      return 1;
    }
    if (!*task) continue;
    if (!std::exchange(is_first, false)) out.add(",");
    out.add(task_json(**task));
  }
  out.add("]\n");
  return 0;
}

Result<int> run_list(Call& call) {
  ListingFilter filter{.tasks = {.ended = call.has("--all"), .owner = call.value("--owner")}};
  auto status = call.word("--status", kStatuses);
  auto kind = call.word("--kind", kKinds);
  auto limit = call.integer("--limit", 0, INT32_MAX);
  auto since = read_since(call);
  if (!since) return std::unexpected(since.error());
  if (!status) return std::unexpected(status.error());
  if (!kind) return std::unexpected(kind.error());
  if (!limit) return std::unexpected(limit.error());
  if (*status) filter.tasks.status = status_from(**status);
  if (*kind)
    for (const Kind k : {Kind::process, Kind::agent, Kind::question})
      if (name_of(k) == **kind) filter.tasks.kind = k;
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  filter.tasks.leftovers = true;
  filter.labels = read_labels(call);
  filter.name = call.value("--name");
  filter.since = time_at(*since);
  if (*limit) filter.limit = static_cast<std::size_t>(**limit);
  if (call.has("--refresh"))
    if (auto asked = (*manager)->upkeep().refresh(); !asked) return std::unexpected(asked.error());
  TRY(const auto tasks, Listing::of(**manager, filter));
  if (call.json) {
    TRY(const int status_of_list, print_json(tasks));
    if (status_of_list != 0) return status_of_list;
  } else if (tasks.size() == 0) {
    if (tasks.left_out() == 0)
      note(filter.tasks.ended ? "no tasks" : "no active tasks; `perdure list --all` shows ended ones");
  } else {
    ListTable(tasks).print();
  }
  if (tasks.left_out() > 0) note(fmt::format("perdure: {} more left out by --limit", tasks.left_out()));
  if (!tasks.bad().empty())
    note(fmt::format("perdure: {} not a record: see `perdure doctor`",
                     tasks.bad().size() == 1 ? "1 file is" : fmt::format("{} files are", tasks.bad().size())));
  return 0;
}

}  // namespace

const Verb kListVerb{"list", "", "active tasks, newest last", kListOptions, run_list};

}  // namespace perdure::cli
