#include "top/work/processes.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/process.h"
#include "base/words.h"
#include "top/screens/words.h"
#include "view/safe_text.h"

#include <unistd.h>

#include <fmt/format.h>

namespace perdure::top {
namespace {

constexpr std::size_t kMost = 10'000;

std::string memory_of(pid_t pid) {
  const std::string text = read_kernel_file(fmt::format("/proc/{}/statm", pid));
  const auto first = text.find(' ');
  if (first == std::string::npos) return "-";
  const auto pages = parse_integer(text.substr(first + 1, text.find(' ', first + 1) - first - 1), 0, INT64_MAX / 65536);
  return pages ? size_text(*pages * ::sysconf(_SC_PAGESIZE)) : "-";
}

void add(pid_t pid, std::size_t depth, std::vector<std::string>& lines) {
  const auto look = look_at_process(pid);
  if (!look || look->is_dead() || lines.size() > kMost || depth > 100) return;
  std::string command = command_line_of(pid);
  if (command.empty()) command = fmt::format("[{}]", pid);
  lines.push_back(fmt::format("{:>8} {}  {:>6} {:>10}  {}{}", pid, look->state,
                              age_text(now_ms() - start_time_ms(look->start_ticks)), memory_of(pid),
                              std::string(2 * depth, ' '), view::safe_words(command)));
  for (const pid_t child : children_of(pid)) add(child, depth + 1, lines);
}

}  // namespace

std::vector<std::string> process_lines(const Task& task) {
  std::vector<std::string> lines{fmt::format("{:>8} {}  {:>6} {:>10}  {}", "PID", "S", "AGE", "MEMORY", "COMMAND")};
  if (task.host.runner && is_alive(*task.host.runner)) {
    for (const pid_t child : children_of(static_cast<pid_t>(task.host.runner->pid))) add(child, 0, lines);
  } else if (!is_terminal(task.status) && task.process.pid > 0 && !task.host.runner) {
    add(static_cast<pid_t>(task.process.pid), 0, lines);
  }
  if (lines.size() == 1) lines.emplace_back("no living process");
  return lines;
}

}  // namespace perdure::top
