#include "store/agent.h"

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace perdure::store {

using namespace contract;

namespace {

constexpr std::size_t kMostPlanBytes = 16 << 20;
constexpr std::int64_t kMostAtOnce = 16 << 20;

}  // namespace

Result<> write_plan(const Session& session, const TaskId& id, const std::string& json) {
  const std::string path = session.folder_path(id) + "/" + kAgentFile;
  if (json.size() > kMostPlanBytes)
    return fail(ErrorCode::usage, "the prompt is longer than 16 MiB: put it into a file that the agent reads");
  TRY(auto folder, session.open_folder(id));
  return replace_file(folder.get(), kAgentFile, json, path);
}

void remove_plan(const Session& session, const TaskId& id) {
  const std::string folder = session.folder_path(id);
  ::unlink((folder + "/" + kAgentFile).c_str());
  ::rmdir(folder.c_str());
}

Result<std::string> read_plan(const Session& session, const TaskId& id) {
  const std::string path = session.folder_path(id) + "/" + kAgentFile;
  auto folder = session.open_folder(id);
  auto json = folder ? read_regular_file(folder->get(), kAgentFile, kMostPlanBytes, path)
                     : Result<std::string>(std::unexpected(folder.error()));
  if (!json && is_absence(json.error().os_error)) return fail(ErrorCode::record_invalid, path + ": is not there");
  return json;
}

Result<Fd> append_activity(const Session& session, const TaskId& id) {
  TRY(auto folder, session.open_folder(id));
  return open_at(folder.get(), kActivityFile, O_WRONLY | O_APPEND | O_CREAT,
                 session.folder_path(id) + "/" + kActivityFile);
}

Result<ActivityPart> read_activity(const Session& session, const TaskId& id, std::int64_t offset, std::int64_t limit) {
  ActivityPart part;
  const std::string path = session.folder_path(id) + "/" + kActivityFile;
  auto folder = session.open_folder(id);
  auto file =
      folder ? open_at(folder->get(), kActivityFile, O_RDONLY, path) : Result<Fd>(std::unexpected(folder.error()));
  if (!file && is_absence(file.error().os_error)) return part;
  if (!file) return std::unexpected(file.error());
  struct stat about{};
  if (::fstat(file->get(), &about) != 0) return fail_errno("reading", path);
  if (!S_ISREG(about.st_mode)) return fail(ErrorCode::record_invalid, path + ": is not a regular file");
  part.size = about.st_size;
  part.bytes.resize(
      static_cast<std::size_t>(std::clamp<std::int64_t>(part.size - offset, 0, std::min(limit, kMostAtOnce))));
  std::size_t done = 0;
  while (done < part.bytes.size()) {
    const ssize_t n = ::pread(file->get(), part.bytes.data() + done, part.bytes.size() - done,
                              offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", path);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  part.bytes.resize(done);
  return part;
}

Result<Fd> lock_conversations(const Session& session) {
  const std::string path = session.path() + "/" + kConversationsLock;
  TRY(auto root, session.open_root());
  auto file = open_at(root.get(), kConversationsLock, O_RDWR | O_CREAT, path);
  if (!file) return file;
  TRY_VOID(lock(file->get(), path));
  return file;
}

}  // namespace perdure::store
