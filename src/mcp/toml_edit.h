#pragma once

#include "mcp/json_edit.h"
#include <perdure/error.h>

#include <optional>
#include <string>
#include <string_view>

// Changes one table of a TOML file; everything else stays unchanged, byte for byte. Pure.
namespace perdure::mcp {

/// The text of the table [GROUP.NAME] with its sub-tables, from its header to its last entry; absent if there is none.
/// Errors: config_invalid if it is written in another form (inline, dotted keys) or in several places.
[[nodiscard]] Result<std::optional<Splice>> find_toml_table(std::string_view text, const std::string& group,
                                                            const std::string& name);

/// Makes `table` (a header and its entries, ending with a line end) the table [GROUP.NAME], in place of an older one.
/// Absent if it is there already.
[[nodiscard]] Result<std::optional<Splice>> set_toml_table(std::string_view text, const std::string& group,
                                                           const std::string& name, std::string_view table);

}  // namespace perdure::mcp
