#pragma once

#include "manager/far/contact.h"
#include "manager/link/launch_kind.h"
#include "manager/link/launch_spec.h"

#include <functional>

namespace perdure::manager {

/// What of the options makes no sense elsewhere, or is not done yet. Errors: usage, naming the option.
[[nodiscard]] Result<> check_far(const ExecutorDefinition& executor, const StartOptions& options, const Work& work);

/// The words for `perdure` at the place that start the same task there.
[[nodiscard]] std::vector<std::string> far_words(const ExecutorDefinition& executor, const StartOptions& options,
                                                 const std::string& description, const std::string& key);

/// The same as start_far(), for a job: `launch` is all that its runner needs, but for the parts that depend on the id.
[[nodiscard]] Result<Task> start_job(const FarSide& side, const StartOptions& options, const Work& work, Launch launch,
                                     const std::function<Task(const TaskId&)>& record);

/// TaskManager::start() with `on`. `record` makes the part of the record that never changes.
[[nodiscard]] Result<Task> start_far(const FarSide& side, const StartOptions& options, const Work& work,
                                     const std::function<Task(const TaskId&)>& record);

}  // namespace perdure::manager
