#include "manager/link/identity.h"

#include "base/clock.h"
#include "base/files.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace perdure::manager {
namespace {

// Names of machines; anything else would need an escape.
bool is_plain(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

}  // namespace

std::string identity_members(const store::Session& session) {
  utsname host{};
  struct stat space{};
  const auto folder = identity_of_folder(session.path());
  // The runner is a child: it lives where this process puts its children.
  if (::uname(&host) != 0 || ::stat("/proc/self/ns/pid_for_children", &space) != 0 || !folder || !is_plain(boot_id()) ||
      !is_plain(machine_id()) || !is_plain(host.nodename))
    return "";
  std::string members = fmt::format(
      R"(,"bootId":"{}","machineId":"{}","hostName":"{}","pidNamespace":"{}","sessionFolder":{{"inode":"{}")",
      boot_id(), machine_id(), std::string_view(host.nodename), space.st_ino, folder->inode);
  if (folder->birth_time) members += fmt::format(R"(,"birthTime":"{}")", *folder->birth_time);
  return members + "}";
}

}  // namespace perdure::manager
