#pragma once

#include "base/error.h"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A configuration file of another program: read and replaced as a whole; its mode, owner and links stay.
namespace perdure::cli {

/// The absolute path of one that may be relative to the working folder.
[[nodiscard]] Result<std::string> absolute_path(std::string path);

struct ConfigFile {
  std::string path;  ///< as its program names it
  std::string real;  ///< the target of a link
  bool exists = false;
  std::string text;
  mode_t mode = 0600;
  uid_t owner = 0;
  gid_t group = 0;
  std::int64_t inode = 0, changed_ns = 0;
};

/// Reads it; a file that does not exist counts as empty. Errors: config_invalid with the reason (a dangling link, a
/// folder, too large, no permission).
[[nodiscard]] Result<ConfigFile> read_config_file(const std::string& path);

/// Why it must not be replaced; absent if it may. A file without write permission is left unchanged, even if the folder
/// (or being root) would allow it: a user protected it. Of several hard links only one would be replaced.
[[nodiscard]] std::optional<std::string> why_not_writable(const ConfigFile& file);

/// Replaces the file durably, or leaves it unchanged. Makes missing folders; `made_folders` gets them, the topmost
/// first. Errors: config_invalid if another program changed the file since it was read.
[[nodiscard]] Result<> replace_config_file(const ConfigFile& file, std::string_view text,
                                           std::vector<std::string>& made_folders);

/// Removes the file, then those of the folders that are empty, the last one first.
[[nodiscard]] Result<> remove_config_file(const ConfigFile& file, const std::vector<std::string>& folders);

}  // namespace perdure::cli
