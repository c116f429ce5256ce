#pragma once

#include <perdure/error.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace perdure {

/// Where a task can run besides this machine: one `[executors.NAME]` (docs/guide/elsewhere.md).
struct ExecutorDefinition {
  enum class Type { ssh, slurm };
  std::string name = {};  ///< [a-z0-9-]{1,32}
  Type type = Type::ssh;

  // ssh
  std::string host = {};                    ///< a name of the user's ssh configuration; "" where `transport` is given
  std::vector<std::string> transport = {};  ///< instead of ssh: words before a command, which run it at the place
  std::string session = "~/.local/state/perdure/far";  ///< folder there; "~/" is the home there
  bool install = true;                                 ///< copy the programs there; false: `perdure` of its PATH
  std::string on = {};  ///< an executor of that host's configuration; "": the host itself

  // slurm
  std::string folder = {};                ///< absolute; on a file system that this host and the nodes share
  std::vector<std::string> options = {};  ///< of sbatch, before those of one task
  std::chrono::milliseconds margin{std::chrono::seconds(60)};      ///< between Perdure's deadline and Slurm's
  std::chrono::milliseconds lost_after{std::chrono::minutes(10)};  ///< of a job that Slurm knows nothing of any more
  std::int64_t max_submitted = 200;

  std::map<std::string, std::string> from = {};  ///< by key: "FILE:LINE"
  /// The session's file that it stands in, where the user has not trusted that; "": it
  /// may be used.
  std::string untrusted = {};
};

/// "ssh", "slurm".
[[nodiscard]] PERDURE_API std::string_view name_of(ExecutorDefinition::Type type);

/// Where it is, for people: the host, the transport or the folder.
[[nodiscard]] PERDURE_API std::string described_place(const ExecutorDefinition& executor);

/// What a look at an executor found.
struct ExecutorReport {
  std::string name = {}, type = {};
  std::string place = {};                  ///< the host, transport or folder
  bool is_usable = false;                  ///< false: `problems` says why
  std::vector<std::string> facts = {};     ///< "key: value", for people
  std::vector<std::string> problems = {};  ///< with what to do
};

}  // namespace perdure
