#include "cli/integrations/shipped_hooks.h"

#include "base/error.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "manager/link/program.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <cerrno>

// Commands for use as hooks (docs/guide/hooks.md): they read the event from standard input.
namespace perdure::cli {
namespace {

constexpr std::chrono::milliseconds kAttempt{5'000};
constexpr std::int64_t kRetries = 3, kMostRetries = 100;

// Replaces this process. Returns only when that fails.
std::unexpected<Error> become(const std::string& program, std::vector<std::string> words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return fail_errno("running", program, ErrorCode::task_launch_failed);
}

}  // namespace

Result<int> hook_webhook(Call& call) {
  auto retries = call.integer("--retries", 0, kMostRetries);
  auto timeout = call.duration("--timeout");
  if (!retries) return std::unexpected(retries.error());
  if (!timeout) return std::unexpected(timeout.error());
  if (call.arguments.size() != 2) return fail(ErrorCode::usage, "give one URL: perdure hook webhook https://...");
  const auto program = manager::find_companion("perdure-webhook");
  if (!program) return std::unexpected(program.error());
  return become(*program,
                {"perdure-webhook", call.arguments[1], call.value("--secret-file").value_or(""),
                 fmt::to_string(retries->value_or(kRetries)), fmt::to_string(timeout->value_or(kAttempt).count())});
}

namespace {

Result<std::string> read_input() {
  std::string bytes;
  char part[65536];
  while (true) {
    const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", "the standard input", ErrorCode::usage);
    if (n == 0) return bytes;
    bytes.append(part, static_cast<std::size_t>(n));
  }
}

// A desktop may interpret the body as markup: a command's text must not contain any (L26).
std::string without_markup(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    if (c == '&') {
      plain += "&amp;";
    } else if (c == '<') {
      plain += "&lt;";
    } else if (c == '>') {
      plain += "&gt;";
    } else {
      plain += c;
    }
  }
  return plain;
}

struct News {
  std::string title, body, severity;
};

Result<News> read_news() {
  auto text = read_input();
  if (!text) return std::unexpected(text.error());
  boost::system::error_code error;
  const auto input = boost::json::parse(*text, error);
  const auto* const all = error ? nullptr : input.if_object();
  const auto* const inner = all == nullptr ? nullptr : all->if_contains("notification");
  const auto* const members = inner == nullptr ? nullptr : inner->if_object();
  if (members == nullptr)
    return fail(ErrorCode::usage, "the standard input holds no notification: this command is made to be a hook");
  const auto value = [&](std::string_view key) {
    const auto* const member = members->if_contains(key);
    const auto* const found = member == nullptr ? nullptr : member->if_string();
    return found == nullptr ? std::string() : std::string(*found);
  };
  return News{.title = value("title"), .body = value("body"), .severity = value("severity")};
}

}  // namespace

Result<int> hook_notify(Call& call) {
  if (!call.given.empty()) return fail(ErrorCode::usage, "notify takes no options");
  if (call.arguments.size() != 1) return fail(ErrorCode::usage, "notify takes no arguments: perdure hook notify");
  auto news = read_news();
  if (!news) return std::unexpected(news.error());
  const auto program = manager::find_program("notify-send", environment("PATH").value_or(""), "/");
  if (!program) return 0;  // a machine without a desktop
  const std::string urgency = news->severity == "error" ? "critical" : news->severity == "info" ? "low" : "normal";
  return become(*program, {"notify-send", "--app-name=perdure", "--urgency=" + urgency, "--",
                           harmless_line(news->title), without_markup(harmless_text(news->body))});
}

}  // namespace perdure::cli
