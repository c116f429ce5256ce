#include "view/index.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/words.h"
#include "contract/names.h"
#include "store/outbox.h"
#include "store/output_log.h"
#include "store/queue.h"
#include "store/records.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <malloc.h>
#include <mutex>
#include <strings.h>

namespace perdure::view {
namespace {

constexpr std::size_t kMostKept = 400;  // of the description and the command of each row

std::string beginning_of(const std::string& text) {
  return text.substr(0, kMostKept);
}

bool is_within(std::string_view text, const std::string& part, bool exact) {
  if (exact) return text.find(part) != std::string_view::npos;
  return std::ranges::search(
             text, part,
             [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
             }).begin() != text.end() ||
         part.empty();
}

bool has_capital(const std::string& text) {
  return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::int64_t ms_of_file(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

// A stored row, about 200 bytes.
struct Index::Entry {
  std::string id;
  std::string text;  // the description; if the command differs, a NUL and the command
  std::int64_t started_at = 0, ended_at = 0, deadline_at = 0, output_bytes = -1;
  std::uint32_t owner = 0, agent = 0, folder = 0, labels = 0;  // places in the pool; 0: none
  int exit_code = INT_MIN;
  std::int16_t signal = 0, queue_place = 0;
  Kind kind = Kind::process;
  Status status = Status::running;
  bool detached = true, unverified = false, runner_gone = false, leftovers = false, undelivered = false;

  bool operator==(const Entry&) const = default;
};

Index::Index(const TaskManager& manager, bool uses_inotify)
    : manager_(manager), session_(manager.session()), watch_(session_, uses_inotify), pool_(1) {}
Index::~Index() = default;

std::uint32_t Index::pooled(const std::string& text) {
  if (text.empty()) return 0;
  const auto [at, is_new] = pooled_.try_emplace(text, static_cast<std::uint32_t>(pool_.size()));
  if (is_new) pool_.push_back(text);
  return at->second;
}

std::unique_ptr<Index::Entry> Index::make_entry(const Task& task) {
  auto entry = std::make_unique<Entry>();
  entry->id = task.id.str();
  entry->text = beginning_of(task.description);
  if (!task.process.command.empty() && task.process.command != task.description) {
    entry->text += '\0';
    entry->text += beginning_of(task.process.command);
  }
  const bool queued = task.status == Status::queued;
  entry->started_at = queued ? ms_of(task.queue.queued_at).value_or(ms_of(task.started_at)) : ms_of(task.started_at);
  entry->ended_at = ms_of(task.ended_at).value_or(0);
  if (!is_terminal(task.status) && !queued && task.limits.timeout_ms.value_or(0) > 0)
    entry->deadline_at = ms_of(task.limits.timeout_from).value_or(ms_of(task.started_at)) + *task.limits.timeout_ms;
  if (is_terminal(task.status)) entry->output_bytes = task.output.bytes.value_or(-1);
  entry->owner = pooled(task.owner.value_or(""));
  if (task.agent.id) entry->agent = pooled(task.agent.id->text);
  const std::string folder = store::output_folder(session_, task);
  entry->folder = pooled(folder.substr(0, folder.rfind('/')));
  if (!task.labels.empty()) {
    std::string labels = "\n";
    for (const auto& [name, value] : task.labels) labels += fmt::format("{}={}\n", name, value);
    entry->labels = pooled(labels);
  }
  entry->exit_code = task.process.exit_code.value_or(INT_MIN);
  entry->signal = static_cast<std::int16_t>(task.process.signal.value_or(0));
  entry->queue_place = static_cast<std::int16_t>(std::min(task.queue.place.value_or(0), SHRT_MAX));
  entry->kind = task.kind;
  entry->status = task.status;
  entry->detached = task.detached;
  entry->unverified = task.found.unverified;
  entry->runner_gone = task.found.runner_gone;
  entry->leftovers = task.process.leftovers.value_or(0) > 0;
  entry->undelivered = is_terminal(task.status) && !task.notification.notified_at && outbox_.contains(entry->id);
  return entry;
}

void Index::count(const Entry& entry, int by) {
  const auto add = [by](std::size_t& to) { to = by > 0 ? to + 1 : to - 1; };
  add(counts_.status[static_cast<std::size_t>(entry.status)]);
  add(counts_.kind[static_cast<std::size_t>(entry.kind)]);
  if (entry.kind == Kind::question && !is_terminal(entry.status)) add(counts_.open_questions);
  if (entry.undelivered) add(counts_.undelivered);
}

void Index::put(std::unique_ptr<Entry> entry) {
  erase(entry->id);
  count(*entry, 1);
  order_is_.reset();
  const std::string_view id = entry->id;  // the key lives as long as the entry
  entries_.emplace(id, std::move(entry));
}

bool Index::erase(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  count(*found->second, -1);
  entries_.erase(found);
  order_is_.reset();
  return true;
}

Result<void> Index::fill() {
  watch_.arm();
  outbox_.clear();
  if (auto entries = store::outbox_entries(session_))
    for (const auto& id : *entries) outbox_.insert(id.str());
  entries_.clear();
  order_is_.reset();
  counts_ = {};
  std::mutex mutex;
  std::vector<std::string> live;
  auto parts = store::scan_in_parts(session_, {.take = [&](Task&& task) {
                                      const std::scoped_lock lock(mutex);
                                      if (is_terminal(task.status)) {
                                        put(make_entry(task));
                                      } else {
                                        live.push_back(task.id.str());
                                      }
                                    }});
  if (!parts) return std::unexpected(parts.error());
  for (const auto& part : *parts)
    for (const auto& id : part.recordless) live.push_back(id.str());
  if (const auto queued = store::list_queue(session_))
    for (const auto& entry : *queued) live.push_back(entry.id.str());
  for (const auto& id : live) look_at(id);
#ifdef __GLIBC__
  // The memory used for reading, in the arenas of its threads, is half as much as that of the rows.
  if (entries_.size() > 10'000) ::malloc_trim(0);
#endif
  return {};
}

bool Index::look_at(const std::string& text) {
  const auto id = TaskId::parse(text);
  if (!id) return false;
  auto task = manager_.get(*id);
  if (!task) {
    // A task that can't be read just now keeps its row; one that no longer exists loses it.
    const auto code = task.error().code;
    if (code != ErrorCode::task_not_found && code != ErrorCode::record_invalid) return false;
    watch_.look_again(text, false);
    return erase(text);
  }
  if (is_terminal(task->status)) {
    watch_.remove(text);
  } else {
    watch_.add(*id, task->host.runner || task->found.runner_gone ? 0 : task->process.pid);
    watch_.look_again(text, task->found.runner_gone);
  }
  auto entry = make_entry(*task);
  const auto old = entries_.find(text);
  if (old != entries_.end() && *old->second == *entry) return false;
  put(std::move(entry));
  return true;
}

bool Index::set_undelivered() {
  auto now = store::outbox_entries(session_);
  if (!now) return false;
  std::set<std::string> entries;
  for (const auto& id : *now) entries.insert(id.str());
  std::vector<std::string> different;
  std::ranges::set_symmetric_difference(entries, outbox_, std::back_inserter(different));
  outbox_ = std::move(entries);
  bool changed = false;
  for (const auto& id : different) changed = look_at(id) || changed;
  return changed;
}

Result<Index::Changes> Index::update() {
  auto seen = watch_.take();
  Changes changes;
  if (seen.everything) {
    changes.everything = true;
    if (auto filled = fill(); !filled) return std::unexpected(filled.error());
    return changes;
  }
  if (seen.queue) {
    for (const auto& [id, entry] : entries_)
      if (entry->status == Status::queued) seen.ids.emplace(id);
    if (const auto queued = store::list_queue(session_))
      for (const auto& entry : *queued) seen.ids.insert(entry.id.str());
  }
  for (const auto& id : seen.ids)
    if (look_at(id)) changes.ids.push_back(id);
  if (seen.outbox && set_undelivered()) changes.ids.emplace_back();
  return changes;
}

Row Index::row_of(const Entry& entry) const {
  const auto cut = entry.text.find('\0');
  const auto some = [](auto value, auto none) {
    return value == none ? std::nullopt : std::optional<int>(static_cast<int>(value));
  };
  const auto time = [](std::int64_t value, std::int64_t none) {
    return value == none ? std::nullopt : std::optional(value);
  };
  return {.id = *TaskId::parse(entry.id),
          .kind = entry.kind,
          .status = entry.status,
          .detached = entry.detached,
          .unverified = entry.unverified,
          .runner_gone = entry.runner_gone,
          .leftovers = entry.leftovers,
          .undelivered = entry.undelivered,
          .description = entry.text.substr(0, cut),
          .command = cut == std::string::npos ? std::string() : entry.text.substr(cut + 1),
          .owner = pool_[entry.owner],
          .agent_id = pool_[entry.agent],
          .started_at = entry.started_at,
          .ended_at = time(entry.ended_at, 0),
          .deadline_at = time(entry.deadline_at, 0),
          .exit_code = some(entry.exit_code, INT_MIN),
          .signal = some(entry.signal, std::int16_t{0}),
          .queue_place = some(entry.queue_place, std::int16_t{0}),
          .output_bytes = time(entry.output_bytes, -1)};
}

bool Index::matches(const Entry& entry, const Filter& filter) const {
  if (filter.statuses && !filter.statuses->contains(entry.status)) return false;
  if (filter.kinds && !filter.kinds->contains(entry.kind)) return false;
  if (filter.owner && pool_[entry.owner] != *filter.owner) return false;
  if (filter.since && entry.started_at < *filter.since) return false;
  if (filter.until && entry.started_at > *filter.until) return false;
  if (filter.label && pool_[entry.labels].find(fmt::format("\n{}={}\n", filter.label->first, filter.label->second)) ==
                          std::string::npos)
    return false;
  if (filter.text.empty()) return true;
  const bool exact = has_capital(filter.text);
  return is_within(entry.text, filter.text, exact) || is_within(entry.id, filter.text, exact);
}

std::int64_t rank_of(Status status) {
  return status == Status::running ? 2 : status == Status::queued ? 1 : 0;
}

// A larger key is shown earlier. Live tasks are sorted by their start, so that a row does not move while it runs.
std::int64_t Index::key_of(const Entry& entry, Sort sort) {
  switch (sort) {
    case Sort::started: return entry.started_at;
    case Sort::ended: return entry.ended_at == 0 ? INT64_MAX : entry.ended_at;
    case Sort::duration: return entry.ended_at == 0 ? INT64_MAX - entry.started_at : entry.ended_at - entry.started_at;
    case Sort::status: return rank_of(entry.status);
  }
  return 0;
}

const std::vector<const Index::Entry*>& Index::ordered(Sort sort) {
  if (order_is_ == sort) return order_;
  order_.clear();
  order_.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) order_.push_back(entry.get());
  std::ranges::sort(order_, [sort](const Entry* a, const Entry* b) {
    const auto key_a = key_of(*a, sort), key_b = key_of(*b, sort);
    if (key_a != key_b) return key_a > key_b;
    if (a->started_at != b->started_at) return a->started_at > b->started_at;
    return a->id < b->id;
  });
  order_is_ = sort;
  return order_;
}

Result<Page> Index::page(const Filter& filter, Sort sort, const std::string& after, std::size_t limit) {
  const auto& order = ordered(sort);
  Page found{.rows = {}, .next = {}, .counts = counts_};
  // "KEY:START:ID" of the last row returned.
  std::int64_t key = 0, start = 0;
  std::string id;
  if (!after.empty()) {
    const auto first = after.find(':');
    const auto second = first == std::string::npos ? first : after.find(':', first + 1);
    if (second == std::string::npos) return fail(ErrorCode::usage, "no cursor of a page of tasks");
    auto key_part = parse_integer(after.substr(0, first), INT64_MIN, INT64_MAX);
    auto start_part = parse_integer(after.substr(first + 1, second - first - 1), INT64_MIN, INT64_MAX);
    if (!key_part || !start_part) return fail(ErrorCode::usage, "no cursor of a page of tasks");
    key = *key_part;
    start = *start_part;
    id = after.substr(second + 1);
  }
  const auto is_behind = [&](const Entry& entry) {
    if (after.empty()) return true;
    const auto its = key_of(entry, sort);
    if (its != key) return its < key;
    if (entry.started_at != start) return entry.started_at < start;
    return entry.id > id;
  };
  const Entry* last = nullptr;
  for (const Entry* const entry : order) {
    if (!matches(*entry, filter)) continue;
    ++found.matched;
    if (!is_behind(*entry)) {
      ++found.before;
    } else if (found.rows.size() < limit) {
      found.rows.push_back(row_of(*entry));
      last = entry;
    }
  }
  if (last != nullptr && found.before + found.rows.size() < found.matched)
    found.next = fmt::format("{}:{}:{}", key_of(*last, sort), last->started_at, last->id);
  return found;
}

Page Index::rows_at(const Filter& filter, Sort sort, std::size_t skip, std::size_t limit) {
  Page found{.rows = {}, .next = {}, .counts = counts_};
  for (const Entry* const entry : ordered(sort)) {
    if (!matches(*entry, filter)) continue;
    if (found.matched >= skip && found.rows.size() < limit) found.rows.push_back(row_of(*entry));
    ++found.matched;
  }
  found.before = std::min(skip, found.matched);
  return found;
}

std::optional<std::size_t> Index::place_of(const std::string& id, const Filter& filter, Sort sort) {
  std::size_t place = 0;
  for (const Entry* const entry : ordered(sort)) {
    if (!matches(*entry, filter)) continue;
    if (entry->id == id) return place;
    ++place;
  }
  return std::nullopt;
}

std::optional<Row> Index::row(const std::string& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::nullopt : std::optional(row_of(*found->second));
}

std::string Index::folder_of(const std::string& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::string() : pool_[found->second->folder] + "/" + id;
}

std::optional<std::int64_t> Index::last_output_at(const std::string& id) const {
  const std::string path = folder_of(id);
  if (path.empty()) return std::nullopt;
  auto folder = open_folder_at(AT_FDCWD, path, path);
  if (!folder) return std::nullopt;
  auto entries = read_folder(folder->get(), path);
  if (!entries) return std::nullopt;
  std::optional<std::int64_t> newest;
  for (const auto& entry : *entries) {
    std::string_view name = entry.name;
    if (name.starts_with(contract::kHiddenPrefix)) name.remove_prefix(1);
    struct stat about{};
    if (!name.starts_with(contract::kOutputFile) && !name.starts_with("tail.")) continue;
    if (::fstatat(folder->get(), entry.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0 || about.st_size == 0) continue;
    newest = std::max(newest.value_or(0), ms_of_file(about.st_mtim));
  }
  return newest;
}

}  // namespace perdure::view
