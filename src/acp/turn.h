#pragma once

#include "acp/protocol/connection.h"
#include "acp/protocol/handshake.h"
#include "acp/protocol/process.h"
#include "acp/record/activity.h"
#include "acp/record/message.h"
#include "acp/requests/files.h"
#include "acp/requests/owner.h"
#include "acp/requests/permission.h"
#include "acp/requests/terminals.h"
#include "manager/agent/agent_side.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

namespace perdure::acp {

/// How a turn ended.
struct TurnEnd {
  // failed: the agent ended its turn and gave a reason (refusal, a limit). broke: an error; the turn has no end.
  enum class How { completed, failed, broke, cancelled } how = How::cancelled;
  Failure failure;
};

/// One turn of one agent: conversation, updates, and the agent's requests. Call run() once; cancel() from any thread.
class Turn : public Handler {
 public:
  Turn(TaskManager& manager, manager::AgentSide& side, Activity& activity);

  /// Blocks until the turn is over.
  [[nodiscard]] TurnEnd run(Connection& connection, AgentProcess& process);

  /// Asks the agent to end its turn; its later requests are refused.
  void cancel();
  /// Repeats the cancel some time later: an agent ignores the first one if it has not received the prompt yet.
  void cancel_again();

  /// Closes the conversation, if the agent supports that; ends its commands.
  void close();

  [[nodiscard]] const codec::AgentNote& note() const { return note_; }
  [[nodiscard]] std::string final_message() const;

  Answer on_request(const jsonrpc::Message& request, jsonrpc::Call& call) override;
  void on_notification(const jsonrpc::Message& notification) override;
  void on_error_line(std::string_view line) override;

 private:
  using Step = std::optional<Failure>;  // absent: continue

  // The agent's answer to one request; a Failure if there is none, or an error.
  [[nodiscard]] std::expected<json::value, Failure> ask(std::string_view method, json::object params);
  [[nodiscard]] Step meet();
  [[nodiscard]] Step open_conversation();
  [[nodiscard]] Step set_mode(const json::object& opened);
  [[nodiscard]] Step set_model(const json::object& opened);
  [[nodiscard]] Step choose_option(const json::object& option, const std::string& value, std::string_view what);
  [[nodiscard]] Step tell_record();
  [[nodiscard]] TurnEnd prompt();
  [[nodiscard]] Failure describe(const jsonrpc::Fault& fault) const;
  [[nodiscard]] Failure describe_silence(std::string_view method) const;
  void on_update(const std::string& kind, const json::object& update);
  void on_chunk(const std::string& kind, const json::object& update);

  TaskManager& manager_;
  manager::AgentSide& side_;
  const codec::AgentPlan& plan_;
  Activity& activity_;
  Owner owner_;
  Permissions permissions_;
  Files files_;
  Terminals terminals_;
  Connection* connection_ = nullptr;  // set during run() and close()
  AgentProcess* process_ = nullptr;
  Capabilities able_;
  codec::AgentNote note_;
  std::atomic<bool> replays_ = false;  // the agent repeats earlier updates

  mutable std::mutex mutex_;
  FinalMessage final_;
  std::string last_error_line_;
  std::string session_;  // a copy of note_.agent_id for all threads
  bool prompting_ = false, cancelled_ = false;
};

}  // namespace perdure::acp
