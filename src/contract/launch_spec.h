#pragma once

#include <cstdint>

// What the manager hands to the runner: one memory file on descriptor kSpecFd, a header and NUL-terminated
// strings behind it. A struct and not JSON, because the runner has no parser and needs argv and envp in place.
namespace perdure::contract {

inline constexpr int kSpecFd = 3;
inline constexpr int kAnswerFd = 4;  // a pipe; the runner writes one answer line (control.h) and closes it

inline constexpr std::uint32_t kSpecMagic = 0x50445231;  // "PDR1"
inline constexpr std::uint32_t kSpecVersion = 1;

enum class SpecOnLimit : std::uint32_t { stop = 0, truncate = 1 };
enum class SpecLeftovers : std::uint32_t { keep = 0, kill = 1, wait = 2 };

struct LaunchSpec {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t total_bytes;  // of the whole file
  std::int64_t timeout_ms;    // 0: none
  std::int64_t grace_ms;
  std::int64_t output_limit;  // bytes; 0: none
  SpecOnLimit on_limit;
  SpecLeftovers leftovers;
  std::uint32_t max_running;  // cap; 0: none
  std::uint32_t sync_output;  // 1: fsync the log before the terminal record
  std::uint32_t argc;
  std::uint32_t envc;
  // Behind the header, each ended by a NUL: the record's constant members (JSON text without the braces, not
  // empty), the owner ("" for none), the program's path, the working directory, argc arguments, envc variables.
};

}  // namespace perdure::contract
