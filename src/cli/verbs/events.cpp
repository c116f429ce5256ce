#include "base/clock.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/verbs/verbs.h"
#include <perdure/event_log.h>

#include <poll.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace perdure::cli {
namespace {

constexpr Option kEventsOptions[] = {
    {"--follow", nullptr, "go on with what happens from now"},
    {"--since", "SEQ", "only what came after this number (with --follow and without: only what is new)"},
};

std::string_view name_of_event(EventType type) {
  switch (type) {
    case EventType::started: return "task.started";
    case EventType::updated: return "task.updated";
    case EventType::terminated: return "task.terminated";
  }
  return "";
}

std::string line_of(const Event& event) {
  JsonObject json;
  json.add("type", name_of_event(event.type))
      .add("time", ms_of(event.time))
      .add("seq", event.seq)
      .add("info", RawJson{task_json(event.task)});
  if (event.type == EventType::terminated) json.add("outputTail", event.output_tail);
  return json.str() + "\n";
}

void print(const std::vector<Event>& events) {
  std::string text;
  for (const auto& event : events) text += line_of(event);
  if (!text.empty()) put(text);
}

// In pieces: a session may tell of some hundred thousand.
Result<> print_past(const TaskManager& manager, std::int64_t since) {
  constexpr std::size_t kPiece = 64 << 10;
  TRY(const auto log, EventLog::of(manager, since));
  std::string text;
  for (std::size_t i = 0; i < log.size(); ++i) {
    const auto event = log.event(i);
    if (event && *event) text += line_of(**event);
    if (text.size() < kPiece && event) continue;
    if (!text.empty()) put(text);
    text.clear();
    if (!event) return std::unexpected(event.error());
  }
  if (!text.empty()) put(text);
  return {};
}

Result<int> follow(TaskManager& manager, int event_fd) {
  const Interrupts interrupts;
  while (true) {
    pollfd fds[] = {{.fd = event_fd, .events = POLLIN}, {.fd = interrupts.fd(), .events = POLLIN}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return fail_errno("waiting for events in", manager.session());
    if (fds[1].revents != 0) return kInterrupted;
    auto events = manager.events().read();
    if (!events) return std::unexpected(events.error());
    print(*events);
  }
}

Result<int> run_events(Call& call) {
  auto since = call.integer("--since", 0, INT64_MAX);
  if (!since) return std::unexpected(since.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  const bool follows = call.has("--follow");
  int event_fd = -1;
  if (follows) {
    // Watched before the past is read, so that no event is missed. An event seen twice has the same number.
    auto fd = (*manager)->events().fd();
    if (!fd) return std::unexpected(fd.error());
    event_fd = *fd;
  }
  if (*since || !follows) {
    TRY_VOID(print_past(**manager, since->value_or(0)));
  }
  return follows ? follow(**manager, event_fd) : Result<int>(0);
}

}  // namespace

const Verb kEventsVerb{"events", "", "what happened to tasks, as JSON lines", kEventsOptions, run_events};

}  // namespace perdure::cli
