#include "manager/link/program.h"
#include "manager/status/assess.h"
#include "manager/upkeep/doctor.h"
#include "store/output_log.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <string>

namespace perdure::manager {
namespace {

// Why a file or folder can't be removed, by its own attributes; "": it can be, or it does not exist.
std::string what_keeps(const std::string& path, bool is_folder) {
  struct statx about{};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &about) != 0) return {};
  const auto flags = about.stx_attributes & about.stx_attributes_mask;
  if ((flags & STATX_ATTR_IMMUTABLE) != 0) return fmt::format("is immutable: `chattr -i {}`", shell_quoted({path}));
  if ((flags & STATX_ATTR_APPEND) != 0) return fmt::format("is append-only: `chattr -a {}`", shell_quoted({path}));
  if (!is_folder || ::geteuid() == 0) return {};
  if (about.stx_uid != ::geteuid()) return fmt::format("belongs to user {}", about.stx_uid);
  if ((about.stx_mode & 0300U) != 0300U)
    return fmt::format("is not to be written by its owner: `chmod u+rwx {}`", shell_quoted({path}));
  return {};
}

}  // namespace

void look_at_removability(const std::string& record, const std::string& folder, std::vector<Finding>& findings) {
  const auto look = [&](const std::string& path, bool is_folder) {
    if (const std::string why = what_keeps(path, is_folder); !why.empty())
      findings.push_back({Finding::Level::problem, path, fmt::format("can't be removed with its task: it {}", why)});
  };
  look(record, false);
  if (folder.empty()) return;
  look(folder, true);
  look(folder + "/output.log", false);
}

}  // namespace perdure::manager
