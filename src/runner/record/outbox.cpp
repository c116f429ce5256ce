#include "runner/record/outbox.h"

#include "contract/names.h"
#include "runner/os/text.h"

namespace runner {
namespace {

int unless_something_else_is_there(int e) {
  return e == -ENOTDIR || e == -ELOOP || e == -EISDIR ? 0 : e;
}

int open_outbox(int session_folder) {
  return sys::open_at(session_folder, perdure::contract::kOutboxDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

int announce_end(int session_folder, std::string_view task_id, Fd& folder) {
  folder = Fd(open_outbox(session_folder));
  if (folder.get() == -ENOENT) {
    const int e = sys::make_folder_at(session_folder, perdure::contract::kOutboxDir);
    if (e < 0 && e != -EEXIST) return e;
    if (const int unsure = sys::sync(session_folder); unsure < 0) return unsure;
    folder = Fd(open_outbox(session_folder));
  }
  if (!folder) return unless_something_else_is_there(folder.get());
  // Opened read-only: a waiting process takes the closing of a writable file for the end of a claim (store/outbox.h).
  const Fd entry(
      sys::open_at(folder.get(), (Text<80>() << task_id).c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK));
  if (entry) return 0;
  folder.reset();
  return unless_something_else_is_there(entry.get());
}

}  // namespace runner
