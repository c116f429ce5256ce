#include "far/programs.h"

#include "base/fd.h"
#include "base/files.h"
#include "base/try.h"
#include "trust/sha256.h"
#include "trust/signature.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

namespace perdure::far {
namespace {

constexpr const char* kTagFile = "programs";
constexpr std::size_t kMostTagFile = 16'384;
constexpr std::size_t kMostProgram = std::size_t{1} << 30;
constexpr std::size_t kTagDigits = 16;

std::string folder_in(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

Result<std::string> find_perdure(const std::string& runner) {
  std::error_code ignored;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  const std::string beside = folder_in(runner);
  for (const auto& path : {beside + "/perdure", beside + "/../../bin/perdure", self})
    if (path.ends_with("/perdure") && ::access(path.c_str(), X_OK) == 0 &&
        std::filesystem::is_regular_file(path, ignored))
      return path;
  return fail(ErrorCode::task_launch_failed,
              fmt::format("the program perdure was not found beside {}: it is what is copied to other hosts", runner));
}

// Changes whenever the file does.
std::optional<std::string> look_of(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return std::nullopt;
  return fmt::format("{} {} {} {}.{}", path, about.st_ino, about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
}

Result<std::string> tag_of(const Programs& programs) {
  std::string digests;
  for (const auto& path : {programs.perdure, programs.runner}) {
    const std::string whole = std::filesystem::absolute(path).string();
    std::error_code ignored;
    const std::string real = std::filesystem::canonical(whole, ignored).string();
    const std::string parent = folder_in(real);
    const Fd dir(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir) return fail_errno("opening", parent);
    TRY(auto bytes, read_regular_file(dir.get(), real.substr(parent.size() + 1), kMostProgram, real));
    digests += trust::in_hex(trust::sha256(bytes));
  }
  return trust::in_hex(trust::sha256(digests)).substr(0, kTagDigits);
}

}  // namespace

Result<Programs> find_programs(const std::string& runner) {
  TRY(auto perdure, find_perdure(runner));
  Programs programs{.perdure = std::move(perdure), .runner = runner, .tag = {}};
  const auto first = look_of(programs.perdure);
  const auto second = look_of(programs.runner);
  if (!first || !second) return fail_errno("looking at", first ? programs.runner : programs.perdure);
  const std::string looks = *first + "\n" + *second + "\n";
  const std::string folder = trust::state_folder();
  const Fd dir(folder.empty() ? -1 : ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir)
    if (const auto known = read_regular_file(dir.get(), kTagFile, kMostTagFile, kTagFile))
      if (known->starts_with(looks) && known->size() == looks.size() + kTagDigits) {
        programs.tag = known->substr(looks.size());
        return programs;
      }
  TRY(auto tag, tag_of(programs));
  programs.tag = std::move(tag);
  // A cache only: if the folder can't be written, the tag is computed at each call.
  if (dir) static_cast<void>(replace_file(dir.get(), kTagFile, looks + programs.tag, kTagFile));
  return programs;
}

}  // namespace perdure::far
