#pragma once

#include <span>
#include <string>
#include <string_view>

// The man pages, made from the tables for parsing and help: verbs, settings, exit statuses.
namespace perdure::cli {

struct ManPage {
  std::string_view file;  ///< "perdure.1"
  std::string (*print)(std::string_view date);
};
[[nodiscard]] std::span<const ManPage> man_pages();

}  // namespace perdure::cli
