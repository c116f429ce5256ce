#pragma once

#include "base/fd.h"
#include <perdure/manager.h>

#include <map>
#include <string>
#include <vector>

namespace perdure::manager {

/// Everything a runner needs to know to own one task (contract/launch_spec.h).
struct Launch {
  std::string constant_members;
  std::string owner;
  std::string program;
  std::string cwd;
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::chrono::milliseconds timeout{0};
  std::chrono::milliseconds grace{0};
  std::int64_t output_limit = 0;
  OnOutputLimit on_output_limit = OnOutputLimit::truncate;
  Leftovers leftovers = Leftovers::keep;
  int max_running = 0;
  bool sync_output = false;
};

/// A memory file that holds it.
[[nodiscard]] Result<Fd> write_launch_spec(const Launch& launch);

}  // namespace perdure::manager
