#pragma once

#include "acp/protocol/connection.h"
#include <perdure/error.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure::acp {

struct AuthMethod {
  std::string id, name;
};

/// An agent's description of itself.
struct Capabilities {
  std::string name, version;  ///< "" if not given
  std::int64_t protocol = 0;
  bool load = false, resume = false, close = false;
  std::vector<AuthMethod> auth;
};

/// Why a turn could not continue: a word for programs and a sentence for people.
struct Failure {
  std::string code;  ///< "" for none
  std::string reason;
};

/// Sends initialize. Absent: no answer came. The fault says what is wrong with the answer.
[[nodiscard]] std::optional<std::expected<Capabilities, jsonrpc::Fault>> introduce(Connection& connection,
                                                                                   std::chrono::milliseconds patience);

/// Starts an agent, asks for its description, and ends it. Errors: task_launch_failed with the reason.
[[nodiscard]] Result<Capabilities> probe(const std::vector<std::string>& command,
                                         const std::map<std::string, std::string>& environment, const std::string& cwd,
                                         std::chrono::milliseconds patience);

}  // namespace perdure::acp
