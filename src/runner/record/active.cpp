#include "runner/record/active.h"

#include "contract/names.h"
#include "runner/os/text.h"

namespace runner {

using namespace perdure::contract;

int Active::enter(int session_folder, std::string_view task_id) {
  folder_ = Fd(sys::open_or_make_folder_at(session_folder, kActiveDir));
  if (!folder_) return folder_.get();
  const auto name = Text<80>() << task_id;
  if (sys::make_file_at(folder_.get(), name.c_str()) == 0) return 0;
  // The manager or another program made it before. A symbolic link is no entry.
  const Fd entry(sys::open_at(folder_.get(), name.c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW));
  return entry ? 0 : entry.get();
}

int Active::check(std::string_view task_id) const {
  const auto name = Text<80>() << task_id;
  const int e = sys::make_file_at(folder_.get(), name.c_str());
  if (e == 0 || e == -EEXIST) return 0;
  const Fd entry(sys::open_at(folder_.get(), name.c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW));
  return entry ? 0 : entry.get();
}

void Active::end(std::string_view task_id) const {
  if (!folder_) return;
  leave(task_id);
  const Fd ended(sys::open_at(folder_.get(), kEndedIds, O_WRONLY | O_APPEND | O_NOFOLLOW));
  const auto line = Text<80>() << task_id << "\n";
  if (ended) sys::write(ended.get(), line.c_str(), line.view().size());
}

void Active::leave(std::string_view task_id) const {
  if (folder_) sys::unlink_at(folder_.get(), (Text<80>() << task_id).c_str());
}

}  // namespace runner
