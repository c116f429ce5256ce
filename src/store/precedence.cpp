#include "store/precedence.h"

#include "base/files.h"
#include "codec/record.h"
#include "contract/names.h"
#include "store/queue.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace perdure::store {

bool Precedence::is_queued(const TaskId& id) {
  if (!queued_) {
    queued_.emplace();
    if (const auto entries = list_queue(session_))
      for (const auto& entry : *entries) queued_->insert(entry.id.str());
  }
  return queued_->contains(id.str());
}

bool Precedence::is_ours(const TaskId& id) {
  struct stat about{};
  const std::string lock = session_.folder_path(id) + "/" + contract::kRunnerLock;
  if (::lstat(lock.c_str(), &about) == 0 && S_ISREG(about.st_mode)) return true;
  const std::string path = session_.record_path(id);
  if (const auto bytes = read_regular_file(AT_FDCWD, path, codec::kMaxRecordBytes, path)) {
    const auto task = codec::decode(*bytes, id.str());
    if (task && (task->host.runner || task->question.on_deadline || task->executor)) return true;
  }
  return is_queued(id);
}

}  // namespace perdure::store
