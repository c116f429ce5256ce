#include "rpc/place/place.h"

#include "base/error.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

namespace perdure::rpc {
namespace {

// Of each root: another program may have left thousands.
constexpr std::size_t kMostForeign = 100;
constexpr std::size_t kMostLookedAt = 10'000;

// ROOT/PROJECT/SESSION, where SESSION holds tasks; the newest.
void add_foreign(const std::string& root, std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::size_t looked_at = 0;
  for (const auto& project : fs::directory_iterator(root, ignored)) {
    if (!project.is_directory(ignored)) continue;
    for (const auto& session : fs::directory_iterator(project.path(), ignored)) {
      if (++looked_at > kMostLookedAt) break;
      const auto tasks = session.path() / "agents/main/tasks";
      const auto changed = fs::last_write_time(tasks, ignored);
      if (!ignored) found.emplace_back(changed, session.path().string());
    }
  }
  std::ranges::sort(found, std::greater());
  if (found.size() > kMostForeign) found.resize(kMostForeign);
  for (auto& [changed, path] : found) paths.push_back(std::move(path));
}

}  // namespace

std::vector<std::string> session_paths(const Options& options, const std::string& own) {
  std::vector<std::string> paths{own};
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(options.state_folder + "/sessions", ignored))
    if (entry.is_directory(ignored)) paths.push_back(entry.path().string());
  for (const auto& path : options.sessions)
    if (std::filesystem::is_directory(path, ignored)) paths.push_back(path);
  for (const auto& root : options.foreign) add_foreign(root, paths);
  std::ranges::sort(paths);
  const auto same = std::ranges::unique(paths);
  paths.erase(same.begin(), same.end());
  return paths;
}

Result<view::Page> Place::page(const view::Filter& filter, view::Sort sort, const std::string& after,
                               std::size_t limit) {
  const std::lock_guard lock(index_mutex_);
  if (index_ == nullptr) {
    auto index = std::make_unique<view::Index>(manager_);
    if (auto filled = index->fill(); !filled) return std::unexpected(filled.error());
    index_ = std::move(index);
  } else if (auto changes = index_->update(); !changes) {
    return std::unexpected(changes.error());
  }
  return index_->page(filter, sort, after, limit);
}

Result<std::shared_ptr<Place>> Places::open(const std::string& session) {
  const std::lock_guard lock(mutex_);
  std::erase_if(places_, [](const auto& one) { return one.second.expired(); });
  if (const auto found = places_.find(session); found != places_.end())
    if (auto place = found->second.lock()) return place;
  auto config = load_config(session);
  if (!config) return std::unexpected(config.error());
  auto manager = TaskManager::open(manager_options(*config, session));
  if (!manager) return std::unexpected(manager.error());
  auto place = std::make_shared<Place>(session, std::move(*config), std::move(*manager));
  places_[session] = place;
  return place;
}

}  // namespace perdure::rpc
