#pragma once

#include <perdure/output.h>

#include <string>

namespace perdure::cli {

/// The keys that `show` and `output` share (docs/reference/cli.md).
[[nodiscard]] std::string snapshot_json(const OutputSnapshot& output);

}  // namespace perdure::cli
