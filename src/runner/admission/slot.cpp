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
  if (const int e = take_first_free(cap, held); e < 0) return e;
  // For people and for those who wait for a slot; the lock is what counts. Always as long, since cutting a file first
  // makes its next commit dearer.
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
    if (file_) {  // one is ours already: the others are only counted
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
