#include "store/queue.h"

#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

namespace perdure::store {

using namespace contract;

namespace {

constexpr std::size_t kPriorityDigits = 3, kNumberDigits = 16;
constexpr std::size_t kPlace = 21;           // "<3 digits>-<16 digits>-"
constexpr std::size_t kMostBytes = 8 << 20;  // arguments and environment in base64

std::string queue_path(const Session& session) {
  return session.path() + "/" + kQueueDir;
}

std::optional<QueueEntry> parse(const std::string& name) {
  const std::string_view suffix = kEntrySuffix;
  const bool follows = name.starts_with(kFollowerPrefix);
  const std::size_t start = follows ? std::string_view(kFollowerPrefix).size() + 17 : kPlace;
  if (name.size() <= start + suffix.size() || !name.ends_with(suffix) || name.front() == '.') return std::nullopt;
  auto id = TaskId::parse(name.substr(start, name.size() - start - suffix.size()));
  if (!id) return std::nullopt;
  QueueEntry entry{.name = name, .id = std::move(*id), .follows = follows};
  const std::size_t number = follows ? std::string_view(kFollowerPrefix).size() : kPriorityDigits + 1;
  std::from_chars(name.data() + number, name.data() + number + kNumberDigits, entry.number);
  int behind = 0;
  if (!follows) std::from_chars(name.data(), name.data() + kPriorityDigits, behind);
  entry.priority = follows ? 0 : kMostPriority - behind;
  return entry;
}

}  // namespace

Result<std::vector<QueueEntry>> list_queue(const Session& session) {
  std::vector<QueueEntry> entries;
  const std::string path = queue_path(session);
  auto folder = open_folder_at(AT_FDCWD, path, path);
  if (!folder && is_absence(folder.error().os_error)) return entries;
  if (!folder) return std::unexpected(folder.error());
  TRY(auto names, read_folder(folder->get(), path));
  for (const auto& entry : names)
    if (auto parsed = parse(entry.name)) entries.push_back(std::move(*parsed));
  // Digits sort before letters, so those that follow another task come last.
  std::ranges::sort(entries, {}, &QueueEntry::name);
  return entries;
}

Result<std::optional<std::string>> read_queue_entry(const Session& session, const QueueEntry& entry) {
  const std::string path = queue_path(session);
  auto folder = open_folder_at(AT_FDCWD, path, path);
  if (!folder && is_absence(folder.error().os_error)) return std::nullopt;
  if (!folder) return std::unexpected(folder.error());
  auto text = read_regular_file(folder->get(), entry.name, kMostBytes, path + "/" + entry.name);
  if (text) return std::optional(std::move(*text));
  if (is_absence(text.error().os_error)) return std::nullopt;
  return std::unexpected(text.error());
}

std::int64_t inode_of(const Session& session, const QueueEntry& entry) {
  const std::string path = queue_path(session) + "/" + entry.name;
  struct stat about{};
  return ::lstat(path.c_str(), &about) == 0 ? static_cast<std::int64_t>(about.st_ino) : 0;
}

std::string entry_name(const TaskId& id, int priority, std::int64_t number) {
  return fmt::format("{:03}-{:016}-{}{}", kMostPriority - priority, number, id.str(), kEntrySuffix);
}

Result<> remove_queue_entry(const Session& session, const QueueEntry& entry) {
  const std::string path = queue_path(session) + "/" + entry.name;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("removing", path);
  return {};
}

}  // namespace perdure::store
