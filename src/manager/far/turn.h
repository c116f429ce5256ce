#pragma once

#include "far/far_task.h"
#include "store/session.h"

#include <string>
#include <vector>

// Whether a task that is to run elsewhere and follows others (`--after`) may be sent there. A predecessor that the same
// executor has already is that engine's to wait for: Slurm's --dependency, or --after of the Perdure of an ssh host.
// This machine waits for all others: the process that contacts the executor does.
namespace perdure::manager {

/// A predecessor by its name at the place: a job's number, or the id of a task there.
struct HandedOver {
  std::string place;
  bool may_fail = false;
};

struct Turn {
  enum class State { waits, may_start, never };
  State state = State::may_start;
  std::string reason;                ///< never: the end of a task that does not start, as for one that runs here
  std::vector<HandedOver> followed;  ///< may_start: what the engine is to wait for
};
[[nodiscard]] Turn turn_of(const store::Session& session, const far::FarTask& task);

/// Ids of the tasks that it follows.
[[nodiscard]] std::vector<TaskId> predecessors_of(const far::FarTask& task);

/// "--dependency=afterok:1:2,afterany:3"; "" for none.
[[nodiscard]] std::string as_dependency(const std::vector<HandedOver>& followed);

/// Replaces the ids of the place by those of this session, in what the place says of a task that it did not start.
[[nodiscard]] std::string in_our_words(const store::Session& session, const far::FarTask& task, std::string text);

}  // namespace perdure::manager
