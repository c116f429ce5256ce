#pragma once

#include <cstdint>

// runner.lock is one page, written in place. Each field is one pwrite within a page, so that a SIGKILL leaves it whole
// or absent. The page is allocated at the start, so that a full disk can't refuse it.
namespace perdure::contract {

inline constexpr long kLockPageBytes = 4096;

// Who holds the lock: "<pid> <start ticks> <task id>\n"
inline constexpr long kHolderAt = 0;
inline constexpr long kHolderBytes = 128;

// 'G' when the gate is about to open; without it the command has not run.
inline constexpr long kGateAt = 128;

// 'M' if the kernel killed a process of the task because of its memory limit. Noted before the exit.
inline constexpr long kMemoryAt = 129;

// Why the terminal record could not be written yet: an errno in decimal, up to a NUL.
inline constexpr long kRefusedAt = 136;
inline constexpr long kRefusedBytes = 16;

// The task's key (names.h), up to a NUL.
inline constexpr long kKeyAt = 192;
inline constexpr long kKeyBytes = 64;

// How the command's own process ended: "exit <code> <ms>\n" or "signal <number> <ms>\n".
inline constexpr long kExitAt = 256;
inline constexpr long kExitBytes = 128;

// The cause of the outcome: "<cause> <ms>\n<reason>\n", where cause is a word of contract::Cause (outcome.h) and the
// reason is escaped as in a JSON string. "exit": the command ended by itself, and the field above says how.
inline constexpr long kDecisionAt = 512;
inline constexpr long kDecisionBytes = 4096 - 512;

}  // namespace perdure::contract
