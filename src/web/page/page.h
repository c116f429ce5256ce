#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace perdure::web {

/// A file of the page, as it was at build time.
struct PageFile {
  std::string_view name;                 ///< below src/web/page/files
  std::span<const unsigned char> bytes;  ///< gzipped
};

/// All of them; made by cmake/embed.cmake.
[[nodiscard]] std::span<const PageFile> page_files();

struct Served {
  std::string_view type;
  std::string_view gzipped;
};
/// What stands at a path: "/" is the page itself. Absent: no file of the page.
[[nodiscard]] std::optional<Served> page_file(std::string_view path);

}  // namespace perdure::web
