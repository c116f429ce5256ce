#include "manager/actions/start_file.h"

#include "base/files.h"
#include "base/json_writer.h"
#include "codec/fields.h"
#include "codec/json.h"
#include "codec/record.h"
#include "contract/names.h"
#include "trust/signature.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <climits>
#include <utility>

namespace perdure::manager {
namespace {

constexpr std::size_t kMostBytes = 16 << 20;
constexpr std::int64_t kLongest = std::int64_t{1} << 53;

constexpr std::array<std::pair<Leftovers, std::string_view>, 3> kLeftovers = {
    {{Leftovers::keep, "keep"}, {Leftovers::kill, "kill"}, {Leftovers::wait, "wait"}}};

RawJson pairs_of(const std::map<std::string, std::string>& pairs) {
  JsonObject json;
  for (const auto& [name, value] : pairs) json.add(name, value);
  return json.json();
}

std::string encode(const StartOptions& options, const std::string& cwd) {
  JsonObject json;
  json.add("format", 1);
  if (!options.shell_line) json.add("argv", JsonArray(options.argv).json());
  if (options.shell_line) json.add("shellLine", *options.shell_line);
  json.add("shell", options.shell)
      .add("description", options.description)
      .add("cwd", cwd)
      .add("env", pairs_of(options.env))
      .add("clearEnv", options.clear_env)
      .add("timeoutMs", options.timeout.count())
      .add("idleTimeoutMs", options.idle_timeout.count())
      .add("graceMs", options.grace.count())
      .add("stdinPipe", options.input == Input::pipe);
  if (options.terminal) json.add("rows", options.terminal->rows).add("columns", options.terminal->columns);
  json.add("memoryMax", options.memory_max)
      .add("cpuMaxMilli", static_cast<std::int64_t>(options.cpu_max * 1000))
      .add("pidsMax", options.pids_max);
  if (options.output_limit) json.add("outputLimit", *options.output_limit);
  json.add("stopsAtLimit", options.on_output_limit == OnOutputLimit::stop);
  for (const auto& [value, word] : kLeftovers)
    if (value == options.leftovers) json.add("leftovers", word);
  if (options.owner) json.add("owner", *options.owner);
  json.add("labels", pairs_of(options.labels));
  if (options.name) json.add("name", *options.name);
  if (options.restart.when != RestartOptions::When::never)
    json.add("restart", options.restart.when == RestartOptions::When::always ? "always" : "on-failure")
        .add("restartDelayMs", options.restart.delay.count());
  if (options.restart.most) json.add("restartMax", *options.restart.most);
  json.add("stopSignal", options.stop_signal)
      .add("sessionLifetime", options.session_lifetime)
      .add("onEnd", JsonArray(options.on_end).json());
  return json.str();
}

std::vector<std::string> words_in(codec::Fields& fields, std::string_view key) {
  const codec::Member* const member = fields.find(key);
  if (member == nullptr) return {};
  auto words = codec::strings_of(*member);
  if (!words) fields.refuse(key, "is not an array of strings");
  return words.value_or(std::vector<std::string>());
}

std::map<std::string, std::string> pairs_in(codec::Fields& fields, std::string_view key) {
  std::map<std::string, std::string> pairs;
  const codec::Member* const member = fields.find(key);
  if (member == nullptr) return pairs;
  const auto members = codec::split_object(member->raw);
  if (!members) {
    fields.refuse(key, "is no object");
    return pairs;
  }
  for (const auto& one : *members) {
    if (one.type != codec::JsonType::string) fields.refuse(key, "contains a value that is not a string");
    if (one.type != codec::JsonType::string) continue;
    const std::string name = fmt::format("\"{}\"", one.key);
    pairs[codec::string_of({.key = {}, .raw = name, .type = codec::JsonType::string})] = codec::string_of(one);
  }
  return pairs;
}

std::optional<StartOptions> decode(std::string_view json) {
  using codec::Need;
  const auto members = codec::split_object(json);
  if (!members) return std::nullopt;
  codec::Fields fields(*members);
  const auto number = [&](std::string_view key, std::int64_t most = kLongest) {
    return fields.integer(key, Need::optional, 0, most).value_or(0);
  };
  const auto flag = [&](std::string_view key) { return fields.boolean(key).value_or(false); };
  StartOptions options;
  if (fields.integer("format", Need::required, 1, 1) != 1) return std::nullopt;
  options.argv = words_in(fields, "argv");
  options.shell_line = fields.text("shellLine", Need::optional);
  options.shell = fields.text("shell", Need::required).value_or("");
  options.description = fields.text("description", Need::optional).value_or("");
  options.cwd = fields.text("cwd", Need::required).value_or("");
  options.env = pairs_in(fields, "env");
  options.clear_env = flag("clearEnv");
  options.timeout = std::chrono::milliseconds(number("timeoutMs"));
  options.idle_timeout = std::chrono::milliseconds(number("idleTimeoutMs"));
  options.grace = std::chrono::milliseconds(number("graceMs"));
  if (flag("stdinPipe")) options.input = Input::pipe;
  if (fields.find("rows") != nullptr)
    options.terminal = TerminalSize{.rows = static_cast<unsigned short>(number("rows", USHRT_MAX)),
                                    .columns = static_cast<unsigned short>(number("columns", USHRT_MAX))};
  options.memory_max = number("memoryMax");
  options.cpu_max = static_cast<double>(number("cpuMaxMilli")) / 1000;
  options.pids_max = number("pidsMax");
  options.output_limit = fields.integer("outputLimit", Need::optional, 0, kLongest);
  if (flag("stopsAtLimit")) options.on_output_limit = OnOutputLimit::stop;
  const std::string leftovers = fields.text("leftovers", Need::required).value_or("");
  for (const auto& [value, word] : kLeftovers)
    if (word == leftovers) options.leftovers = value;
  options.owner = fields.text("owner", Need::optional);
  options.labels = pairs_in(fields, "labels");
  options.name = fields.text("name", Need::optional);
  options.stop_signal = static_cast<int>(number("stopSignal", SCHAR_MAX));
  const std::string restart = fields.text("restart", Need::optional).value_or("");
  if (restart == "always") options.restart.when = RestartOptions::When::always;
  if (restart == "on-failure") options.restart.when = RestartOptions::When::on_failure;
  if (!restart.empty()) options.restart.delay = std::chrono::milliseconds(number("restartDelayMs"));
  if (const auto most = fields.integer("restartMax", Need::optional, 0, INT_MAX))
    options.restart.most = static_cast<int>(*most);
  options.session_lifetime = flag("sessionLifetime");
  options.on_end = words_in(fields, "onEnd");
  if (!fields.problem().empty()) return std::nullopt;
  return options;
}

}  // namespace

// Not synced: a file that a power cut truncated has no valid signature and is ignored.
void write_start(const store::Session& session, const TaskId& id, const StartOptions& options, const std::string& cwd) {
  const auto text = trust::with_signature(session, id, trust::Purpose::start, encode(options, cwd));
  if (!text || text->size() > kMostBytes) return;
  // The folder was made by this process just now, in one that is the user's own: no link stands on the way.
  const std::string path = session.folder_path(id) + "/" + contract::kStartFile;
  const auto file = open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, path);
  if (file && !write_all(file->get(), *text, path)) ::unlink(path.c_str());
}

void remove_start(const store::Session& session, const TaskId& id) {
  if (const auto folder = session.open_folder(id)) ::unlinkat(folder->get(), contract::kStartFile, 0);
}

std::optional<StartOptions> read_start(const store::Session& session, const TaskId& id) {
  const auto folder = session.open_folder(id);
  if (!folder) return std::nullopt;
  const auto text = read_regular_file(folder->get(), contract::kStartFile, kMostBytes, contract::kStartFile);
  if (!text) return std::nullopt;
  const auto body = trust::signed_bytes(session, id, trust::Purpose::start, *text);
  return body ? decode(*body) : std::nullopt;
}

}  // namespace perdure::manager
