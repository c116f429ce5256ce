#pragma once

#include "runner/record/record.h"

#include <string_view>

namespace runner {

/// Appends lines to the telemetry file at `path`; "": off. For background tasks only (L42). A line that can't be
/// written is left out: the task must not depend on it.
void report_created(const char* path, std::string_view task_id);
void report_completed(const char* path, std::string_view task_id, const Facts& facts);

}  // namespace runner
