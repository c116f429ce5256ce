#pragma once

#include "base/fd.h"
#include <perdure/task.h>

#include <functional>
#include <string>
#include <vector>

namespace perdure::store {

/// A session folder: the only place that knows the paths in it. A value: the constructor does not touch the disk, and
/// only create() and the functions that say so write. Thread-safe.
class Session {
 public:
  /// `path` is made absolute; links are resolved in the part of it that exists.
  explicit Session(const std::string& path);
  /// An absolute path, taken as it is: not even its links are looked at, which on a dead file system would not return.
  [[nodiscard]] static Session unseen(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string tasks_path() const;
  [[nodiscard]] std::string config_path() const;
  /// False: certainly none. It costs less than to find out where the folder truly lies.
  [[nodiscard]] static bool may_have_config(const std::string& session);
  [[nodiscard]] std::string record_path(const TaskId& id) const;
  [[nodiscard]] std::string folder_path(const TaskId& id) const;

  /// The value of PERDURE_RUNNER for this task, and of PERDURE_TASK_ID for a task of 0.1: "<taskId>@<session>".
  [[nodiscard]] std::string marker(const TaskId& id) const;

  [[nodiscard]] bool exists() const;

  /// Makes the folder, tasks/ and outbox/, 0700. Errors: session_unusable, storage_full.
  [[nodiscard]] Result<> create() const;

  [[nodiscard]] Result<Fd> open_root() const;
  [[nodiscard]] Result<Fd> open_tasks() const;
  [[nodiscard]] Result<Fd> open_queue() const;
  /// Folder `tasks/<id>`; a link in its place is refused.
  [[nodiscard]] Result<Fd> open_folder(const TaskId& id) const;

  /// Every existing folder of records: agents/*/tasks, by name, then tasks.
  [[nodiscard]] Result<std::vector<std::string>> record_folders() const;

  /// Makes `tasks/<id>` for a new task. False: the id is taken.
  [[nodiscard]] Result<bool> claim(const TaskId& id) const;

  /// The next number of the session's events; grows across processes and restarts (docs/internals/disk-format.md).
  [[nodiscard]] std::int64_t next_seq() const;

 private:
  Session() = default;
  std::string path_;
};

}  // namespace perdure::store
