#include "cli/console/input.h"

#include "base/error.h"
#include "base/fd.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>

namespace perdure::cli {

Result<std::string> read_input(const std::string& path) {
  constexpr std::size_t kMost = 1 << 20;
  Fd file(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("reading", path, ErrorCode::usage);
  std::string text;
  char part[65536];
  while (true) {
    const ssize_t n = ::read(file.get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", path, ErrorCode::usage);
    if (n == 0) return text;
    text.append(part, static_cast<std::size_t>(n));
    if (text.size() > kMost) return fail(ErrorCode::usage, fmt::format("{} is longer than {} bytes", path, kMost));
  }
}

std::optional<std::string> read_line() {
  std::string line;
  char byte = 0;
  while (true) {
    const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return line.empty() ? std::nullopt : std::optional(std::move(line));
    if (byte == '\n') return line;
    line += byte;
  }
}

Result<std::map<std::string, std::string>> pairs(const Call& call, std::string_view option) {
  std::map<std::string, std::string> found;
  for (const auto& text : call.values(option)) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorCode::usage, fmt::format("{}: '{}' is not of the form NAME=VALUE", option, harmless_line(text)));
    found[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return found;
}

bool is_terminal_input() {
  return ::isatty(STDIN_FILENO) == 1;
}

bool ask_yes_or_no(std::string_view question) {
  note(fmt::format("{} [y/N]", question));
  const auto answer = read_line();
  return answer && (*answer == "y" || *answer == "Y" || *answer == "yes");
}

}  // namespace perdure::cli
