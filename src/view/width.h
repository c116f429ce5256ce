#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// How many columns text takes on a terminal (V62). Pure; the one table for every front end.
namespace perdure::view {

/// What a code point is for the screen.
enum class Width {
  control,  ///< C0, DEL, C1: never to be printed
  bidi,     ///< a bidirectional control
  hidden,   ///< prints nothing
  zero,     ///< drawn over what stands before
  narrow,
  wide
};
[[nodiscard]] Width width_class(char32_t code);

/// What takes one place on the screen: a character with what is drawn over it, or a sequence of emoji.
struct Cluster {
  std::string_view bytes;
  unsigned width = 0;   ///< columns: 0, 1 or 2
  bool certain = true;  ///< false: terminals disagree, so the cursor is to be placed anew behind it
};
/// The first of valid, non-empty UTF-8, which is taken from `text`. At most 32 bytes; marks beyond that are clusters of width 0.
[[nodiscard]] Cluster take_cluster(std::string_view& text);

[[nodiscard]] std::size_t width_of(std::string_view utf8);

/// At most `columns` wide, "…" at the end where something was cut; never inside a cluster.
[[nodiscard]] std::string cut_to(std::string_view utf8, std::size_t columns);

/// The same, filled with blanks to exactly `columns`.
[[nodiscard]] std::string fit_to(std::string_view utf8, std::size_t columns);

}  // namespace perdure::view
