#include "base/clock.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"
#include "manager/status/queue.h"
#include "manager/upkeep/doctor.h"
#include "store/outbox.h"
#include "store/queue.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <time.h>

namespace perdure::manager {
namespace {

using Level = Finding::Level;

// The entries of a folder of the session; none if it does not exist.
Result<std::vector<FolderEntry>> entries_of(const std::string& path) {
  auto folder = open_folder_at(AT_FDCWD, path, path);
  if (!folder && is_absence(folder.error().os_error)) return std::vector<FolderEntry>();
  if (!folder) return std::unexpected(folder.error());
  return read_folder(folder->get(), path);
}

// The id in a slot that is held; "" for a slot that is free or gone.
std::string holder_of(const std::string& path) {
  auto slot = open_at(AT_FDCWD, path, O_RDONLY, path);
  if (!slot || !is_locked_by_another(slot->get(), path).value_or(false)) return {};
  char text[80] = {};
  const ssize_t n = ::pread(slot->get(), text, sizeof text - 1, 0);
  const std::string_view content(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::string id(content.substr(0, content.find_first_of(" \n")));
  return id.empty() ? "?" : id;
}

bool has_runner(const store::Session& session, const std::string& text) {
  const auto id = TaskId::parse(text);
  return id && store::is_runner_alive(session, *id).value_or(true);
}

// A runner takes its slot before its lock, and at the end releases one after the other. In between it looks
// inconsistent, but only in one of two checks.
bool is_held_by_nobody_known(const store::Session& session, const std::string& path, std::string& holder) {
  constexpr timespec kMoment{.tv_sec = 0, .tv_nsec = 50'000'000};
  for (int look = 0; look < 5; ++look) {
    if (look > 0) ::nanosleep(&kMoment, nullptr);
    const std::string now = holder_of(path);
    if (now.empty() || has_runner(session, now) || (look > 0 && now != holder)) return false;
    holder = now;
  }
  return true;
}

Result<> look_at_slots(const store::Session& session, std::vector<Finding>& findings) {
  const std::string folder = session.path() + "/" + contract::kSlotsDir;
  TRY(auto entries, entries_of(folder));
  for (const auto& entry : entries) {
    const std::string path = folder + "/" + entry.name;
    if (!std::ranges::all_of(entry.name, [](unsigned char c) { return std::isdigit(c) != 0; })) {
      findings.push_back({Level::note, path, "is not a slot and is ignored: remove it if it is not yours"});
      continue;
    }
    std::string holder;
    if (is_held_by_nobody_known(session, path, holder))
      findings.push_back({Level::problem, path,
                          fmt::format("is held for {}, which no runner has any more: it counts against "
                                      "max_running_tasks: find the process with `fuser {}` and end it",
                                      holder, path)});
  }
  return {};
}

Result<> look_at_queue(const store::Session& session, std::vector<Finding>& findings) {
  const std::string folder = session.path() + "/" + contract::kQueueDir;
  TRY(auto entries, store::list_queue(session));
  for (const auto& entry : entries) {
    TRY(const auto alive, store::is_runner_alive(session, entry.id));
    if (alive) continue;
    const std::string& id = entry.id.str();
    auto why = cannot_start_again(session, entry);
    if (!why) {
      findings.push_back(
          {Level::problem, folder + "/" + entry.name,
           fmt::format("{}: it will never start: `perdure stop {}`, or remove the file", why.error().message, id)});
    } else if (!why->empty()) {
      findings.push_back(
          {Level::problem, id, fmt::format("waits, but {}: `perdure stop {}`, and run it anew", *why, id)});
    } else {
      findings.push_back(
          {Level::note, id,
           "waits, but its runner was killed: the next command that looks at the queue starts it again"});
    }
  }
  return {};
}

}  // namespace

Result<> look_at_admission(const store::Session& session, std::vector<Finding>& findings) {
  TRY_VOID(look_at_queue(session, findings));
  return look_at_slots(session, findings);
}

Result<> look_at_outbox(const store::Session& session, std::vector<Finding>& findings) {
  const std::string folder = store::outbox_path(session);
  TRY(auto entries, entries_of(folder));
  std::int64_t waiting = 0;
  std::int64_t oldest_ms = now_ms();
  for (const auto& entry : entries) {
    if (entry.name.starts_with('.')) continue;  // a temporary: reported as stale once it is old
    const auto id = TaskId::parse(entry.name);
    if (!id) {
      findings.push_back({Level::note, folder + "/" + entry.name,
                          "does not name a task and is ignored: remove it if it is not yours"});
      continue;
    }
    auto task = store::find_record(session, *id);
    if (!task || !*task || !is_terminal((*task)->status) || !(*task)->owner || (*task)->notification.notified_at)
      continue;
    ++waiting;
    oldest_ms = std::min(oldest_ms, ms_of((*task)->ended_at).value_or(oldest_ms));
  }
  constexpr std::int64_t kMinute = 60'000;
  if (waiting > 0)
    findings.push_back({Level::note, folder,
                        fmt::format("undelivered notifications: {}, the oldest for {} minutes: "
                                    "`perdure notifications` shows them",
                                    waiting, std::max<std::int64_t>(0, now_ms() - oldest_ms) / kMinute)});
  return {};
}

}  // namespace perdure::manager
