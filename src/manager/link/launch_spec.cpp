#include "manager/link/launch_spec.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "codec/record.h"
#include "contract/launch_spec.h"

#include <sys/mman.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace perdure::manager {
namespace {

contract::SpecLeftovers in_contract(Leftovers policy) {
  switch (policy) {
    case Leftovers::keep: return contract::SpecLeftovers::keep;
    case Leftovers::kill: return contract::SpecLeftovers::kill;
    case Leftovers::wait: return contract::SpecLeftovers::wait;
  }
  std::abort();
}

contract::SpecRestart in_contract(RestartOptions::When when) {
  switch (when) {
    case RestartOptions::When::never: return contract::SpecRestart::never;
    case RestartOptions::When::on_failure: return contract::SpecRestart::on_failure;
    case RestartOptions::When::always: return contract::SpecRestart::always;
  }
  std::abort();
}

void add(std::string& bytes, std::string_view text) {
  bytes += text;
  bytes += '\0';
}

}  // namespace

std::string launch_spec(const Launch& launch) {
  contract::LaunchSpec header{};
  header.magic = contract::kSpecMagic;
  header.version = contract::kSpecVersion;
  header.timeout_ms = launch.timeout.count();
  header.grace_ms = launch.grace.count();
  header.output_limit = launch.output_limit;
  header.detach_timeout_ms = launch.detach_timeout ? launch.detach_timeout->count() : -1;
  header.mode = launch.foreground ? contract::SpecMode::foreground
                : launch.queued   ? contract::SpecMode::queued
                : launch.question ? contract::SpecMode::question
                                  : contract::SpecMode::background;
  header.on_timeout =
      launch.on_timeout == OnTimeout::detach ? contract::SpecOnTimeout::detach : contract::SpecOnTimeout::stop;
  header.has_stream = launch.stream_fd >= 0 ? 1 : 0;
  header.priority = static_cast<std::uint32_t>(launch.priority);
  header.on_limit =
      launch.on_output_limit == OnOutputLimit::stop ? contract::SpecOnLimit::stop : contract::SpecOnLimit::truncate;
  header.leftovers = in_contract(launch.leftovers);
  header.max_running = static_cast<std::uint32_t>(launch.max_running);
  header.sync_output = launch.sync_output ? 1 : 0;
  header.argc = static_cast<std::uint32_t>(launch.argv.size());
  header.envc = static_cast<std::uint32_t>(launch.environment.size());
  header.hook_count = static_cast<std::uint32_t>(launch.hooks.size());
  header.idle_timeout_ms = launch.idle_timeout.count();
  header.input = launch.input == Input::pipe      ? contract::SpecInput::pipe
                 : launch.input == Input::inherit ? contract::SpecInput::inherit
                                                  : contract::SpecInput::null;
  if (launch.terminal) {
    header.terminal_rows = std::max<std::uint32_t>(1, launch.terminal->rows);
    header.terminal_columns = std::max<std::uint32_t>(1, launch.terminal->columns);
  }
  header.memory_max = launch.limits.memory_max;
  header.cpu_max_milli = launch.limits.cpu_max_milli;
  header.pids_max = launch.limits.pids_max;
  header.pids_of_user = launch.limits.pids_of_user;
  header.command = launch.agent ? contract::SpecCommand::agent : contract::SpecCommand::process;
  header.only_event = launch.only_event;
  header.stop_signal = static_cast<std::uint32_t>(launch.stop_signal);
  header.restart = in_contract(launch.restart.when);
  header.restart_max = most_restarts(launch.restart);
  header.restart_delay_ms = launch.restart.delay.count();

  std::string bytes(sizeof header, '\0');
  add(bytes, launch.constant_members);
  add(bytes, launch.owner);
  add(bytes, launch.after);
  add(bytes, launch.entry_text);
  add(bytes, launch.program);
  add(bytes, launch.cwd);
  add(bytes, launch.telemetry_file);
  for (const auto& word : launch.argv) add(bytes, word);
  for (const auto& [name, value] : launch.environment) add(bytes, name + "=" + value);
  add(bytes, launch.told_first);
  add(bytes, json_escaped(launch.description));
  add(bytes, launch.limits.cgroup_parent);
  add(bytes, json_escaped(launch.limits.cgroup));
  add(bytes, launch.note);
  for (const auto& hook : launch.hooks)
    add(bytes, fmt::format("{} {} {}", hook.events, std::chrono::milliseconds(hook.timeout).count(), hook.command));
  if (!launch.identity.empty()) add(bytes, launch.identity);
  header.total_bytes = bytes.size();
  bytes.replace(0, sizeof header, std::string_view(reinterpret_cast<const char*>(&header), sizeof header));
  return bytes;
}

std::uint32_t most_restarts(const RestartOptions& restart) {
  constexpr int kOnFailure = 10;
  const bool on_failure = restart.when == RestartOptions::When::on_failure;
  return static_cast<std::uint32_t>(restart.most.value_or(on_failure ? kOnFailure : 0));
}

std::optional<SpecParts> SpecParts::read(std::string_view bytes) {
  SpecParts parts;
  if (bytes.size() < sizeof parts.header || !bytes.ends_with('\0')) return std::nullopt;
  std::memcpy(&parts.header, bytes.data(), sizeof parts.header);
  if (parts.header.magic != contract::kSpecMagic || parts.header.version != contract::kSpecVersion ||
      parts.header.total_bytes != bytes.size())
    return std::nullopt;
  bytes.remove_prefix(sizeof parts.header);
  while (!bytes.empty()) {
    const auto end = bytes.find('\0');
    parts.texts_.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
  }
  constexpr std::size_t kBehind = 5;  // texts between the variables and the hooks
  if (parts.header.argc == 0 ||
      parts.texts_.size() != kBefore + parts.header.argc + parts.header.envc + kBehind + parts.header.hook_count)
    return std::nullopt;
  return parts;
}

std::string SpecParts::bytes() {
  std::string bytes(sizeof header, '\0');
  for (const auto& text : texts_) add(bytes, text);
  header.total_bytes = bytes.size();
  bytes.replace(0, sizeof header, std::string_view(reinterpret_cast<const char*>(&header), sizeof header));
  return bytes;
}

std::string SpecParts::variable(std::string_view name) const {
  for (std::size_t i = kBefore + header.argc; i < kBefore + header.argc + header.envc; ++i)
    if (texts_[i].size() > name.size() && texts_[i].starts_with(name) && texts_[i][name.size()] == '=')
      return texts_[i].substr(name.size() + 1);
  return "";
}

void SpecParts::set_argv(const std::vector<std::string>& argv) {
  const auto begin = texts_.begin() + kBefore;
  const auto at = texts_.erase(begin, begin + header.argc);
  texts_.insert(at, argv.begin(), argv.end());
  header.argc = static_cast<std::uint32_t>(argv.size());
}

Result<Fd> memory_file(std::string_view bytes) {
  Fd file(::memfd_create("perdure-launch", MFD_CLOEXEC));
  if (!file) return fail_errno("making", "the launch specification", ErrorCode::task_launch_failed);
  TRY_VOID(write_all(file.get(), bytes, "the launch specification"));
  return file;
}

}  // namespace perdure::manager
