#pragma once

#include "base/error.h"

// Open-file-description locks: they end with the last descriptor, however its process dies. Unlike fcntl's older locks
// they are not released when the same process opens and closes the file elsewhere.
namespace perdure {

/// Locks the whole file through this descriptor, which must be open for writing. False: another one holds the lock.
[[nodiscard]] Result<bool> try_lock(int fd, const std::string& described);

/// Waits for the lock. Continues when a signal interrupts it.
[[nodiscard]] Result<> lock(int fd, const std::string& described);

/// Checks without taking the lock; any open descriptor will do. Through the holding descriptor itself the result is
/// false.
[[nodiscard]] Result<bool> is_locked_by_another(int fd, const std::string& described);

}  // namespace perdure
