#include "store/question.h"

#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>

namespace perdure::store {

using namespace contract;

namespace {

constexpr std::size_t kMostQuestionBytes = 2 << 20;

}  // namespace

Result<> write_question(const Session& session, const TaskId& id, const std::string& json) {
  TRY(auto folder, session.open_folder(id));
  return replace_file(folder.get(), kQuestionFile, json + "\n", session.folder_path(id) + "/" + kQuestionFile);
}

void remove_question(const Session& session, const TaskId& id) {
  const std::string folder = session.folder_path(id);
  ::unlink((folder + "/" + kQuestionFile).c_str());
  ::rmdir(folder.c_str());
}

Result<std::string> read_question(const Session& session, const TaskId& id) {
  const std::string path = session.folder_path(id) + "/" + kQuestionFile;
  auto folder = session.open_folder(id);
  auto json = folder ? read_regular_file(folder->get(), kQuestionFile, kMostQuestionBytes, path)
                     : Result<std::string>(std::unexpected(folder.error()));
  if (!json && is_absence(json.error().os_error)) return fail(ErrorCode::record_invalid, path + ": is not there");
  return json;
}

Result<std::optional<StoredAnswer>> read_answer(const Session& session, const TaskId& id) {
  const std::string path = session.folder_path(id) + "/" + kOutputFile;
  auto folder = session.open_folder(id);
  if (!folder && is_absence(folder.error().os_error)) return std::nullopt;
  if (!folder) return std::unexpected(folder.error());
  auto json = read_regular_file(folder->get(), kOutputFile, kMostQuestionBytes, path);
  if (!json && is_absence(json.error().os_error)) return std::nullopt;
  if (!json) return std::unexpected(json.error());
  struct stat about{};
  if (::fstatat(folder->get(), kOutputFile, &about, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno("reading", path);
  return StoredAnswer{std::move(*json), std::int64_t{about.st_mtim.tv_sec} * 1000 + about.st_mtim.tv_nsec / 1'000'000};
}

Result<DraftAnswer> DraftAnswer::write(const Session& session, const TaskId& id, const std::string& json) {
  TRY(auto folder, session.open_folder(id));
  // Not a pid: a process in another container may have the same pid and use the same session.
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail_errno("reading", "random bytes");
  const std::string name = fmt::format("{}{:016x}", kDraftPrefix, random);
  const std::string path = session.folder_path(id) + "/" + name;
  DraftAnswer draft(std::move(folder), path, name);
  TRY(auto file, open_at(draft.folder_.get(), name, O_WRONLY | O_CREAT | O_EXCL, path));
  TRY_VOID(write_all(file.get(), json + "\n", path));
  if (::fsync(file.get()) != 0) return fail_errno("syncing", path);
  return draft;
}

DraftAnswer::~DraftAnswer() {
  if (folder_) ::unlinkat(folder_.get(), name_.c_str(), 0);
}

Result<> DraftAnswer::give() {
  if (::renameat(folder_.get(), name_.c_str(), folder_.get(), kOutputFile) != 0) return fail_errno("answering", path_);
  // It counts as given from here on. A disk that fails shows up when the record is written next.
  static_cast<void>(::fsync(folder_.get()));
  return {};
}

bool DraftAnswer::was_given() const {
  struct stat about{};
  return ::fstatat(folder_.get(), name_.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

}  // namespace perdure::store
