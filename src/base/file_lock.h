#pragma once

#include "base/error.h"

// Open-file-description locks: they end with the last holder of the descriptor, however it dies, and they do not
// fall when the same process opens and closes the file elsewhere, as fcntl's older locks do.
namespace perdure {

/// Takes the whole file for this descriptor, which must be open for writing. False: somebody else has it.
[[nodiscard]] Result<bool> try_lock(int fd, const std::string& described);

/// Waits for it. Interrupted waits go on.
[[nodiscard]] Result<> lock(int fd, const std::string& described);

/// Looks without taking; any open descriptor will do. Through the holding descriptor itself the answer is false.
[[nodiscard]] Result<bool> is_locked_by_another(int fd, const std::string& described);

}  // namespace perdure
