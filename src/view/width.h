#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// The number of columns of text on a terminal (V62). Pure; the one table for all front ends.
namespace perdure::view {

/// The class of a code point on a terminal.
enum class Width {
  control,  ///< C0, DEL, C1: never to be printed
  bidi,     ///< a bidirectional control
  hidden,   ///< prints nothing
  zero,     ///< combined with the character before
  narrow,
  wide
};
[[nodiscard]] Width width_class(char32_t code);

/// A cluster takes one place on the screen: a character with its combining marks, or a sequence of emoji.
struct Cluster {
  std::string_view bytes;
  unsigned width = 0;   ///< columns: 0, 1 or 2
  bool certain = true;  ///< false: terminals disagree, so the cursor has to be set again after it
};
/// Removes the first cluster from `text`, valid non-empty UTF-8. At most 32 bytes; marks beyond that are clusters of
/// width 0.
[[nodiscard]] Cluster take_cluster(std::string_view& text);

[[nodiscard]] std::size_t width_of(std::string_view utf8);

/// At most `columns` wide, with "…" at the end if it was cut; never cut within a cluster.
[[nodiscard]] std::string cut_to(std::string_view utf8, std::size_t columns);

/// The same, padded with blanks to exactly `columns`.
[[nodiscard]] std::string fit_to(std::string_view utf8, std::size_t columns);

}  // namespace perdure::view
