#include "runner/hooks/queue_restart.h"

#include "runner/admission/queue.h"
#include "runner/admission/room.h"
#include "runner/os/sys.h"
#include "runner/os/text.h"

#include <cstring>

namespace runner {
namespace {

constexpr unsigned long kMostPath = 4096;
using Path = Text<kMostPath + 64>;

// Path of the program relative to the runner's folder: beside it, or as in an installation.
constexpr const char* kPlaces[] = {"/perdure", "/../../bin/perdure", "/../bin/perdure"};

std::string_view link_target(const char* link, char (&buffer)[kMostPath]) {
  const long n = ::readlink(link, buffer, sizeof buffer);
  return {buffer, n > 0 && n < static_cast<long>(sizeof buffer) ? static_cast<unsigned long>(n) : 0};
}

// Ends in exec or _exit. Uses the session's present path: it may have been renamed since the launch.
[[noreturn]] void become_reconcile(int session_folder, char* const* environment, const Inherited& inherited) {
  static char session[kMostPath], own[kMostPath];
  const std::string_view path =
      link_target((Text<40>() << "/proc/self/fd/" << static_cast<long>(session_folder)).c_str(), session);
  std::string_view folder = link_target("/proc/self/exe", own);
  const auto slash = folder.rfind('/');
  if (path.empty() || slash == std::string_view::npos || ::chdir("/") != 0) sys::exit(127);
  folder = first(folder, slash);
  ::setsid();
  ::syscall(SYS_close_range, 3, ~0U, 0);
  become_like_the_caller(inherited);
  static Path name;
  name << path;
  static char program[] = "perdure", flag[] = "--session", verb[] = "reconcile", queue[] = "--queue";
  char* const argv[] = {program, flag, const_cast<char*>(name.c_str()), verb, queue, nullptr};
  for (const char* const place : kPlaces) ::execve((Path() << folder << place).c_str(), argv, environment);
  sys::exit(127);
}

}  // namespace

void QueueRestart::prepare(const Spec& spec) {
  int used = 0;
  for (const std::string_view name : kKept) {
    const std::string_view value = spec.variable(name);
    auto* const text = value.empty() ? nullptr : static_cast<char*>(Room::take(name.size() + value.size() + 2));
    if (text == nullptr) continue;
    std::memcpy(text, name.data(), name.size());
    text[name.size()] = '=';
    std::memcpy(text + name.size() + 1, value.data(), value.size());
    environment_[used++] = text;
  }
}

int QueueRestart::start_if_needed(int session_folder, int tasks_folder, std::string_view task_id,
                                  const Inherited& inherited) const {
  if (!Queue::has_stalled(session_folder, tasks_folder, task_id)) return 0;
  const int pid = sys::fork();
  if (pid == 0) become_reconcile(session_folder, environment_, inherited);
  return pid < 0 ? 0 : pid;
}

}  // namespace runner
