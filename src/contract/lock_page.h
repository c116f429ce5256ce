#pragma once

#include <cstdint>

// runner.lock is one page, written in place. Each field is one pwrite that no page boundary divides, so that a
// SIGKILL leaves it whole or absent, and the page is allocated at the start, so that a full disk can't refuse it.
namespace perdure::contract {

inline constexpr long kLockPageBytes = 4096;

// Who holds the lock: "<pid> <start ticks> <task id>\n"
inline constexpr long kHolderAt = 0;
inline constexpr long kHolderBytes = 128;

// 'G' once the gate is about to open; before that nothing of the command has run.
inline constexpr long kGateAt = 128;

// 'M' if the kernel ended a process of the task for the sake of its memory limit. Noted before the exit.
inline constexpr long kMemoryAt = 129;

// Why the record of the end could not be written yet, when it could not: an errno in decimal, up to a NUL.
inline constexpr long kRefusedAt = 136;
inline constexpr long kRefusedBytes = 16;

// The task's key (names.h), up to a NUL.
inline constexpr long kKeyAt = 192;
inline constexpr long kKeyBytes = 64;

// How the command itself ended: "exit <code> <ms>\n" or "signal <number> <ms>\n".
inline constexpr long kExitAt = 256;
inline constexpr long kExitBytes = 128;

// What decided the outcome: "<cause> <ms>\n<reason>\n", cause being a word of contract::Cause (outcome.h), the reason
// escaped as in a JSON string. "exit": the command ended by itself, and the field above says how.
inline constexpr long kDecisionAt = 512;
inline constexpr long kDecisionBytes = 4096 - 512;

}  // namespace perdure::contract
