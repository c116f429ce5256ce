#pragma once

#include <atomic>
#include <cstdint>

// The counter behind the numbers of events: two words of shared memory in the file `seq`. The first is the last number
// that was given out; a manager or runner of 0.1 changes only that one. The second is the last number that a version
// gave out which keeps active/. Where they differ, an older version wrote, and active/ may lack entries.
namespace perdure::contract {

struct SeqWords {
  std::int64_t last = 0;
  std::int64_t last_of_ours = 0;
};
inline constexpr long kSeqBytes = 16;
static_assert(sizeof(SeqWords) == kSeqBytes);

__extension__ using SeqPair = unsigned __int128;

/// Takes the next number. `page` is the start of the mapped file. Both words change in one step, because two would be
/// left unequal by a SIGKILL in between; unequal words stay unequal until somebody has looked at everything.
#if defined(__x86_64__)
__attribute__((target("cx16")))
#endif
inline std::int64_t
take_seq(void* page, std::int64_t now) {
  auto* const words = static_cast<std::int64_t*>(page);
  auto* const pair = static_cast<SeqPair*>(page);
  while (true) {
    const std::int64_t last = __atomic_load_n(&words[0], __ATOMIC_SEQ_CST);
    const std::int64_t ours = __atomic_load_n(&words[1], __ATOMIC_SEQ_CST);
    const std::int64_t mine = last >= now ? last + 1 : now;
    const auto as_pair = [](std::int64_t low, std::int64_t high) {
      return static_cast<SeqPair>(static_cast<std::uint64_t>(high)) << 64 | static_cast<std::uint64_t>(low);
    };
    if (__sync_bool_compare_and_swap(pair, as_pair(last, ours), as_pair(mine, last == ours ? mine : ours))) return mine;
  }
}

}  // namespace perdure::contract
