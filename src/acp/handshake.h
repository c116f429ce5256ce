#pragma once

#include "acp/connection.h"
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

/// What an agent says of itself.
struct Capabilities {
  std::string name, version;  ///< "" where it does not say
  std::int64_t protocol = 0;
  bool load = false, resume = false, close = false;
  std::vector<AuthMethod> auth;
};

/// Why a turn could not go on: a word for programs and a sentence for people.
struct Failure {
  std::string code;  ///< "" for none
  std::string reason;
};

/// Introduces us. Absent: no answer came. The fault says what is wrong with the answer.
[[nodiscard]] std::optional<std::expected<Capabilities, jsonrpc::Fault>> introduce(Connection& connection,
                                                                                   std::chrono::milliseconds patience);

/// Starts an agent, asks it what it is, and ends it. Errors: task_launch_failed, saying how it failed.
[[nodiscard]] Result<Capabilities> probe(const std::vector<std::string>& command,
                                         const std::map<std::string, std::string>& environment, const std::string& cwd,
                                         std::chrono::milliseconds patience);

}  // namespace perdure::acp
