#include "acp/protocol/handshake.h"

#include "acp/protocol/fields.h"
#include "acp/protocol/process.h"
#include "base/error.h"
#include "base/utf8.h"

#include <fmt/format.h>

namespace perdure::acp {
namespace {

constexpr std::int64_t kProtocol = 1;

json::object our_capabilities() {
  json::object files{{"readTextFile", true}, {"writeTextFile", true}};
  json::object boolean_options{{"boolean", json::object()}};
  json::object session{
      {"configOptions", std::move(boolean_options)}, {"notices", json::object()}, {"compaction", json::object()}};
  json::object forms{{"form", json::object()}};
  return {
      {"fs", std::move(files)}, {"terminal", true}, {"session", std::move(session)}, {"elicitation", std::move(forms)}};
}

Capabilities read_capabilities(const json::object& answer) {
  Capabilities found;
  if (const auto* const version = answer.if_contains("protocolVersion"); version != nullptr && version->is_int64())
    found.protocol = version->get_int64();
  if (const auto* const about = object_in(answer, "agentInfo")) {
    found.name = text_in(*about, "name");
    found.version = text_in(*about, "version");
  }
  if (const auto* const able = object_in(answer, "agentCapabilities")) {
    const auto* const load = able->if_contains("loadSession");
    found.load = load != nullptr && load->is_bool() && load->get_bool();
    if (const auto* const session = object_in(*able, "sessionCapabilities")) {
      found.resume = object_in(*session, "resume") != nullptr;
      found.close = object_in(*session, "close") != nullptr;
    }
  }
  const auto* const methods = answer.if_contains("authMethods");
  if (methods != nullptr && methods->is_array())
    for (const auto& method : methods->get_array())
      if (method.is_object())
        found.auth.push_back({text_in(method.get_object(), "id"), text_in(method.get_object(), "name")});
  return found;
}

// Refuses all requests of the peer: this client only asks for its capabilities.
class Nobody : public Handler {
 public:
  Answer on_request(const jsonrpc::Message& request, jsonrpc::Call&) override {
    return std::unexpected(
        jsonrpc::Fault{.code = jsonrpc::kMethodNotFound, .message = "Method not found: " + request.method});
  }
  void on_notification(const jsonrpc::Message&) override {}
  void on_error_line(std::string_view line) override {
    if (line.empty()) return;
    const std::lock_guard lock(mutex_);
    last_ = to_plain_text(line, false);
  }
  [[nodiscard]] std::string last_line() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  mutable std::mutex mutex_;
  std::string last_;
};

}  // namespace

std::optional<std::expected<Capabilities, jsonrpc::Fault>> introduce(Connection& connection,
                                                                     std::chrono::milliseconds patience) {
  json::object who{{"name", "perdure"}, {"title", "Perdure"}, {"version", PERDURE_VERSION}};
  json::object params{
      {"protocolVersion", kProtocol}, {"clientCapabilities", our_capabilities()}, {"clientInfo", std::move(who)}};
  auto answer = connection.ask("initialize", std::move(params), patience);
  if (!answer) return std::nullopt;
  if (!*answer) return std::unexpected((*answer).error());
  if (!(*answer)->is_object())
    return std::unexpected(jsonrpc::Fault{.message = "its answer to initialize is not an object"});
  Capabilities found = read_capabilities((*answer)->get_object());
  if (found.protocol != kProtocol)
    return std::unexpected(
        jsonrpc::Fault{.message = fmt::format("it speaks version {} of the protocol, and Perdure speaks {}",
                                              found.protocol, kProtocol)});
  return found;
}

Result<Capabilities> probe(const std::vector<std::string>& command,
                           const std::map<std::string, std::string>& environment, const std::string& cwd,
                           std::chrono::milliseconds patience) {
  auto process = AgentProcess::spawn(command, environment, cwd);
  if (!process) return std::unexpected(process.error());
  Nobody nobody;
  std::string violation;
  std::string how;
  std::optional<std::expected<Capabilities, jsonrpc::Fault>> answer;
  {
    Connection connection(process->input(), process->output(), process->errors(), nobody);
    answer = introduce(connection, patience);
    if (!answer && connection.is_over()) how = process->how_it_ended(100);
    violation = connection.violation();
    static_cast<void>(process->end());
  }
  const auto failed = [](std::string what) { return fail(ErrorCode::task_launch_failed, std::move(what)); };
  if (answer && *answer) return std::move(**answer);
  if (answer) return failed((*answer).error().message);
  if (!violation.empty()) return failed(fmt::format("it sent an invalid message: {}", violation));
  if (how.empty()) return failed(fmt::format("it did not answer within {} s", patience.count() / 1000));
  const std::string last = nobody.last_line();
  return failed(fmt::format("it ended with {}{}{}", how, last.empty() ? "" : ": ", last));
}

}  // namespace perdure::acp
