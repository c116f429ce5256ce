#include "store/ownership.h"

#include "base/error.h"
#include "base/files.h"
#include "base/name_service.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <dirent.h>
#include <pwd.h>

namespace perdure::store {
namespace {

using namespace contract;

std::string user_name(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  char room[4096];
  prepare_name_lookup();
  if (::getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found != nullptr) return found->pw_name;
  return fmt::format("uid {}", uid);
}

gid_t primary_group() {
  passwd entry{};
  passwd* found = nullptr;
  char room[4096];
  prepare_name_lookup();
  if (::getpwuid_r(::geteuid(), &entry, room, sizeof room, &found) == 0 && found != nullptr) return found->pw_gid;
  return ::getegid();
}

// `is_there`: false where nothing has that name, which is fine.
Result<> check_folder(const std::string& path, bool links_are_resolved, uid_t user, bool& is_there) {
  struct stat about{};
  is_there = false;
  if (::lstat(path.c_str(), &about) != 0) {
    if (is_absence(errno)) return {};
    return fail_errno("looking at", path);
  }
  if (S_ISLNK(about.st_mode) && links_are_resolved && ::stat(path.c_str(), &about) != 0)
    return fail_errno("looking at", path);
  is_there = true;
  const auto refuse = [&](const std::string& why) -> Result<> {
    return fail(ErrorCode::session_unusable, fmt::format("this session can't be used to act: {} {}", path, why));
  };
  if (S_ISLNK(about.st_mode)) return refuse("is a link: put the folder itself there");
  if (!S_ISDIR(about.st_mode)) return refuse("is not a folder");
  if (about.st_uid != user) {
    const std::string owner = user_name(about.st_uid);
    return refuse(fmt::format("belongs to {}: run `sudo -u {} perdure ...`, or choose another session with --session",
                              owner, owner));
  }
  const bool by_group = (about.st_mode & S_IWGRP) != 0 && about.st_gid != primary_group();
  if ((about.st_mode & S_IWOTH) != 0 || by_group)
    return refuse("can be written by others: chmod go-w it, once you know what is in it");
  return {};
}

}  // namespace

Result<bool> check_owner(const Session& session) {
  const uid_t user = ::geteuid();
  bool is_there = false;
  if (auto fine = check_folder(session.path(), true, user, is_there); !fine) return std::unexpected(fine.error());
  if (!is_there) return false;
  for (const char* const name :
       {kTasksDir, kSlotsDir, kKeysDir, kQueueDir, kOutboxDir, kNamesDir, kActiveDir, kFarDir, kAgentsDir})
    if (auto fine = check_folder(session.path() + "/" + name, false, user, is_there); !fine)
      return std::unexpected(fine.error());
  if (!is_there) return true;  // the last of them is that of agents
  const std::string agents = session.path() + "/" + kAgentsDir;
  const auto dir = open_folder_at(AT_FDCWD, agents, agents);
  const auto entries =
      dir ? read_folder(dir->get(), agents) : Result<std::vector<FolderEntry>>(std::vector<FolderEntry>());
  if (!entries) return std::unexpected(entries.error());
  for (const auto& entry : *entries)
    if (auto fine = check_folder(agents + "/" + entry.name + "/" + kTasksDir, false, user, is_there); !fine)
      return std::unexpected(fine.error());
  return true;
}

bool is_own(int fd) {
  struct stat about{};
  return ::fstat(fd, &about) == 0 && about.st_uid == ::geteuid();
}

}  // namespace perdure::store
