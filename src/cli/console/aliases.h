#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace perdure::cli {

/// The verb for a word that other tools use (I44); "" for none.
[[nodiscard]] std::string_view verb_of_alias(std::string_view word);

/// The other words for a verb, separated by ", "; "" if there are none.
[[nodiscard]] std::string aliases_of(std::string_view verb);

/// Converts the arguments of such a word to those of the verb; may change the verb: `kill -9 ID` is `signal ID 9`,
/// `status ID` is `show ID`, `restart ID` is `rerun ID --if-running replace`.
void translate_alias(std::string_view word, std::string& verb, std::vector<std::string>& arguments);

}  // namespace perdure::cli
