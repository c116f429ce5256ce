#include "manager/link/limits.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/process.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ranges>

namespace perdure::manager {
namespace {

constexpr double kLeastCpu = 0.01, kMostCpu = 100'000;

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\n")));
    if (text.empty()) return words;
    words.push_back(text.substr(0, text.find_first_of(" \t\n")));
    text.remove_prefix(words.back().size());
  }
}

bool has_all(const std::string& folder, const std::vector<std::string>& controllers) {
  const std::string text = read_kernel_file(folder + "/cgroup.subtree_control");
  const auto there = words_of(text);
  return std::ranges::all_of(controllers, [&](const std::string& wanted) {
    return std::ranges::find(there, std::string_view(wanted)) != there.end();
  });
}

// Is it delegated: may this user make cgroups in it and move processes there?
bool is_ours(const std::string& folder) {
  return ::access(folder.c_str(), W_OK | X_OK) == 0 && ::access((folder + "/cgroup.procs").c_str(), W_OK) == 0;
}

// Succeeds only in a delegated cgroup without processes.
void enable(const std::string& folder, const std::vector<std::string>& controllers) {
  for (const auto& controller : controllers) {
    const Fd file(::open((folder + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
    const std::string wish = "+" + controller;
    if (file && ::write(file.get(), wish.data(), wish.size()) < 0) continue;  // has_all() checks the result
  }
}

// mountinfo writes blanks and backslashes as three octal digits.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// The mount point of the unified hierarchy, and the cgroup that is visible as its root there.
struct Mount {
  std::string root, point;
};
std::optional<Mount> unified_mount(const std::string& mountinfo) {
  for (const auto part : std::views::split(mountinfo, '\n')) {
    const auto words = words_of(std::string_view(part.begin(), part.end()));
    const auto dash = std::ranges::find(words, "-");
    if (words.size() > 5 && dash != words.end() && dash + 1 != words.end() && *(dash + 1) == "cgroup2")
      return Mount{unescaped(words[3]), unescaped(words[4])};
  }
  return std::nullopt;
}

// All threads of the user: RLIMIT_NPROC counts those.
std::int64_t threads_of_user() {
  std::int64_t threads = 0;
  for (const pid_t pid : all_processes()) {
    struct stat about{};
    const std::string folder = fmt::format("/proc/{}/task", pid);
    if (::stat(folder.c_str(), &about) == 0 && about.st_uid == ::getuid())
      threads += static_cast<std::int64_t>(about.st_nlink) - 2;
  }
  return threads;
}

std::int64_t cpu_milli(const StartOptions& options) {
  return std::llround(options.cpu_max * 1000);
}

}  // namespace

Result<> check_limits(const StartOptions& options) {
  if (options.memory_max < 0) return fail(ErrorCode::usage, "the memory limit is negative: 0 means none");
  if (options.pids_max < 0) return fail(ErrorCode::usage, "the limit of processes is negative: 0 means none");
  if (options.cpu_max != 0 && !(options.cpu_max >= kLeastCpu && options.cpu_max <= kMostCpu))
    return fail(ErrorCode::usage, fmt::format("the limit of processors is {}: give {} or more, or 0 for none",
                                              options.cpu_max, kLeastCpu));
  return {};
}

void note_limits(const StartOptions& options, Task& task) {
  if (options.memory_max > 0) task.limits.memory_max = options.memory_max;
  if (options.cpu_max > 0) task.limits.cpu_max_milli = cpu_milli(options);
  if (options.pids_max > 0) task.limits.pids_max = options.pids_max;
}

Limits plan_limits(const StartOptions& options, const TaskId& id) {
  Limits limits{.memory_max = options.memory_max, .cpu_max_milli = cpu_milli(options), .pids_max = options.pids_max};
  std::vector<std::string> controllers;
  if (limits.memory_max > 0) controllers.emplace_back("memory");
  if (limits.cpu_max_milli > 0) controllers.emplace_back("cpu");
  if (limits.pids_max > 0) controllers.emplace_back("pids");
  if (controllers.empty()) return limits;
  limits.cgroup_parent = find_cgroup(controllers);
  if (!limits.cgroup_parent.empty())
    limits.cgroup = fmt::format("{}/{}{}", limits.cgroup_parent, contract::kCgroupPrefix, id.str());
  if (limits.pids_max > 0) limits.pids_of_user = limits.pids_max + threads_of_user();
  return limits;
}

std::string find_cgroup(const std::vector<std::string>& controllers) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): this process does not change it
  if (const char* const chosen = std::getenv("PERDURE_CGROUP"); chosen != nullptr && *chosen == '/') {
    if (!has_all(chosen, controllers)) enable(chosen, controllers);
    return has_all(chosen, controllers) && is_ours(chosen) ? chosen : "";
  }
  return find_cgroup_above(read_kernel_file("/proc/self/mountinfo"), read_kernel_file("/proc/self/cgroup"),
                           controllers);
}

std::string find_cgroup_above(const std::string& mountinfo, const std::string& own_cgroups,
                              const std::vector<std::string>& controllers) {
  const auto mount = unified_mount(mountinfo);
  if (!mount) return "";
  for (const auto part : std::views::split(own_cgroups, '\n')) {
    std::string own(part.begin(), part.end());
    if (!own.starts_with("0::/") || own.contains("/..")) continue;  // above the mounted part: not visible
    own = own.substr(3);
    // The mount may show only a part of the hierarchy.
    if (mount->root != "/") {
      if (!own.starts_with(mount->root)) continue;
      own = own.substr(mount->root.size());
    }
    // This process is in its own cgroup, and a cgroup with processes can't enable controllers for its children.
    for (std::string folder = own;; folder = folder.substr(0, folder.rfind('/'))) {
      while (folder.ends_with('/')) folder.pop_back();
      if (const std::string path = mount->point + folder; has_all(path, controllers) && is_ours(path)) return path;
      if (folder.empty()) break;
    }
  }
  return "";
}

void remove_cgroup(const Task& task) {
  // Only cgroups with this task's name; the kernel removes only empty ones.
  if (task.limits.cgroup && task.limits.cgroup->ends_with(fmt::format("/{}{}", contract::kCgroupPrefix, task.id.str())))
    ::rmdir(task.limits.cgroup->c_str());
}

}  // namespace perdure::manager
