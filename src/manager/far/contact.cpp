#include "manager/far/contact.h"

#include "base/clock.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "codec/fields.h"
#include "codec/record.h"
#include "manager/far/mirror.h"
#include "manager/link/program.h"
#include "store/ownership.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace perdure::manager {
namespace {

constexpr std::int64_t kFarewellMs = 5'000;
constexpr std::int64_t kCallMs = 60'000, kStopMs = 60'000;
constexpr std::int64_t kFirstLookMs = 250, kLongestLookMs = 5'000;                      // at the shared folder
constexpr std::int64_t kFirstAskMs = 1'000, kLongestAskMs = 30'000, kQuietFactor = 10;  // Slurm
constexpr std::int64_t kOnceMs = 35'000;
constexpr std::int64_t kFirstPauseMs = 1'000, kLongestPauseMs = 60'000;
constexpr std::size_t kMostFrame = 16 << 20;

// A line that `perdure mirror` prints: a word, an id, numbers.
struct Frame {
  std::string word, id;
  std::int64_t offset = 0, bytes = 0;
};

std::string take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  std::string word(text.substr(0, end));
  text.remove_prefix(std::min(text.size(), end + 1));
  return word;
}

std::int64_t take_number(std::string_view& text) {
  const std::string word = take_word(text);
  std::int64_t number = -1;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

Frame frame_of(std::string_view line) {
  Frame frame;
  frame.word = take_word(line);
  if (!line.empty()) frame.id = take_word(line);
  if (frame.word == "log") frame.offset = take_number(line);
  if (frame.word == "log" || frame.word == "record") frame.bytes = take_number(line);
  return frame;
}

// A record as it is printed there, whatever it is called.
Result<Task> decode_any(std::string_view json) {
  auto members = codec::split_object(json);
  if (!members) return std::unexpected(members.error());
  codec::Fields fields(*members);
  const auto id = fields.text("taskId", codec::Need::required);
  if (!id) return fail(ErrorCode::record_invalid, fields.problem());
  return codec::decode(json, *id);
}

// What is printed of a task that waits there, too: a task of an executor of that host.
struct WaitingThere {
  std::string id;
  std::optional<std::string> state, reason;
};
std::optional<WaitingThere> waiting_in(std::string_view json) {
  auto members = codec::split_object(json);
  if (!members) return std::nullopt;
  codec::Fields fields(*members);
  const auto id = fields.text("taskId", codec::Need::required);
  if (!id || fields.text("status", codec::Need::required) != name_of(Status::queued)) return std::nullopt;
  WaitingThere waiting{.id = *id, .state = {}, .reason = {}};
  const codec::Member* const executor = fields.find("executor");
  const auto inside = executor != nullptr ? codec::split_object(executor->raw) : fail(ErrorCode::record_invalid, "");
  if (!inside) return waiting;
  codec::Fields about(*inside);
  waiting.state = about.text("state", codec::Need::optional);
  waiting.reason = about.text("reason", codec::Need::optional);
  return waiting;
}

Result<Task> note_waiting(const store::Session& session, const TaskId& id, const WaitingThere& waiting) {
  auto sent = far::read_far_task(session, id);
  if (!sent) return fail(ErrorCode::record_invalid, fmt::format("what was sent of {} is not signed", id.str()));
  ExecutorState& executor = *sent->planned.executor;
  if (sent->place != waiting.id || executor.state != waiting.state || executor.reason != waiting.reason) {
    const bool is_new = !sent->place;
    sent->place = executor.place = waiting.id;
    executor.state = waiting.state;
    executor.reason = waiting.reason;
    executor.seen_at = now_ms();
    if (auto written = far::write_far_task(session, *sent); !written) return std::unexpected(written.error());
    if (is_new)
      if (auto told = far::enter(session, id); !told) return std::unexpected(told.error());
  }
  if (auto shown = far::unplaced(session, id)) return std::move(*shown);
  return sent->planned;
}

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto at = text.rfind('\n');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

bool is_readable(int fd, std::int64_t for_ms) {
  pollfd look{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, static_cast<int>(for_ms)) > 0;
}

void check_slurm(const ExecutorDefinition& executor, ExecutorReport& report) {
  report.place = executor.folder;
  const auto version = far::slurm_version();
  const auto settings =
      version ? far::slurm_settings() : Result<std::map<std::string, std::string>>(std::unexpected(version.error()));
  if (!settings) {
    report.problems.push_back(settings.error().message);
    return;
  }
  report.facts.push_back("version: " + *version);
  for (const auto& [key, name] :
       {std::pair{"ClusterName", "cluster"}, std::pair{"KillWait", "time to end (KillWait)"},
        std::pair{"AccountingStorageType", "accounting"}, std::pair{"MinJobAge", "ended jobs are known for"}})
    if (const auto found = settings->find(key); found != settings->end())
      report.facts.push_back(fmt::format("{}: {}", name, found->second));
  const store::Session folder(executor.folder);
  if (auto made = folder.create(); !made) {
    report.problems.push_back(made.error().message);
    return;
  }
  if (auto fine = store::check_owner(folder); !fine) report.problems.push_back(fine.error().message);
  report.is_usable = report.problems.empty();
}

}  // namespace

Error error_there(const far::Answer& answer, const std::string& place) {
  Error error{.code = ErrorCode::task_launch_failed, .message = {}};
  std::string_view text = answer.output;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto whole = codec::split_object(text);
  const codec::Member* inside = nullptr;
  if (whole) inside = codec::Fields(*whole).find("error");
  const auto members = inside != nullptr ? codec::split_object(inside->raw) : fail(ErrorCode::record_invalid, "");
  if (members) {
    codec::Fields fields(*members);
    const auto code = fields.text("code", codec::Need::optional).value_or("");
    for (int i = 0; i <= static_cast<int>(ErrorCode::usage); ++i)
      if (name_of(static_cast<ErrorCode>(i)) == code) error.code = static_cast<ErrorCode>(i);
    error.message = fmt::format("{}: {}", place, fields.text("message", codec::Need::optional).value_or(""));
    if (const codec::Member* const details = fields.find("details"))
      if (const auto pairs = codec::split_object(details->raw))
        for (const auto& pair : *pairs)
          if (pair.type == codec::JsonType::string) error.details[std::string(pair.key)] = codec::string_of(pair);
    return error;
  }
  const std::string why = last_line(answer.errors.empty() ? answer.output : answer.errors);
  error.message = fmt::format("{}: perdure ended with {} there: {}", place, answer.exit_status, why);
  return error;
}

FarContact::FarContact(const store::Session& session, Executors executors, std::string runner, Telemetry& telemetry)
    : session_(session),
      executors_(std::move(executors)),
      runner_(std::move(runner)),
      telemetry_(telemetry),
      cancel_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

FarContact::~FarContact() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(cancel_.get(), &one, sizeof one));
  for (auto& [name, following] : followed_)
    if (following.thread.joinable()) following.thread.join();
  // What was written is on its way; whoever wrote it may leave at once.
  for (auto& [id, channel] : inputs_) {
    channel.limit(steady_ms() + kFarewellMs);
    static_cast<void>(channel.rest());
  }
}

Result<const ExecutorDefinition*> FarContact::find(const std::string& name) const {
  const auto found = executors_ ? executors_->find(name) : decltype(executors_->find(name))();
  if (!executors_ || found == executors_->end())
    return fail(
        ErrorCode::usage,
        fmt::format("no executor '{}' is configured: see `perdure executors` and docs/guide/elsewhere.md", name));
  const ExecutorDefinition& executor = found->second;
  if (!executor.untrusted.empty())
    return fail(ErrorCode::config_invalid,
                fmt::format("the executor '{}' stands in {}, which is not trusted: move it to your own configuration",
                            name, executor.untrusted));
  return &executor;
}

Result<far::Host> FarContact::host_of(const ExecutorDefinition& executor) const {
  if (executor.type != ExecutorDefinition::Type::ssh)
    return fail(ErrorCode::usage, fmt::format("the executor '{}' is not reached by a shell", executor.name));
  if (!executor.install) return far::Host(executor, std::nullopt);
  auto own = programs();
  if (!own) return std::unexpected(own.error());
  return far::Host(executor, std::move(*own));
}

Result<far::Programs> FarContact::programs() const {
  auto runner = find_runner(runner_);
  if (!runner) return std::unexpected(runner.error());
  return far::find_programs(*runner);
}

Result<far::KnownHost> FarContact::meet(const ExecutorDefinition& executor) const {
  if (auto known = far::known_host(session_, executor.name)) return *known;
  auto host = host_of(executor);
  if (!host) return std::unexpected(host.error());
  auto met = host->introduce({.until = steady_ms() + kCallMs, .cancel_fd = cancel_.get()});
  if (!met) return std::unexpected(met.error());
  if (met->ends_at_logout && !met->lingers)
    return fail(ErrorCode::task_launch_failed,
                fmt::format("{} ends all processes of a login when it ends (KillUserProcesses of logind): run "
                            "`loginctl enable-linger` there once",
                            far::place_of(executor)));
  const far::KnownHost known{.machine = met->from.machine_id, .in_scope = met->ends_at_logout};
  if (auto noted = far::note_host(session_, executor.name, known); !noted) return std::unexpected(noted.error());
  return known;
}

Result<Task> FarContact::place(const far::FarTask& task, const std::string& machine, std::int64_t until) const {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  auto answer = host->call(task.words, machine, {.until = until, .cancel_fd = cancel_.get()}, task.in_scope);
  if (!answer) return std::unexpected(answer.error());
  if (answer->exit_status != 0) {
    Error error = error_there(*answer, far::place_of(**executor));
    // ssh itself ends with 255 where the connection went after the start: what was answered is all that counts.
    if (answer->exit_status == 255 && answer->output.empty()) return far::far_failure(far::kUnreachable, error.message);
    error.details["refused"] = "true";
    return std::unexpected(std::move(error));
  }
  if (const auto waiting = waiting_in(last_line(answer->output)))
    return note_waiting(session_, task.planned.id, *waiting);
  auto there = decode_any(last_line(answer->output));
  if (!there)
    return far::far_failure(far::kUnreachable, fmt::format("an answer of {} is not understood: {}",
                                                           far::place_of(**executor), there.error().message));
  return take_over(session_, telemetry_, task.planned.id, *there, answer->from);
}

std::optional<Cluster> FarContact::cluster_of(const std::string& executor) const {
  auto known = find(executor);
  if (!known || (*known)->type != ExecutorDefinition::Type::slurm) return std::nullopt;
  return Cluster(session_, **known, telemetry_);
}

Result<Task> FarContact::submit(const far::FarTask& task) const {
  const TaskId& id = task.planned.id;
  if (const auto cluster = cluster_of(task.executor())) {
    auto submitted = cluster->submit(task);
    // It may be there all the same: whoever asks next finds it by its token, or submits it.
    if (!submitted && far::is_far_failure(submitted.error(), far::kUnreachable))
      if (auto waiting = far::unplaced(session_, id)) return std::move(*waiting);
    return submitted;
  }
  const std::int64_t until = steady_ms() + kCallMs;
  auto placed = place(task, {}, until);
  // The key makes it harmless to say it again.
  if (!placed && far::is_far_failure(placed.error(), far::kUnreachable)) placed = place(task, {}, until);
  if (placed) return placed;
  const bool may_run =
      far::is_far_failure(placed.error(), far::kUnreachable) && placed.error().message.contains(" is cut off");
  if (may_run) {
    if (auto waiting = far::unplaced(session_, id)) return std::move(*waiting);
  }
  return placed;
}

std::vector<far::FarTask> FarContact::tasks_of(const std::string& executor) const {
  std::vector<far::FarTask> tasks;
  const auto ids = far::entries(session_);
  if (!ids) return tasks;
  for (const auto& id : *ids) {
    auto record = store::find_record(session_, id);
    if (!record) continue;
    if (*record && is_terminal((*record)->status)) {
      static_cast<void>(far::remove_entry(session_, id));  // its writer was killed in between
      continue;
    }
    auto task = far::read_far_task(session_, id);
    if (task && (executor.empty() || task->executor() == executor)) tasks.push_back(std::move(*task));
  }
  return tasks;
}

// Does the place know a task of that key? Then it is taken over.
Result<bool> FarContact::find_by_key(const far::FarTask& task) const {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  const std::vector<std::string> words{"mirror", "--once"};
  far::Welcome from;
  auto channel = host->open(words, {}, {.until = steady_ms() + kCallMs, .cancel_fd = cancel_.get()}, &from);
  if (!channel) return std::unexpected(channel.error());
  if (auto sent = channel->send(fmt::format("key {}\n", task.key)); !sent) return std::unexpected(sent.error());
  channel->end_input();
  auto line = channel->line();
  if (!line) return std::unexpected(line.error());
  const Frame frame = frame_of(*line);
  if (frame.word == "unknown" || frame.word == "nosession") return false;
  if (frame.word != "record" || frame.bytes < 0 || static_cast<std::size_t>(frame.bytes) > kMostFrame)
    return far::far_failure(far::kUnreachable,
                            fmt::format("an answer of {} is not understood: {}", far::place_of(**executor), *line));
  auto bytes = channel->bytes(static_cast<std::size_t>(frame.bytes));
  if (!bytes) return std::unexpected(bytes.error());
  if (const auto waiting = waiting_in(*bytes)) {
    if (auto noted = note_waiting(session_, task.planned.id, *waiting); !noted) return std::unexpected(noted.error());
    return true;
  }
  auto there = decode_any(*bytes);
  if (!there) return std::unexpected(there.error());
  auto taken = take_over(session_, telemetry_, task.planned.id, *there, from);
  if (!taken) return std::unexpected(taken.error());
  return true;
}

// Whoever submits it holds its entry until it is placed. A free one: that process was killed.
Result<> FarContact::settle_unplaced(const far::FarTask& task) const {
  const TaskId& id = task.planned.id;
  auto right = far::take_entry(session_, id);
  if (!right) return std::unexpected(right.error());
  if (!*right) return {};
  const auto again = far::read_far_task(session_, id);
  if (!again || again->place) return {};
  if (again->stop) {
    auto is_known = find_by_key(*again);
    if (!is_known) return std::unexpected(is_known.error());
    if (*is_known) return {};
    auto ended = end_without_record(session_, telemetry_, id,
                                    {.status = Status::killed, .evidence = {}, .reason = again->stop->reason});
    if (!ended) return std::unexpected(ended.error());
    return {};
  }
  auto placed = place(*again, again->machine, steady_ms() + kCallMs);
  if (placed) return {};
  FarEnd end;
  if (far::is_far_failure(placed.error(), far::kReplaced)) {
    end = {.status = Status::lost, .evidence = Evidence::engine_gone, .reason = placed.error().message};
  } else if (placed.error().details.contains("refused")) {
    end = {.status = Status::failed, .evidence = {}, .reason = "not submitted: " + placed.error().message};
  } else {
    return std::unexpected(placed.error());
  }
  auto ended = end_without_record(session_, telemetry_, id, end);
  if (!ended) return std::unexpected(ended.error());
  return {};
}

// One conversation with `perdure mirror` there. Ends without an error when none of its tasks is left to hear of.
Result<> FarContact::hear(const ExecutorDefinition& executor, Mode mode) {
  auto host = host_of(executor);
  if (!host) return std::unexpected(host.error());
  std::map<std::string, far::FarTask> watched;  // by their ids there
  std::set<TaskId> known;
  const Fd news(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (news && mode == Mode::held)
    ::inotify_add_watch(news.get(), far::entries_path(session_).c_str(), IN_CREATE | IN_CLOSE_WRITE | IN_ONLYDIR);

  for (const auto& task : tasks_of(executor.name)) {
    if (!task.place)
      if (auto settled = settle_unplaced(task); !settled) return settled;
    if (task.place && task.stop)
      if (auto asked = ask_to_stop(task); !asked) return asked;
  }

  const std::vector<std::string> words =
      mode == Mode::once ? std::vector<std::string>{"mirror", "--once"} : std::vector<std::string>{"mirror"};
  std::optional<far::Channel> channel;
  far::Welcome from;
  const auto watch_new = [&]() -> Result<> {
    for (auto& task : tasks_of(executor.name)) {
      if (!task.place || !known.insert(task.planned.id).second) continue;
      if (!channel) {
        auto opened = host->open(words, {},
                                 {.until = mode == Mode::once ? steady_ms() + kCallMs : -1,
                                  .cancel_fd = cancel_.get(),
                                  .may_be_master = mode == Mode::held},
                                 &from);
        if (!opened) return std::unexpected(opened.error());
        channel.emplace(std::move(*opened));
      }
      const auto line = fmt::format("watch {} {}\n", *task.place, mirrored_bytes(session_, task.planned.id));
      if (auto sent = channel->send(line); !sent) return sent;
      watched.emplace(*task.place, std::move(task));
    }
    return {};
  };
  const auto gone = [&](const far::FarTask& task, std::string why) -> Result<> {
    auto ended =
        end_without_record(session_, telemetry_, task.planned.id,
                           {.status = Status::lost, .evidence = Evidence::engine_gone, .reason = std::move(why)});
    if (!ended) return std::unexpected(ended.error());
    return {};
  };
  const auto handle = [&](const Frame& frame) -> Result<bool> {
    if (frame.bytes < 0 || static_cast<std::size_t>(frame.bytes) > kMostFrame)
      return far::far_failure(far::kUnreachable,
                              fmt::format("{} sends what is not understood", far::place_of(executor)));
    const auto found = watched.find(frame.id);
    if (frame.word == "end") return false;
    if (frame.word == "record" || frame.word == "log") {
      auto bytes = channel->bytes(static_cast<std::size_t>(frame.bytes));
      if (!bytes) return std::unexpected(bytes.error());
      if (found == watched.end()) return true;
      const TaskId id = found->second.planned.id;
      if (frame.word == "log") {
        if (auto added = add_output(session_, id, frame.offset, *bytes); !added) return std::unexpected(added.error());
        return true;
      }
      if (const auto waiting = waiting_in(*bytes)) {
        if (auto noted = note_waiting(session_, id, *waiting); !noted) return std::unexpected(noted.error());
        return true;
      }
      auto there = decode_any(*bytes);
      if (!there) return std::unexpected(there.error());
      auto taken = take_over(session_, telemetry_, id, *there, from);
      if (!taken) return std::unexpected(taken.error());
      if (is_terminal(taken->status)) watched.erase(found);
    } else if (frame.word == "unverified" && found != watched.end()) {
      {
        const std::scoped_lock lock(mutex_);
        out_of_reach_.insert(found->second.planned.id.str());
      }
      auto noted = note_silence(session_, found->second.planned.id,
                                fmt::format("{} can't tell what became of it", far::place_of(executor)));
      if (!noted) return std::unexpected(noted.error());
      watched.erase(found);
    } else if (frame.word == "unknown" && found != watched.end()) {
      const auto& machine = found->second.machine;
      const bool other = !machine.empty() && machine != from.machine_id;
      auto ended = gone(found->second,
                        other ? fmt::format("{} is another machine now ({} instead of {}) and does not know the task",
                                            far::place_of(executor), from.machine_id, machine)
                              : fmt::format("{} does not know the task any more", far::place_of(executor)));
      if (!ended) return std::unexpected(ended.error());
      watched.erase(found);
    } else if (frame.word == "nosession") {
      // A home folder that is not mounted looks like this, too. Only another machine is proof.
      for (const auto& [place, task] : watched)
        if (task.machine.empty() || task.machine == from.machine_id)
          return far::far_failure(far::kUnreachable, fmt::format("the folder {} is not there on {}", executor.session,
                                                                 far::place_of(executor)));
      for (const auto& [place, task] : watched)
        if (auto ended = gone(task, fmt::format("{} is another machine now: {} instead of {}", far::place_of(executor),
                                                from.machine_id, task.machine));
            !ended)
          return std::unexpected(ended.error());
      return false;
    }
    return true;
  };

  if (auto begun = watch_new(); !begun) return begun;
  if (channel && mode == Mode::once) channel->end_input();
  while (channel && (mode == Mode::once || !watched.empty())) {
    if (!channel->has_more()) {
      std::array<pollfd, 3> fds = {{{.fd = channel->output_fd(), .events = POLLIN, .revents = 0},
                                    {.fd = mode == Mode::held ? news.get() : -1, .events = POLLIN, .revents = 0},
                                    {.fd = cancel_.get(), .events = POLLIN, .revents = 0}}};
      if (::poll(fds.data(), fds.size(), mode == Mode::once ? static_cast<int>(kCallMs) : -1) < 0 && errno != EINTR)
        return fail_errno("waiting for", far::place_of(executor));
      if (fds[2].revents != 0) return {};
      if (fds[1].revents != 0) {
        alignas(inotify_event) std::array<char, 4096> buffer{};
        while (::read(news.get(), buffer.data(), buffer.size()) > 0) {
        }
        if (auto begun = watch_new(); !begun) return begun;
      }
      if (fds[0].revents == 0) continue;
    }
    auto line = channel->line();
    if (!line) return std::unexpected(line.error());
    auto more = handle(frame_of(*line));
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
  }
  return {};
}

Result<> FarContact::ask_to_stop(const far::FarTask& task) const {
  const std::int64_t grace = std::max<std::int64_t>(task.stop->grace_ms, 0);
  std::vector<std::string> words{"stop", *task.place, "--json", "--reason=" + task.stop->reason};
  if (task.stop->grace_ms >= 0) words.push_back(fmt::format("--grace={}ms", task.stop->grace_ms));
  auto answer = call(task, words, steady_ms() + grace + kStopMs);
  if (!answer) return std::unexpected(answer.error());
  if (answer->exit_status == 255 && answer->output.empty())
    return far::far_failure(far::kUnreachable, last_line(answer->errors));
  return {};  // what came of it is in the record there
}

// One query at a time, whichever process makes it: the others see what it wrote down.
Result<> FarContact::ask_in_turn(const ExecutorDefinition& executor, Cluster& cluster, bool& unsure) const {
  const std::string path = fmt::format("{}/.ask-{}", far::entries_path(session_), executor.name);
  auto turn = open_at(AT_FDCWD, path, O_RDWR | O_CREAT, path);
  if (!turn) return std::unexpected(turn.error());
  auto taken = try_lock(turn->get(), path);
  if (!taken) return std::unexpected(taken.error());
  unsure = !*taken;
  if (!*taken) return {};
  auto again = cluster.ask(tasks_of(executor.name));
  if (!again) return std::unexpected(again.error());
  unsure = *again;
  return {};
}

// As hear(), for a cluster: the shared folder is looked at, and Slurm asked rarely. Ends when no task is left, or, once,
// when what there is to know is known.
Result<> FarContact::hear_cluster(const ExecutorDefinition& executor, Mode mode) {
  Cluster cluster(session_, executor, telemetry_);
  std::set<TaskId> asked_to_stop;
  std::int64_t pause = kFirstLookMs;
  std::int64_t ask_pause = kFirstAskMs;
  std::int64_t next_ask = 0;
  const std::int64_t until = steady_ms() + kOnceMs;
  bool unsure = false;
  while (true) {
    const auto tasks = tasks_of(executor.name);
    if (tasks.empty()) return {};
    bool is_stopping = false;
    std::int64_t room =
        executor.max_submitted - std::ranges::count_if(tasks, [](const far::FarTask& task) { return !task.is_parked; });
    for (const auto& task : tasks) {
      if (task.is_parked && !task.stop && room-- <= 0) continue;
      if (!task.place)
        if (auto settled = cluster.settle_unplaced(task); !settled) return settled;
      is_stopping |= task.stop.has_value();
      if (task.place && task.stop && asked_to_stop.insert(task.planned.id).second)
        if (auto asked = cluster.stop(task); !asked) return asked;
    }
    auto changed = cluster.look(tasks);
    if (!changed) return std::unexpected(changed.error());
    if (steady_ms() >= next_ask) {
      const std::int64_t began = steady_ms();
      if (auto asked = ask_in_turn(executor, cluster, unsure); !asked) return asked;
      const std::int64_t took = steady_ms() - began;
      ask_pause = std::min(std::max(ask_pause * 2, took * kQuietFactor), kLongestAskMs);
      next_ask = steady_ms() + (unsure || is_stopping ? kFirstAskMs : ask_pause);
    }
    if (mode == Mode::once && ((!unsure && !is_stopping) || steady_ms() >= until)) return {};
    pause = *changed || is_stopping ? kFirstLookMs : std::min(kLongestLookMs, pause * 3 / 2);
    if (is_readable(cancel_.get(), pause)) return {};
  }
}

void FarContact::note_silence_of(const std::string& executor, const std::string& why) const {
  for (const auto& task : tasks_of(executor)) static_cast<void>(note_silence(session_, task.planned.id, why));
}

void FarContact::follow_one(const ExecutorDefinition& executor) {
  std::int64_t pause = kFirstPauseMs;
  while (!is_readable(cancel_.get(), 0)) {
    {
      // Looked at under the lock, so that follow() either sees that this is over or this sees its task.
      const std::scoped_lock lock(mutex_);
      const auto tasks = tasks_of(executor.name);
      if (std::ranges::all_of(
              tasks, [&](const far::FarTask& task) { return out_of_reach_.contains(task.planned.id.str()); })) {
        followed_[executor.name].is_over = true;
        return;
      }
    }
    auto heard = executor.type == ExecutorDefinition::Type::slurm ? hear_cluster(executor, Mode::held)
                                                                  : hear(executor, Mode::held);
    if (is_readable(cancel_.get(), 0)) break;
    if (heard) {
      pause = kFirstPauseMs;
      // Only tasks that another process is just placing may be left: it says when it has.
      if (is_readable(cancel_.get(), 100)) break;
      continue;
    }
    if (!far::is_far_failure(heard.error(), far::kUnreachable)) {
      {
        const std::scoped_lock lock(mutex_);
        out_of_reach_.insert(executor.name);
        followed_[executor.name].is_over = true;
      }
      note_silence_of(executor.name, heard.error().message);
      return;
    }
    note_silence_of(executor.name, heard.error().message);
    if (is_readable(cancel_.get(), pause)) break;
    pause = std::min(kLongestPauseMs, pause * 2);
  }
}

void FarContact::follow() {
  // Called at each wait: where no task came or went since the last look, all that can be done is done.
  struct stat about{};
  if (::stat(far::entries_path(session_).c_str(), &about) != 0) return;
  const std::int64_t changed = about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec;
  {
    const std::scoped_lock lock(mutex_);
    const bool all_follow = std::ranges::none_of(followed_, [](const auto& one) { return one.second.is_over; });
    if (changed == looked_at_ && all_follow) return;
    looked_at_ = changed;
  }
  std::set<std::string> names;
  for (const auto& task : tasks_of({})) names.insert(task.executor());
  const std::scoped_lock lock(mutex_);
  for (const auto& name : names) {
    auto executor = find(name);
    if (!executor) {
      out_of_reach_.insert(name);
      continue;
    }
    Following& following = followed_[name];
    if (following.thread.joinable() && !following.is_over) continue;
    if (following.thread.joinable()) following.thread.join();
    following.is_over = false;
    out_of_reach_.erase(name);
    following.thread = std::jthread([this, definition = *executor] { follow_one(*definition); });
  }
}

bool FarContact::is_out_of_reach(const Task& task) {
  const std::scoped_lock lock(mutex_);
  return out_of_reach_.contains(task.id.str()) || (task.executor && out_of_reach_.contains(task.executor->name));
}

void FarContact::refresh(const std::string& only) {
  std::set<std::string> names;
  for (const auto& task : tasks_of(only)) names.insert(task.executor());
  for (const auto& name : names) {
    auto executor = find(name);
    if (!executor) {
      note_silence_of(name, executor.error().message);
      continue;
    }
    auto heard = (*executor)->type == ExecutorDefinition::Type::slurm ? hear_cluster(**executor, Mode::once)
                                                                      : hear(**executor, Mode::once);
    if (!heard) note_silence_of(name, heard.error().message);
  }
}

Result<far::Answer> FarContact::call(const far::FarTask& task, const std::vector<std::string>& words,
                                     std::int64_t until) const {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  if (const auto cluster = cluster_of(task.executor())) {
    auto step = cluster->call(task, words, std::max<std::int64_t>(1, until - steady_ms()));
    if (!step) return std::unexpected(step.error());
    return far::Answer{.from = {}, .exit_status = step->exit_status, .output = step->output, .errors = step->errors};
  }
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  return host->call(words, {}, {.until = until, .cancel_fd = cancel_.get()});
}

Result<int> FarContact::open_input(const far::FarTask& task) {
  auto executor = find(task.executor());
  if (!executor) return std::unexpected(executor.error());
  auto host = host_of(**executor);
  if (!host) return std::unexpected(host.error());
  const std::vector<std::string> words{"write", *task.place, "--json"};
  auto channel = host->open(words, {}, {.until = steady_ms() + kCallMs});
  if (!channel) return std::unexpected(channel.error());
  Fd input = channel->take_input();
  const std::scoped_lock lock(mutex_);
  inputs_.emplace(task.planned.id, std::move(*channel));
  return input.release();
}

Result<> FarContact::end_inputs(const TaskId& id) {
  std::vector<far::Channel> channels;
  {
    const std::scoped_lock lock(mutex_);
    const auto [first, last] = inputs_.equal_range(id);
    for (auto at = first; at != last; ++at) channels.push_back(std::move(at->second));
    inputs_.erase(first, last);
  }
  Result<> all;
  for (auto& channel : channels) {
    channel.limit(steady_ms() + kCallMs);
    far::Answer answer;
    auto output = channel.rest();
    auto status = output ? channel.finish() : Result<int>(std::unexpected(output.error()));
    if (!status) {
      all = std::unexpected(status.error());
      continue;
    }
    answer.exit_status = *status;
    answer.output = std::move(*output);
    answer.errors = channel.error_text();
    if (*status != 0) all = std::unexpected(error_there(answer, id.str()));
  }
  return all;
}

Result<ExecutorReport> FarContact::check(const std::string& name) const {
  auto executor = find(name);
  if (!executor) return std::unexpected(executor.error());
  ExecutorReport report{.name = name,
                        .type = std::string(name_of((*executor)->type)),
                        .place = far::place_of(**executor),
                        .facts = {},
                        .problems = {}};
  const auto problem = [&](const Error& error) {
    report.problems.push_back(error.message);
    return report;
  };
  if ((*executor)->type == ExecutorDefinition::Type::slurm) {
    check_slurm(**executor, report);
    return report;
  }
  auto host = host_of(**executor);
  if (!host) return problem(host.error());
  const far::ChannelOptions options{.until = steady_ms() + kCallMs, .cancel_fd = cancel_.get()};
  const std::int64_t began = steady_ms();
  auto met = host->introduce(options);
  if (!met) return problem(met.error());
  report.facts.push_back(fmt::format("reached: in {} ms", steady_ms() - began));
  report.facts.push_back(fmt::format("host: {} ({})", met->from.node, met->architecture));
  report.facts.push_back(fmt::format("machine: {}", met->from.machine_id));
  if (met->ends_at_logout && !met->lingers)
    report.problems.push_back("logind there ends what a login started: run `loginctl enable-linger` there once");
  if (met->ends_at_logout && met->lingers)
    report.facts.emplace_back("logout: tasks get a scope of their own, so that they outlive the login");
  const std::vector<std::string> words{"version"};
  auto answer = host->call(words, {}, options);
  if (!answer) return problem(answer.error());
  if (answer->exit_status != 0) return problem(error_there(*answer, report.place));
  report.facts.push_back(fmt::format("perdure: {}", last_line(answer->output)));
  report.is_usable = report.problems.empty();
  return report;
}

}  // namespace perdure::manager
