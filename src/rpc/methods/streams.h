#pragma once

#include "base/error.h"
#include "rpc/place/request.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// What flows out of a task and into it, for the methods that read and write.
namespace perdure::rpc {

struct Window {
  OutputChunk chunk;
  std::optional<std::pair<std::int64_t, std::int64_t>> gap;  ///< at, bytes
};

/// Bytes that were not kept are passed over and told of.
[[nodiscard]] Result<Window> read_window(const TaskManager& manager, const TaskId& id, std::int64_t at,
                                         std::int64_t limit);

/// The parameters `data` and `encoding`. Absent: it is no base64.
[[nodiscard]] std::optional<std::string> data_of(const Request& request);

/// Writes all to a task's input, waiting while the command does not read. `written` counts, also where it fails. False:
/// the call was cancelled.
[[nodiscard]] Result<bool> write_all_to(int input, std::string_view bytes, const TaskId& id, const jsonrpc::Call& call,
                                        std::int64_t& written);

/// A write that failed, with how far it came.
[[nodiscard]] Fault fault_of_write(const Error& error, std::int64_t written);

}  // namespace perdure::rpc
