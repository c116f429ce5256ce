#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

// The counter of events: two words of shared memory in the file `seq`. The first is the last number given out; managers
// and runners of 0.1 change only that one. The second is the last number given out by a version that maintains active/.
// If they differ, an older version wrote to the session, and active/ may lack entries.
namespace perdure::contract {

struct SeqWords {
  std::int64_t last = 0;
  std::int64_t last_of_ours = 0;
};
inline constexpr long kSeqBytes = 16;
static_assert(sizeof(SeqWords) == kSeqBytes);

__extension__ using SeqPair = unsigned __int128;

/// Takes the next number. `page` is the start of the mapped file. Both words change in one step, since a SIGKILL
/// between two steps would leave them unequal; unequal words stay unequal until all records were examined.
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

/// The next number of the session whose file `seq` is open as `counter`; `now_us` if the file can't be used.
inline std::int64_t next_in_sequence(int counter, std::int64_t now_us) {
  struct stat about{};
  if (counter < 0 || ::fstat(counter, &about) != 0) return now_us;
  // Allocated before it is mapped: a hole that a full disk can't fill would cause a SIGBUS. Never writes 8 bytes of
  // zeros over a word in use: a file of 0.1 gets the second word only.
  constexpr SeqWords kZeros;
  const long there = about.st_size < 8 ? 0 : 8;
  const long missing = kSeqBytes - there;
  if (about.st_size < kSeqBytes && ::pwrite(counter, &kZeros, static_cast<unsigned long>(missing), there) != missing)
    return now_us;
  void* const page = ::mmap(nullptr, kSeqBytes, PROT_READ | PROT_WRITE, MAP_SHARED, counter, 0);
  if (page == MAP_FAILED) return now_us;
  const std::int64_t mine = take_seq(page, now_us);
  ::munmap(page, kSeqBytes);
  return mine;
}

}  // namespace perdure::contract
