#pragma once

#include "cli/integrations/setup_edit.h"

#include <string>
#include <string_view>
#include <vector>

// What `perdure setup` did for an agent, so that `--remove` can undo exactly that. It contains the changed places only,
// never the rest of a file, since those files contain secrets of other programs.
namespace perdure::cli {

struct RecordedFile {
  std::string path;
  bool created = false;              ///< the file did not exist before
  std::vector<std::string> folders;  ///< made for it, the topmost first
  std::vector<Step> steps;
};

struct SetupRecord {
  std::vector<RecordedFile> files;

  [[nodiscard]] RecordedFile* find(std::string_view path);
};

/// Empty if nothing was set up. Errors: record_invalid.
[[nodiscard]] Result<SetupRecord> load_setup_record(const std::string& agent);

/// Saves it durably; an empty one is removed.
[[nodiscard]] Result<> save_setup_record(const std::string& agent, const SetupRecord& record);

}  // namespace perdure::cli
