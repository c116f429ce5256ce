#include "runner/slot.h"

#include "contract/names.h"
#include "runner/text.h"

namespace runner {
namespace {

constexpr unsigned kContentBytes = 72;  // an id has 64 characters at most

int open_folder(int in, const char* name, Fd& folder) {
  if (const int e = sys::make_folder_at(in, name); e < 0 && e != -EEXIST) return e;
  folder = Fd(sys::open_at(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return folder ? 0 : folder.get();
}

}  // namespace

int Slot::take(int session_folder, std::string_view task_id, int cap, int& held) {
  Fd folder, queue, admission;
  if (const int e = open_folder(session_folder, perdure::contract::kSlotsDir, folder); e < 0) return e;
  if (cap > 0) {
    // Counting and taking must be one step for those who count; without a cap nobody does.
    if (const int e = open_folder(session_folder, perdure::contract::kQueueDir, queue); e < 0) return e;
    admission = Fd(sys::open_at(queue.get(), perdure::contract::kAdmissionLock, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (!admission) return admission.get();
    int e = 0;
    while ((e = sys::lock(admission.get(), true)) == -EINTR) {
    }
    if (e < 0) return e;
  }
  if (const int e = take_first_free(folder.get(), cap, held); e < 0) return e;
  // For people: the lock is what counts. Always as long, since cutting a file first makes its next commit dearer.
  auto content = Text<kContentBytes + 1>() << task_id;
  while (content.view().size() < kContentBytes - 1) content << " ";
  content << "\n";
  sys::write_at(file_.get(), content.c_str(), kContentBytes, 0);
  return 0;
}

int Slot::take_first_free(int folder, int cap, int& held) {
  held = 0;
  for (int n = 0;; ++n) {
    const auto name = Text<16>() << static_cast<long>(n);
    Fd candidate(sys::open_at(folder, name.c_str(), O_RDWR | O_NOFOLLOW));
    const bool is_new = candidate.get() == -ENOENT;
    if (is_new && cap > 0 && held >= cap) return -EDQUOT;
    if (is_new && file_) return 0;
    if (is_new) candidate = Fd(sys::open_at(folder, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW));
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
