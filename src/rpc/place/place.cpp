#include "rpc/place/place.h"

#include "base/error.h"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace perdure::rpc {

std::vector<std::string> session_paths(const Options& options, const std::string& own) {
  std::vector<std::string> paths{own};
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(options.state_folder + "/sessions", ignored))
    if (entry.is_directory(ignored)) paths.push_back(entry.path().string());
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
