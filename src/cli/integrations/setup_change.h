#pragma once

#include "cli/integrations/setup_agents.h"
#include "cli/integrations/setup_check.h"
#include "cli/integrations/setup_file.h"
#include "cli/integrations/setup_record.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The changes that set up one agent, or undo that: prepared as a whole, then written as a whole or not at all.
namespace perdure::cli {

/// A file before and after.
struct Change {
  ConfigFile file;
  std::optional<std::string> after;  ///< absent: the file is removed
  RecordedFile recorded;             ///< stored after the change
  bool has_server = false;

  [[nodiscard]] bool is_needed() const { return !after || *after != file.text; }
  [[nodiscard]] std::string_view action() const {
    if (!is_needed()) return "none";
    return !after ? "remove" : file.exists ? "change" : "create";
  }
};

/// All changes for an agent, none of which is written yet. `notes` gets messages for the user.
[[nodiscard]] Result<std::vector<Change>> prepare_setup(const SetupAgent& agent, const SetupOptions& options,
                                                        std::vector<std::string>& notes);

/// The changes that undo what the record contains. Errors: config_invalid if another program changed an entry since.
[[nodiscard]] Result<std::vector<Change>> prepare_removal(const SetupRecord& record);

/// Writes all files, or restores those that were written.
[[nodiscard]] Result<> write_changes(std::vector<Change>& changes);

/// Writes the record, the files, and checks the server; on failure everything is as before.
[[nodiscard]] Result<ServerCheck> set_up(const SetupAgent& agent, std::vector<Change>& changes);

/// Starts the server as the files now say.
[[nodiscard]] Result<ServerCheck> check_written(const SetupAgent& agent, const std::vector<Change>& changes);

}  // namespace perdure::cli
