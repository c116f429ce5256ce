#include "far/host.h"

#include "base/files.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <vector>

namespace perdure::far {
namespace {

// Only shell builtins: starting a process there costs as much as all the rest.
constexpr const char* kHello =
    "i=; b=; n=\n{ read -r i < /etc/machine-id; } 2>/dev/null\n"
    "{ read -r b < /proc/sys/kernel/random/boot_id; } 2>/dev/null\n"
    "{ read -r n < /proc/sys/kernel/hostname; } 2>/dev/null\n"
    "say hello \"${i:--}\" \"${b:--}\" \"${n:--}\"\n";

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return words;
}

Result<Welcome> hear_hello(Channel& channel) {
  auto said = channel.hear();
  if (!said) return std::unexpected(said.error());
  const auto words = split_words(*said);
  if (words.size() != 4 || words.front() != "hello")
    return far_failure(kUnreachable, fmt::format("an answer is not understood: '{}'", *said));
  const auto known = [](const std::string& word) { return word == "-" ? std::string() : word; };
  return Welcome{.machine_id = known(words[1]), .boot_id = known(words[2]), .node = words[3]};
}

std::string own_architecture() {
  utsname about{};
  return ::uname(&about) == 0 ? about.machine : "unknown";
}

Result<std::string> content_of(const std::string& path) {
  std::error_code ignored;
  const std::string real = std::filesystem::canonical(path, ignored).string();
  const auto cut = real.rfind('/');
  auto folder = open_folder_at(AT_FDCWD, real.substr(0, cut), real);
  if (!folder) return std::unexpected(folder.error());
  return read_regular_file(folder->get(), real.substr(cut + 1), std::size_t{1} << 30, real);
}

}  // namespace

std::string Host::find_lines() const {
  if (!programs_) return "P=$(command -v perdure) || P=\n";
  return fmt::format("P=$HOME/{}/perdure\n", programs_->folder());
}

Result<Channel> Host::open(std::span<const std::string> words, const std::string& machine,
                           const ChannelOptions& options, Welcome* welcome, bool in_scope) const {
  std::string body = kHello + find_lines();
  if (!machine.empty()) body += fmt::format("[ \"$i\" = {} ] || {{ say replaced; exit 0; }}\n", for_shell(machine));
  body += "[ -n \"$P\" ] && [ -e \"$P\" ] || { say absent; exit 0; }\nsay ready\nexec ";
  if (in_scope) body += "systemd-run --user --scope --quiet -- ";
  body += fmt::format("\"$P\" --session {}", path_for_shell(executor_.session));
  for (const auto& word : words) body += " " + for_shell(word);
  for (int attempt = 0;; ++attempt) {
    auto channel = Channel::open(executor_, body, options);
    if (!channel) return channel;
    auto hello = hear_hello(*channel);
    if (!hello) return std::unexpected(hello.error());
    if (welcome != nullptr) *welcome = *hello;
    auto said = channel->hear();
    if (!said) return std::unexpected(said.error());
    if (*said == "ready") return channel;
    if (*said == "replaced")
      return far_failure(kReplaced, fmt::format("{} is another machine now: {} was expected, {} answers",
                                                place_of(executor_), machine, hello->machine_id));
    if (*said != "absent" || attempt > 0 || !programs_)
      return fail(ErrorCode::task_launch_failed,
                  programs_ ? fmt::format("perdure can't be put on {}", place_of(executor_))
                            : fmt::format("there is no perdure in the PATH of {}: install it there, or leave out "
                                          "`install = false`",
                                          place_of(executor_)));
    if (auto installed = install(options); !installed) return std::unexpected(installed.error());
  }
}

Result<Answer> Host::call(std::span<const std::string> words, const std::string& machine, const ChannelOptions& options,
                          bool in_scope, std::string_view input) const {
  Answer answer;
  auto channel = open(words, machine, options, &answer.from, in_scope);
  if (!channel) return std::unexpected(channel.error());
  // One that refuses before it has read all says why.
  if (!input.empty()) static_cast<void>(channel->send(input));
  channel->end_input();
  auto output = channel->rest();
  if (!output) return std::unexpected(output.error());
  auto status = channel->finish();
  if (!status) return std::unexpected(status.error());
  answer.exit_status = *status;
  answer.output = std::move(*output);
  answer.errors = channel->error_text();
  return answer;
}

Result<Introduction> Host::introduce(const ChannelOptions& options) const {
  const std::string body = kHello + find_lines() +
                           "x=no; [ -n \"$P\" ] && [ -e \"$P\" ] && x=yes\n"
                           "k=$(loginctl show-session --property=KillUserProcesses --value 2>/dev/null)\n"
                           "l=$(loginctl show-user \"$(id -un)\" --property=Linger --value 2>/dev/null)\n"
                           "say about \"$(uname -m)\" \"$x\" \"${k:-no}\" \"${l:-no}\"";
  auto channel = Channel::open(executor_, body, options);
  if (!channel) return std::unexpected(channel.error());
  auto hello = hear_hello(*channel);
  if (!hello) return std::unexpected(hello.error());
  auto said = channel->hear();
  if (!said) return std::unexpected(said.error());
  const auto words = split_words(*said);
  if (words.size() != 5 || words.front() != "about")
    return far_failure(kUnreachable, fmt::format("an answer is not understood: '{}'", *said));
  return Introduction{.from = std::move(*hello),
                      .architecture = words[1],
                      .has_programs = words[2] == "yes",
                      .ends_at_logout = words[3] == "yes",
                      .lingers = words[4] == "yes"};
}

Result<> Host::install(const ChannelOptions& options) const {
  if (!programs_) return fail(ErrorCode::task_launch_failed, "nothing is to be installed there");
  auto perdure = content_of(programs_->perdure);
  if (!perdure) return std::unexpected(perdure.error());
  auto runner = content_of(programs_->runner);
  if (!runner) return std::unexpected(runner.error());
  // Copied under another name and renamed: of two processes that copy at once the first to rename wins, and both have
  // the same bytes.
  const std::string body = fmt::format(
      "D=$HOME/{0}; T=$D.$$; umask 077\n"
      "mkdir -p \"$T\" || {{ say failed; exit 0; }}\nsay send\n"
      "cat > \"$T/all\" && head -c {1} \"$T/all\" > \"$T/perdure\" && tail -c {2} \"$T/all\" > \"$T/perdure-runner\" "
      "&&\n"
      "chmod 700 \"$T/perdure\" \"$T/perdure-runner\" && rm \"$T/all\" && [ \"$(wc -c < \"$T/perdure-runner\")\" -eq "
      "{2} ] &&\n"
      "[ \"$(wc -c < \"$T/perdure\")\" -eq {1} ] || {{ rm -rf \"$T\"; say failed; exit 0; }}\n"
      "v=$(\"$T/perdure\" version 2>&1) || {{ rm -rf \"$T\"; say bad \"$(uname -m)\" \"$v\"; exit 0; }}\n"
      "mv -T \"$T\" \"$D\" 2>/dev/null || rm -rf \"$T\"\n[ -x \"$D/perdure\" ] && say done || say failed",
      programs_->folder(), perdure->size(), runner->size());
  auto channel = Channel::open(executor_, body, options);
  if (!channel) return std::unexpected(channel.error());
  auto said = channel->hear();
  if (!said) return std::unexpected(said.error());
  if (*said == "send") {
    for (const auto* bytes : {&*perdure, &*runner})
      if (auto sent = channel->send(*bytes); !sent) return sent;
    channel->end_input();
    said = channel->hear();
    if (!said) return std::unexpected(said.error());
  }
  if (*said == "done") return {};
  if (said->starts_with("bad ")) {
    const auto words = split_words(*said);
    const std::string there = words.size() > 1 ? words[1] : "unknown";
    const std::string why = there == own_architecture() ? said->substr(std::min(said->size(), 5 + there.size()))
                                                        : fmt::format("it is a {} machine, and the programs are for {}",
                                                                      there, own_architecture());
    return fail(ErrorCode::task_launch_failed, fmt::format("perdure does not run on {}: {}", place_of(executor_), why));
  }
  return fail(ErrorCode::task_launch_failed,
              fmt::format("perdure can't be put into ~/.perdure of {}: is there room, and may it be written? {}",
                          place_of(executor_), channel->error_text()));
}

}  // namespace perdure::far
