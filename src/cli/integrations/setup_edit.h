#pragma once

#include "base/error.h"
#include "mcp/json_edit.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The changes that `perdure setup` makes in a file, in a form that can be undone after other programs changed the file.
// Pure.
namespace perdure::cli {

struct Edit {
  enum class Kind {
    member,  ///< a member of a JSON object
    item,    ///< an item of a JSON array
    table,   ///< a table of TOML
  };
  Kind kind = Kind::member;
  mcp::JsonPath path;
  std::string value;
};

/// An edit that was made.
struct Step {
  Edit edit;
  mcp::Splice splice;
  std::optional<std::string> older;  ///< the value that was replaced, as strict JSON
  int parents_made = 0;              ///< how many of the containers above it did not exist
};

struct Edited {
  std::string text;
  std::vector<Step> steps;
};

/// Makes the edits, one after the other. Errors: config_invalid if the text is malformed.
[[nodiscard]] Result<Edited> make_edits(std::string_view text, const std::vector<Edit>& edits);

/// Undoes the steps: byte for byte if their text is still there, else by value. Steps that are gone already are
/// skipped. Errors: config_invalid if the value was changed since.
[[nodiscard]] Result<std::string> undo_edits(std::string_view text, const std::vector<Step>& steps);

/// Checks the whole text. Errors: config_invalid with the place.
[[nodiscard]] Result<> check_format(std::string_view text, bool is_toml);

}  // namespace perdure::cli
