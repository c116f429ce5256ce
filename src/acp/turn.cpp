#include "acp/turn.h"

#include "acp/protocol/fields.h"
#include "base/error.h"
#include "base/utf8.h"

#include <fmt/format.h>

namespace perdure::acp {
namespace {

constexpr std::chrono::minutes kMeeting{5};  // some agents are downloaded before they answer
constexpr std::chrono::seconds kClosing{1};
constexpr int kAuthRequired = -32'000;
constexpr int kEndPatienceMs = 500;

// The outcome of the task for a stop reason of the protocol (docs/guide/agents.md).
TurnEnd as_ended(const std::string& reason) {
  if (reason == "end_turn") return {.how = TurnEnd::How::completed, .failure = {}};
  if (reason == "cancelled") return {.how = TurnEnd::How::cancelled, .failure = {}};
  const auto failed = [&](std::string words) {
    return TurnEnd{.how = TurnEnd::How::failed, .failure = {.code = reason, .reason = std::move(words)}};
  };
  if (reason == "refusal") return failed("The agent refused to go on");
  if (reason == "max_tokens") return failed("The agent reached its limit of tokens");
  if (reason == "max_turn_requests") return failed("The agent reached its limit of requests in one turn");
  return failed(fmt::format("The agent ended its turn with '{}', which is not known", to_plain_text(reason, false)));
}

std::map<std::string, std::int64_t> usage_in(const json::object& answer) {
  std::map<std::string, std::int64_t> usage;
  constexpr std::size_t kMost = 16, kLongestName = 40;
  if (const auto* const given = object_in(answer, "usage"))
    for (const auto& member : *given)
      if (member.value().is_int64() && usage.size() < kMost && member.key().size() <= kLongestName)
        usage[std::string(member.key())] = member.value().get_int64();
  return usage;
}

}  // namespace

Turn::Turn(TaskManager& manager, manager::AgentSide& side, Activity& activity)
    : manager_(manager),
      side_(side),
      plan_(side.plan()),
      activity_(activity),
      owner_(manager, plan_, side.task(), activity),
      permissions_(owner_, activity),
      files_(plan_.cwd),
      terminals_(manager, plan_.cwd) {}

TurnEnd Turn::run(Connection& connection, AgentProcess& process) {
  {
    const std::lock_guard lock(mutex_);
    connection_ = &connection;
    process_ = &process;
    if (cancelled_) connection.give_up();
  }
  auto failure = meet();
  if (!failure) failure = open_conversation();
  if (!failure) return prompt();
  const std::lock_guard lock(mutex_);
  if (cancelled_) return {};
  return {.how = TurnEnd::How::broke, .failure = std::move(*failure)};
}

std::expected<json::value, Failure> Turn::ask(std::string_view method, json::object params) {
  auto answer = connection_->ask(method, std::move(params), kMeeting);
  if (!answer) return std::unexpected(describe_silence(method));
  if (!*answer) return std::unexpected(describe((*answer).error()));
  return std::move(**answer);
}

Turn::Step Turn::meet() {
  auto introduced = introduce(*connection_, kMeeting);
  if (!introduced) return describe_silence("initialize");
  if (!*introduced) return describe((*introduced).error());
  able_ = std::move(**introduced);
  json::object entry{{"text", fmt::format("{} {}", able_.name, able_.version)}};
  activity_.add("agent", std::move(entry));
  if (!plan_.auth) return std::nullopt;
  auto answer = ask("authenticate", {{"methodId", *plan_.auth}});
  if (!answer) return std::move(answer.error());
  return std::nullopt;
}

// Durable before any client can see the agent's id, and before the agent can start a task that it owns.
Turn::Step Turn::tell_record() {
  auto noted = side_.note(note_);
  if (!noted) return Failure{.code = {}, .reason = noted.error().message};
  if (!*noted) cancel();  // the outcome is decided: there is nothing to begin
  return std::nullopt;
}

TurnEnd Turn::prompt() {
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return {};
    prompting_ = true;
  }
  activity_.add("prompt", {{"text", shortened(json::value(plan_.prompt))}});
  json::object text{{"type", "text"}, {"text", to_valid_utf8(plan_.prompt)}};
  json::array blocks;
  blocks.push_back(std::move(text));
  auto answer = connection_->ask("session/prompt", {{"sessionId", note_.agent_id}, {"prompt", std::move(blocks)}});
  bool cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    prompting_ = false;
    cancelled = cancelled_;
  }
  if (!answer && cancelled) return {};
  if (!answer) return {.how = TurnEnd::How::broke, .failure = describe_silence("session/prompt")};
  if (!*answer) {
    Failure failure = describe((*answer).error());
    if (!cancelled) return {.how = TurnEnd::How::broke, .failure = std::move(failure)};
    // An error after this process's own cancel is an effect of the cancel (L14); the activity keeps it.
    activity_.add("error", {{"code", failure.code}, {"text", failure.reason}});
    return {};
  }
  const auto* const result = (*answer)->if_object();
  if (result == nullptr && cancelled) return {};
  if (result == nullptr)
    return {.how = TurnEnd::How::broke,
            .failure = {.code = {}, .reason = "The agent's answer to session/prompt is not an object"}};
  note_.usage = usage_in(*result);
  const std::string reason = text_in(*result, "stopReason");
  TurnEnd end = as_ended(reason);
  // This process did not ask it to.
  if (end.how == TurnEnd::How::cancelled && !cancelled)
    end = {.how = TurnEnd::How::broke, .failure = {.code = reason, .reason = "The agent cancelled its turn"}};
  return end;
}

void Turn::cancel() {
  const std::lock_guard lock(mutex_);
  if (cancelled_) return;
  cancelled_ = true;
  activity_.add("cancel", {});
  if (connection_ == nullptr) return;
  connection_->drop_requests();
  if (prompting_) {
    connection_->tell("session/cancel", {{"sessionId", note_.agent_id}});
  } else {
    connection_->give_up();
  }
}

void Turn::cancel_again() {
  const std::lock_guard lock(mutex_);
  if (prompting_ && connection_ != nullptr) connection_->tell("session/cancel", {{"sessionId", note_.agent_id}});
}

void Turn::close() {
  if (able_.close && !note_.agent_id.empty() && !connection_->is_over())
    static_cast<void>(connection_->ask("session/close", {{"sessionId", note_.agent_id}}, kClosing));
  connection_->drop_requests();
  terminals_.release_all();
}

std::string Turn::final_message() const {
  const std::lock_guard lock(mutex_);
  return final_.text();
}

Failure Turn::describe(const jsonrpc::Fault& fault) const {
  Failure failure{.code = fmt::format("acp.{}", fault.code), .reason = fault.message};
  if (failure.reason.empty()) failure.reason = fmt::format("The agent answered with error {}", fault.code);
  if (fault.code != kAuthRequired) return failure;
  std::string methods;
  for (const auto& method : able_.auth)
    methods += fmt::format("{}{}{}", methods.empty() ? "" : ", ", method.id,
                           method.name.empty() ? "" : " (" + method.name + ")");
  failure.reason += fmt::format(": log in with the agent itself, or set auth in [agents.{}]{}{}", plan_.agent,
                                methods.empty() ? "" : " to one of ", methods);
  return failure;
}

Failure Turn::describe_silence(std::string_view method) const {
  if (const std::string violation = connection_->violation(); !violation.empty())
    return {.code = "acp.protocol", .reason = "The agent broke the protocol: it sent " + violation};
  if (!connection_->is_over())
    return {.code = "acp.silent",
            .reason =
                fmt::format("The agent did not answer {} within {} s", method, std::chrono::seconds(kMeeting).count())};
  const std::string how = process_->how_it_ended(kEndPatienceMs);
  // A child of the agent may hold that stream open, so the wait is short.
  connection_->hear_out(kEndPatienceMs);
  const std::lock_guard lock(mutex_);
  return {.code = "acp.gone",
          .reason = fmt::format("The agent {} and left {} unanswered{}{}",
                                how.empty() ? "closed its output" : "ended with " + how, method,
                                last_error_line_.empty() ? "" : ": ", last_error_line_)};
}

}  // namespace perdure::acp
