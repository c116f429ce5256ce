#pragma once

#include "rpc/place/feed.h"
#include "view/index.h"
#include <perdure/config.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace perdure::rpc {

struct Options {
  std::string session;                     ///< of clients that name none
  std::string state_folder;                ///< below it lie the sessions that session.list shows
  std::vector<std::string> sessions = {};  ///< shown besides: `rpc.sessions` of the configuration
  std::vector<std::string> foreign = {};   ///< folders of other programs in which sessions lie, two levels below
  std::function<void(TaskManager&, const Config&)> on_start;  ///< after each start
};

/// Sessions that are known without a scan of the disk: `own`, those below the state folder, the configured ones, and the
/// newest of other programs. Sorted.
[[nodiscard]] std::vector<std::string> session_paths(const Options& options, const std::string& own);

/// A session that at least one connection uses.
class Place {
 public:
  Place(std::string path, Config config, TaskManager manager)
      : path_(std::move(path)), config_(std::move(config)), manager_(std::move(manager)), hub_(manager_) {}

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] TaskManager& manager() { return manager_; }
  std::atomic<bool> is_large = false;  ///< large enough that pages use an index
  [[nodiscard]] Hub& hub() { return hub_; }

  /// A page of rows from an index that is updated as tasks change; the first call reads everything and makes it.
  [[nodiscard]] Result<view::Page> page(const view::Filter& filter, view::Sort sort, const std::string& after,
                                        std::size_t limit);
  /// A separate manager for one call, so that its effects stay its own: close().
  [[nodiscard]] Result<TaskManager> open_another() const { return TaskManager::open(manager_options(config_, path_)); }

 private:
  const std::string path_;
  const Config config_;
  TaskManager manager_;
  Hub hub_;  // must end before the manager
  std::mutex index_mutex_;
  std::unique_ptr<view::Index> index_;
};

/// Sessions by path, shared by connections. The configuration is read when the first connection opens one. Thread-safe.
class Places {
 public:
  [[nodiscard]] Result<std::shared_ptr<Place>> open(const std::string& session);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Place>> places_;
};

}  // namespace perdure::rpc
