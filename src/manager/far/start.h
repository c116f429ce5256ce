#pragma once

#include "manager/far/contact.h"
#include "manager/link/launch_kind.h"
#include "manager/link/launch_spec.h"

#include <functional>

namespace perdure::manager {

/// Options that make no sense on another host, or are not supported there yet. Errors: usage, naming the option.
[[nodiscard]] Result<> check_far(const ExecutorDefinition& executor, const StartOptions& options, const Work& work);

/// The words of a `perdure` command that starts the same task on the other host.
[[nodiscard]] std::vector<std::string> far_words(const ExecutorDefinition& executor, const StartOptions& options,
                                                 const Work& work, const std::string& description,
                                                 const std::string& key);

/// The same as start_far(), for a job: `launch` is all that its runner needs, except the parts that depend on the id.
[[nodiscard]] Result<Task> start_job(const FarSide& side, const StartOptions& options, const Work& work, Launch launch,
                                     const std::function<Task(const TaskId&)>& record);

/// TaskManager::start() with `on`. `record` makes the constant part of the record.
[[nodiscard]] Result<Task> start_far(const FarSide& side, const StartOptions& options, const Work& work,
                                     const std::function<Task(const TaskId&)>& record);

}  // namespace perdure::manager
