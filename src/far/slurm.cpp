#include "far/slurm.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/try.h"
#include "far/channel.h"
#include "far/child.h"

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>

namespace perdure::far {
namespace {

constexpr std::int64_t kFolderMs = 10'000;
constexpr std::int64_t kLimitMs = 30'000;  // commands report an unreachable controller after 9 s, a hung one after 10 s

struct Run {
  int exit_status = -1;
  std::string output, errors;
};

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == '\n' || text.front() == ' ')) text.remove_prefix(1);
  return std::string(text);
}

// SBATCH_*, SLURM_* and SQUEUE_FORMAT of the caller would change what these programs do and print.
std::vector<std::string> small_environment() {
  std::vector<std::string> variables;
  for (const char* const name : {"PATH", "HOME", "USER", "LOGNAME", "SLURM_CONF"})
    if (const char* const value = std::getenv(name); value != nullptr)  // NOLINT(concurrency-mt-unsafe)
      variables.push_back(fmt::format("{}={}", name, value));
  return variables;
}

Result<Run> run(const std::vector<std::string>& words, std::int64_t limit_ms = kLimitMs, int cancel_fd = -1) {
  auto child = Child::spawn(words, small_environment());
  if (!child) return far_failure(kUnreachable, child.error().message);
  const std::int64_t until = steady_ms() + limit_ms;
  Run done;
  std::array<bool, 2> open = {true, true};
  child->close_input();
  while (open[0] || open[1]) {
    std::array<pollfd, 3> fds = {{{.fd = open[0] ? child->output() : -1, .events = POLLIN, .revents = 0},
                                  {.fd = open[1] ? child->errors() : -1, .events = POLLIN, .revents = 0},
                                  {.fd = cancel_fd, .events = POLLIN, .revents = 0}}};
    const std::int64_t left = std::clamp<std::int64_t>(until - steady_ms(), 0, INT32_MAX);
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || fds[2].revents != 0) return far_failure(kUnreachable, fmt::format("{} does not end", words.front()));
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
      if (fds[i].revents == 0) continue;
      std::array<char, 65'536> part{};
      const ssize_t got = ::read(fds[i].fd, part.data(), part.size());
      if (got > 0) (i == 0 ? done.output : done.errors).append(part.data(), static_cast<std::size_t>(got));
      if (got == 0 || (got < 0 && errno != EINTR)) open[i] = false;
    }
  }
  const auto ended = child->wait(until, cancel_fd);
  if (!ended) return far_failure(kUnreachable, fmt::format("{} does not end", words.front()));
  done.exit_status = ended->exit_code;
  return done;
}

std::unexpected<Error> silent(const std::string& program, const Run& done) {
  return far_failure(kUnreachable, fmt::format("{}: {}", program, trimmed(done.errors)));
}

// Did the controller refuse, or is it unreachable? Only known messages count as a refusal.
bool speaks_of_silence(std::string_view errors) {
  constexpr std::array<std::string_view, 9> kWords = {"Unable to contact slurm controller",
                                                      "Socket timed out",
                                                      "Connection refused",
                                                      "Connection timed out",
                                                      "Protocol authentication error",
                                                      "Munge",
                                                      "Zero Bytes were transmitted",
                                                      "Unexpected message received",
                                                      "communication"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return errors.contains(word); });
}

}  // namespace

Result<std::string> submit_job(const JobRequest& request) {
  std::vector<std::string> words{"sbatch"};
  words.insert(words.end(), request.options.begin(), request.options.end());
  words.insert(words.end(),
               {"--parsable", "--no-requeue", "--open-mode=append", "--kill-on-invalid-dep=yes", "--export=ALL",
                "--job-name=" + request.token, "--chdir=" + request.folder, "--output=" + request.log, request.script});
  auto done = run(words);
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) {
    if (speaks_of_silence(done->errors) || done->exit_status < 0) return silent("sbatch", *done);
    auto refused = fail(ErrorCode::task_launch_failed, fmt::format("Slurm refused the job: {}", trimmed(done->errors)));
    refused.error().details["exit"] = "126";
    refused.error().details["refused"] = "true";
    return refused;
  }
  std::string id = trimmed(done->output);
  id.resize(std::min(id.size(), id.find(';')));
  if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos)
    return far_failure(kUnreachable, fmt::format("an answer of sbatch is not understood: '{}'", id));
  return id;
}

Result<std::map<std::string, JobState>> ask_jobs(const std::vector<std::string>& tokens, int cancel_fd) {
  std::map<std::string, JobState> jobs;
  if (tokens.empty()) return jobs;
  const std::vector<std::string> words{"squeue",
                                       "-h",
                                       "-t",
                                       "all",
                                       fmt::format("--name={}", fmt::join(tokens, ",")),
                                       "-O",
                                       "JobID:|,Name:64|,State:24|,exit_code:|,Reason:64|,NodeList:64|"};
  auto done = run(words, kLimitMs, cancel_fd);
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) return silent("squeue", *done);
  std::string_view rest = done->output;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    std::array<std::string, 6> fields;
    for (auto& field : fields) {
      const auto end = std::min(line.find('|'), line.size());
      field = trimmed(line.substr(0, end));
      line.remove_prefix(std::min(line.size(), end + 1));
    }
    JobState job{.id = fields[0],
                 .token = fields[1],
                 .state = fields[2],
                 .reason = fields[4],
                 .node = fields[5],
                 .exit = fields[3]};
    if (job.token.empty()) continue;
    if (job.reason == "None") job.reason.clear();
    const auto known = jobs.find(job.token);
    if (known == jobs.end() || std::atoll(known->second.id.c_str()) < std::atoll(job.id.c_str()))
      jobs[job.token] = std::move(job);
  }
  return jobs;
}

Result<> cancel_job(const std::string& token, const std::string& id) {
  auto done = run({"scancel", "--name=" + token, id});
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) return silent("scancel", *done);
  return {};
}

Result<StepAnswer> run_beside(const std::string& id, const std::vector<std::string>& words, std::int64_t limit_ms) {
  std::vector<std::string> all{"srun", "--jobid=" + id, "--overlap", "--quiet", "-N1", "-n1", "--immediate=8"};
  all.insert(all.end(), words.begin(), words.end());
  auto done = run(all, limit_ms);
  if (!done) return std::unexpected(done.error());
  return StepAnswer{
      .exit_status = done->exit_status, .output = std::move(done->output), .errors = std::move(done->errors)};
}

std::optional<std::chrono::milliseconds> parse_time_left(std::string_view text) {
  std::int64_t days = 0;
  std::int64_t seconds = 0;
  const auto number = [](std::string_view word) -> std::optional<std::int64_t> {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || error != std::errc() || end != word.data() + word.size() || value < 0 || value > 1'000'000)
      return std::nullopt;
    return value;
  };
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    const auto count = number(text.substr(0, dash));
    if (!count) return std::nullopt;
    days = *count;
    text.remove_prefix(dash + 1);
  }
  for (int parts = 0; parts < 3; ++parts) {
    const auto end = std::min(text.find(':'), text.size());
    const auto part = number(text.substr(0, end));
    if (!part) return std::nullopt;
    seconds = seconds * 60 + *part;
    text.remove_prefix(end);
    if (text.empty()) return std::chrono::seconds(days * 86'400 + seconds);
    text.remove_prefix(1);
  }
  return std::nullopt;
}

Result<std::optional<std::chrono::milliseconds>> time_left(const std::string& id) {
  auto done = run({"squeue", "-h", "-j", id, "-o", "%L"});
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) return silent("squeue", *done);
  return parse_time_left(trimmed(done->output));
}

Result<bool> is_node_up(const std::string& node, int cancel_fd) {
  auto done = run({"sinfo", "-h", "-N", "-n", node, "-o", "%T"}, kLimitMs, cancel_fd);
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) return silent("sinfo", *done);
  const std::string state = trimmed(done->output.substr(0, done->output.find('\n')));
  return state == "idle" || state == "mixed" || state == "allocated" || state == "completing";
}

Result<> check_answers(const std::string& folder, int cancel_fd) {
  // What is known of a folder may come out of a cache: it is opened, too.
  auto looked = run({"/bin/sh", "-c", "cd \"$1\" && : < .", "sh", folder}, kFolderMs, cancel_fd);
  if (looked) return {};
  return far_failure(kUnreachable, fmt::format("the file system of {} does not answer", folder));
}

JobPhase phase_of(std::string_view state) {
  struct Known {
    std::string_view word;
    JobPhase phase;
  };
  constexpr std::array<Known, 17> kKnown = {{{"PENDING", JobPhase::waiting},
                                             {"CONFIGURING", JobPhase::waiting},
                                             {"REQUEUED", JobPhase::waiting},
                                             {"REQUEUE_HOLD", JobPhase::waiting},
                                             {"REQUEUE_FED", JobPhase::waiting},
                                             {"SPECIAL_EXIT", JobPhase::waiting},
                                             {"RESV_DEL_HOLD", JobPhase::waiting},
                                             {"CANCELLED", JobPhase::cancelled},
                                             {"DEADLINE", JobPhase::cancelled},
                                             {"REVOKED", JobPhase::cancelled},
                                             {"FAILED", JobPhase::failed},
                                             {"BOOT_FAIL", JobPhase::failed},
                                             {"COMPLETED", JobPhase::failed},
                                             {"TIMEOUT", JobPhase::timed_out},
                                             {"PREEMPTED", JobPhase::preempted},
                                             {"OUT_OF_MEMORY", JobPhase::out_of_memory},
                                             {"NODE_FAIL", JobPhase::node_failed}}};
  for (const auto& known : kKnown)
    if (known.word == state) return known.phase;
  return JobPhase::running;
}

Result<> check_option(std::string_view word) {
  constexpr std::array<std::string_view, 17> kOurs = {
      "-J",        "--job-name", "-o", "--output",     "-e", "--error", "--wrap",   "-a",        "--array",
      "--requeue", "--export",   "-d", "--dependency", "-D", "--chdir", "--signal", "--parsable"};
  for (const auto ours : kOurs) {
    const bool is_it = ours.starts_with("--") ? word == ours || word.starts_with(std::string(ours) + "=")
                                              : word.starts_with(ours) && !word.starts_with("--");
    if (is_it)
      return fail(ErrorCode::usage, fmt::format("the option {} of sbatch is Perdure's own: leave it out", word));
  }
  if (!word.starts_with('-'))
    return fail(ErrorCode::usage, fmt::format("'{}' is not an option of sbatch: write --NAME=VALUE", word));
  return {};
}

Result<std::string> slurm_version() {
  auto done = run({"sbatch", "--version"});
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) return silent("sbatch", *done);
  return trimmed(done->output);
}

Result<std::map<std::string, std::string>> slurm_settings() {
  auto done = run({"scontrol", "show", "config"});
  if (!done) return std::unexpected(done.error());
  if (done->exit_status != 0) return silent("scontrol", *done);
  std::map<std::string, std::string> settings;
  std::string_view rest = done->output;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    settings[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return settings;
}

}  // namespace perdure::far
