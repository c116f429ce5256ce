#pragma once

#include "store/session.h"

#include <cstdint>
#include <string>
#include <vector>

namespace perdure::store {

/// Something in a session that belongs to nothing any more (docs/internals/disk-format.md, "Retention").
struct Litter {
  enum class What {
    temporary,  ///< `.<name>.<pid>.<n>.tmp` of a process that is gone
    folder,     ///< a task's folder without a record
    key,        ///< an idempotency key of a task that is gone
    entry,      ///< in outbox/, of a task that is gone
  } what;
  std::string path;
  std::int64_t bytes = 0;
};

/// Only what has not been touched for a minute and what no lock and no record speaks for. Files that Perdure does not
/// know in a folder make it somebody else's.
[[nodiscard]] Result<std::vector<Litter>> find_litter(const Session& session);

/// False: it is in use after all, or gone already.
[[nodiscard]] Result<bool> sweep(const Session& session, const Litter& litter);

/// True once a day, for one caller in any process; the first call begins the first day. A session that does not exist
/// is never due.
[[nodiscard]] Result<bool> claim_daily_sweep(const Session& session);

/// What a file or folder, with all that is in it, takes on the disk (blocks of 512 bytes). Nothing there is 0.
[[nodiscard]] std::int64_t disk_use(const std::string& path);

/// Removes a record and what is beside it. The record goes first and durably: a crash leaves a whole task or litter.
[[nodiscard]] Result<> remove_task(const Session& session, const Task& task);

}  // namespace perdure::store
