#include "runner/admission/slot.h"

#include "contract/names.h"
#include "runner/os/text.h"

namespace runner {
namespace {

using Name = Text<24>;

Name name_of(long n) {
  return Name() << n;
}

}  // namespace

int Slot::open(int session_folder) {
  folder_ = Fd(sys::open_or_make_folder_at(session_folder, perdure::contract::kSlotsDir));
  return folder_ ? 0 : folder_.get();
}

int Slot::take(std::string_view task_id, int cap, int& held) {
  const int e = cap > 0 ? take_first_free(cap, held) : take_any();
  if (e < 0) return e;
  // Informs people and tasks that wait for a slot; only the lock counts. Its length is fixed, since truncating a file
  // first makes the next commit more expensive.
  auto content = Text<kIdBytes + 1>() << task_id;
  while (content.view().size() < kIdBytes - 1) content << " ";
  content << "\n";
  sys::write_at(file_.get(), content.c_str(), kIdBytes, 0);
  return 0;
}

bool Slot::is_there(long n) const {
  struct stat about{};
  return ::fstatat(folder_.get(), name_of(n).c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string_view Slot::holder_of(long n, char (&id)[kIdBytes]) const {
  const Fd slot(sys::open_at(folder_.get(), name_of(n).c_str(), O_RDONLY | O_NOFOLLOW));
  if (!slot || !sys::is_locked(slot.get())) return {};
  const long bytes = sys::read_at(slot.get(), id, kIdBytes, 0);
  std::string_view text(id, bytes > 0 ? static_cast<unsigned long>(bytes) : 0);
  return take_word(text);
}

// Without a cap slots are not counted, so any free one will do, and held ones need not be tried in turn: it tries the
// first, some at random, then a new one. With many held, the folder gets a few more slots than tasks at a time.
int Slot::take_any() {
  constexpr int kTries = 4;
  if (const int e = take_one(0); e != -EAGAIN) return e;
  // Slots are numbered without a gap: their number is found by doubling and bisection.
  long there = 1;
  while (is_there(there)) there *= 2;
  long sure = there / 2;  // known to exist
  while (there - sure > 1) {
    const long middle = sure + (there - sure) / 2;
    (is_there(middle) ? sure : there) = middle;
  }
  unsigned long random =
      static_cast<unsigned long>(sys::now_us(CLOCK_MONOTONIC)) ^ static_cast<unsigned long>(::getpid()) * 2654435761UL;
  for (int i = 0; i < kTries && there > 1; ++i) {
    random = random * 6364136223846793005UL + 1442695040888963407UL;
    const long n = 1 + static_cast<long>((random >> 33) % static_cast<unsigned long>(there - 1));
    if (const int e = take_one(n); e != -EAGAIN) return e;
  }
  for (long n = there;; ++n)  // other runners may be making the same one
    if (const int e = take_one(n); e != -EAGAIN) return e;
}

// 0, -EAGAIN if another process holds it, or -errno.
int Slot::take_one(long n) {
  Fd candidate(sys::open_at(folder_.get(), name_of(n).c_str(), O_RDWR | O_CREAT | O_NOFOLLOW));
  if (!candidate) return candidate.get();
  if (const int e = sys::lock(candidate.get(), false); e < 0) return e == -EACCES ? -EAGAIN : e;
  file_ = std::move(candidate);
  return 0;
}

int Slot::take_first_free(int cap, int& held) {
  held = 0;
  for (int n = 0;; ++n) {
    const auto name = name_of(n);
    Fd candidate(sys::open_at(folder_.get(), name.c_str(), O_RDWR | O_NOFOLLOW));
    const bool is_new = candidate.get() == -ENOENT;
    if (is_new && cap > 0 && held >= cap) return -EDQUOT;
    if (is_new && file_) return 0;
    if (is_new) candidate = Fd(sys::open_at(folder_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW));
    if (!candidate) return candidate.get();
    if (file_) {  // this task has one already: the others are only counted
      held += sys::is_locked(candidate.get()) ? 1 : 0;
      if (held >= cap) {
        file_.reset();
        return -EDQUOT;
      }
      continue;
    }
    if (sys::lock(candidate.get(), false) < 0) {
      ++held;
      continue;
    }
    file_ = std::move(candidate);
    if (cap == 0) return 0;
    if (held >= cap) {
      file_.reset();
      return -EDQUOT;
    }
  }
}

}  // namespace runner
