#pragma once

#include "acp/activity.h"
#include "acp/connection.h"
#include "acp/files.h"
#include "acp/handshake.h"
#include "acp/message.h"
#include "acp/owner.h"
#include "acp/permission.h"
#include "acp/process.h"
#include "acp/terminals.h"
#include "manager/agent/agent_side.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

namespace perdure::acp {

/// How a turn ended.
struct TurnEnd {
  // failed: the agent ended its turn and says why (refusal, a limit). broke: an error, so there was no end of a turn.
  enum class How { completed, failed, broke, cancelled } how = How::cancelled;
  Failure failure;
};

/// One turn of one agent: conversation, updates, and what the agent asks of us. run() once; cancel() by any thread.
class Turn : public Handler {
 public:
  Turn(TaskManager& manager, manager::AgentSide& side, Activity& activity);

  /// Blocks until the turn is over, one way or the other.
  [[nodiscard]] TurnEnd run(Connection& connection, AgentProcess& process);

  /// The agent is asked to end its turn; what it asks from now on gets no more than that.
  void cancel();
  /// Once more, some time later: the first wish may have crossed the prompt, which an agent that has none yet ignores.
  void cancel_again();

  /// Closes the conversation, as far as the agent can do that; ends its commands.
  void close();

  [[nodiscard]] const codec::AgentNote& note() const { return note_; }
  [[nodiscard]] std::string final_message() const;

  Answer on_request(const jsonrpc::Message& request, jsonrpc::Call& call) override;
  void on_notification(const jsonrpc::Message& notification) override;
  void on_error_line(std::string_view line) override;

 private:
  using Step = std::optional<Failure>;  // absent: go on

  // What the agent says to one request; a Failure where it says nothing, or no.
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
  Connection* connection_ = nullptr;  // for as long as run() and close() take
  AgentProcess* process_ = nullptr;
  Capabilities able_;
  codec::AgentNote note_;
  std::atomic<bool> replays_ = false;  // what comes now has been before

  mutable std::mutex mutex_;
  FinalMessage final_;
  std::string last_error_line_;
  std::string session_;  // note_.agent_id, for all threads
  bool prompting_ = false, cancelled_ = false;
};

}  // namespace perdure::acp
