#pragma once

#include "store/session.h"

#include <cstdint>
#include <string>
#include <vector>

namespace perdure::store {

/// A file or folder in a session that belongs to no task any more (docs/internals/disk-format.md, "Retention").
struct Litter {
  enum class What {
    temporary,  ///< `.<name>.<pid>.<n>.tmp` of a process that has exited
    folder,     ///< a task's folder without a record
    key,        ///< an idempotency key of a task that is gone
    entry,      ///< in outbox/, of a task that is gone
  } what;
  std::string path;
  std::int64_t bytes = 0;
};

/// Only files that were not changed for a minute and that no lock and no record refers to. A folder that contains a
/// file unknown to Perdure is left out.
[[nodiscard]] Result<std::vector<Litter>> find_litter(const Session& session);

/// False: it is in use after all, or was removed meanwhile.
[[nodiscard]] Result<bool> sweep(const Session& session, const Litter& litter);

/// True once a day, for one caller of all processes; the first call starts the first day. Always false for a session
/// that does not exist.
[[nodiscard]] Result<bool> claim_daily_sweep(const Session& session);

/// The disk space of a file or of a folder with its contents (in blocks of 512 bytes). 0 if it does not exist.
[[nodiscard]] std::int64_t disk_use(const std::string& path);

/// Removes a record and its folder. The record goes first and durably: after a crash there is a whole task or stale
/// files.
[[nodiscard]] Result<> remove_task(const Session& session, const Task& task);

}  // namespace perdure::store
