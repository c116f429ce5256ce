#include "base/clock.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/verbs/verbs.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>

// notifications, notifications ack: undelivered notifications.
namespace perdure::cli {
namespace {

using std::chrono::milliseconds;

constexpr int kTimedOut = 75;
constexpr std::string_view kVia = "cli";
constexpr std::size_t kKeptFree = 64;  // descriptors, besides one for each claim
constexpr std::array<std::string_view, 3> kFormats = {"text", "json", "xml"};

constexpr Option kNotificationsOptions[] = {
    {"--format", "F", "text, json or xml (default: text, or json with --json)"},
    {"--owner", "O", "only of this owner's tasks"},
    {"--claim", nullptr, "only unclaimed notifications, and claim them for the time of --lease"},
    {"--lease", "D", "how long the claim stands; 60s"},
    {"--ack", nullptr, "claim them, and acknowledge them once they are written"},
    {"--wait", nullptr, "block until there is something"},
    {"--timeout", "D", "with --wait: give up after that long, with exit status 75"},
};

Result<int> acknowledge(Call& call) {
  const std::vector<std::string> ids(call.arguments.begin() + 1, call.arguments.end());
  if (ids.empty())
    return fail(ErrorCode::task_id_empty, "no id: name the notifications, or their tasks, to acknowledge");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (auto done = (*manager)->notifications().acknowledge(ids, kVia); !done) return std::unexpected(done.error());
  if (call.json) {
    put_line(JsonObject().add("acknowledged", JsonArray(ids).json()).str());
  }
  return 0;
}

void print(const std::vector<Notification>& news, std::string_view format) {
  std::string text;
  for (const auto& one : news) {
    if (format == "json") text += (text.empty() ? "" : ",") + notification_json(one);
    if (format == "xml") text += notification_xml(one) + "\n";
    if (format == "text") text += notification_text(one);
  }
  if (format == "json") text = "[" + text + "]\n";
  if (!text.empty()) put(text);
}

std::size_t claims_at_once() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return ClaimOptions{}.most;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return std::max<std::size_t>(limit.rlim_cur, 2 * kKeptFree) - kKeptFree;
}

struct Wanted {
  std::optional<std::string> owner;
  bool claims = false, acknowledges = false, waits = false;
  milliseconds lease{60'000};
  std::optional<milliseconds> timeout;
};

Result<std::vector<Notification>> take(TaskManager& manager, const Wanted& wanted) {
  if (!wanted.claims && !wanted.acknowledges) return manager.notifications().pending(wanted.owner);
  ClaimOptions options{.owner = wanted.owner};
  if (wanted.acknowledges) {
    options.most = claims_at_once();
  } else {  // this process exits, so the claim needs a lease
    options.lease = wanted.lease;
    options.most = SIZE_MAX;
  }
  return manager.notifications().claim(options);
}

// Blocks until there is a notification, if requested. `status` is the exit status if there is none.
Result<std::vector<Notification>> take_or_wait(TaskManager& manager, const Wanted& wanted, int& status) {
  std::optional<Interrupts> interrupts;
  if (wanted.waits) interrupts.emplace();
  const auto until = wanted.timeout ? std::optional(steady_ms() + wanted.timeout->count()) : std::nullopt;
  while (true) {
    auto news = take(manager, wanted);
    if (!news || !news->empty() || !wanted.waits) return news;
    const bool only_looks = !wanted.claims && !wanted.acknowledges;
    AwaitOptions options{
        .owner = wanted.owner, .cancel = Cancellation::when_readable(interrupts->fd()), .recovers = !only_looks};
    if (until) options.timeout = milliseconds(std::max<std::int64_t>(0, *until - steady_ms()));
    auto came = manager.notifications().await(options);
    if (!came) return std::unexpected(came.error());
    if (*came && only_looks) {
      news = take(manager, wanted);
      if (news && news->empty())
        note(
            "perdure: the runner of a task was killed: `perdure list` shows it, `perdure reconcile` writes down how it "
            "ended");
      return news;
    }
    if (*came) continue;  // unless another process claims it first
    status = interrupts->came() ? kInterrupted : kTimedOut;
    return news;
  }
}

Result<int> run_notifications(Call& call) {
  if (!call.arguments.empty() && call.arguments.front() == "ack") return acknowledge(call);
  if (!call.arguments.empty())
    return fail(ErrorCode::usage,
                "notifications takes no arguments: to acknowledge some say `perdure notifications ack ID...`");
  auto format = call.word("--format", kFormats);
  auto lease = call.duration("--lease");
  auto timeout = call.duration("--timeout");
  if (!format) return std::unexpected(format.error());
  if (!lease) return std::unexpected(lease.error());
  if (!timeout) return std::unexpected(timeout.error());
  Wanted wanted{.owner = call.value("--owner"), .claims = call.has("--claim"), .acknowledges = call.has("--ack")};
  wanted.waits = call.has("--wait");
  wanted.timeout = *timeout;
  if (*lease && (!wanted.claims || wanted.acknowledges))
    return fail(ErrorCode::usage, "--lease: goes with --claim, and not with --ack, which needs none");
  if (*timeout && !wanted.waits) return fail(ErrorCode::usage, "--timeout: goes with --wait");
  if (*lease) wanted.lease = **lease;
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());

  int status = 0;
  auto news = take_or_wait(**manager, wanted, status);
  if (!news) return std::unexpected(news.error());
  const std::string shown_as = format->value_or(call.json ? "json" : "text");
  print(*news, shown_as);
  if (news->empty() && shown_as == "text" && status == 0) note("no notifications");
  if (wanted.acknowledges) {
    std::vector<std::string> ids;
    for (const auto& one : *news) ids.push_back(one.id);
    if (auto done = (*manager)->notifications().acknowledge(ids, kVia); !done) return std::unexpected(done.error());
  }
  return status;
}

}  // namespace

const Verb kNotificationsVerb{
    "notifications",       "[ack ID...]",     "undelivered task notifications; ack: they were delivered",
    kNotificationsOptions, run_notifications, true};

}  // namespace perdure::cli
