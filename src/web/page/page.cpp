#include "web/page/page.h"

namespace perdure::web {
namespace {

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  if (name.ends_with(".webmanifest")) return "application/manifest+json";
  return "text/plain; charset=utf-8";
}

}  // namespace

std::optional<Served> page_file(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  const std::string_view wanted = path == "/" ? std::string_view("index.html") : path.substr(1);
  for (const auto& file : page_files())
    if (file.name == wanted) {
      // Any object may be read through char.
      const void* const bytes = file.bytes.data();
      return Served{type_of(file.name), {static_cast<const char*>(bytes), file.bytes.size()}};
    }
  return std::nullopt;
}

}  // namespace perdure::web
