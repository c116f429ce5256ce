#pragma once

#include "acp/protocol/connection.h"
#include "base/fd.h"

#include <string>

namespace perdure::acp {

/// fs/read_text_file and fs/write_text_file within one folder only: links that lead out of it are refused.
/// Thread-safe.
class Files {
 public:
  static constexpr std::size_t kMostBytes = 16 << 20;

  /// `folder` is absolute.
  explicit Files(std::string folder);

  [[nodiscard]] Handler::Answer read(const json::object& params) const;
  [[nodiscard]] Handler::Answer write(const json::object& params) const;

 private:
  using Opened = std::expected<Fd, jsonrpc::Fault>;
  [[nodiscard]] Opened open(const std::string& path, int flags, bool with_folders) const;

  std::string folder_, real_folder_;
  Fd root_;
};

}  // namespace perdure::acp
