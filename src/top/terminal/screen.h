#pragma once

#include "top/terminal/capabilities.h"
#include "top/terminal/terminal.h"
#include "view/safe_text.h"

#include <string>
#include <string_view>
#include <vector>

namespace perdure::top {

/// The wanted contents of the screen, a cell for each column; only changes are written. Text must be harmless already
/// (view/safe_text.h); controls are dropped all the same.
class Screen {
 public:
  explicit Screen(const Capabilities& can) : can_(can) {}

  /// Begins a new picture: all cells are blank.
  void clear(Size size);
  [[nodiscard]] Size size() const { return size_; }

  /// Writes text from a position on, cut at `end` (a column; -1: the edge). Never splits a wide character. Returns the
  /// column after it.
  int put(int row, int column, std::string_view text, const view::Style& style = {}, int end = -1);
  int put(int row, int column, const view::Line& line, int end = -1);
  /// Sets the style of a whole row.
  void shade(int row, std::uint16_t attributes);
  /// Where the cursor is shown; row -1: nowhere.
  void cursor(int row, int column);

  /// The bytes that turn the last picture into this one.
  [[nodiscard]] std::string take_changes();
  /// The terminal's contents are unknown: everything is written next time.
  void forget() { known_ = false; }

 private:
  struct Cell {
    std::string text = " ";  // empty: the second half of a wide character
    view::Style style;
    bool certain = true;
    bool operator==(const Cell&) const = default;
  };
  [[nodiscard]] Cell& at(int row, int column) {
    return now_[static_cast<std::size_t>(row) * static_cast<std::size_t>(size_.columns) +
                static_cast<std::size_t>(column)];
  }
  void blank(int row, int column);
  void set_style(std::string& out, const view::Style& style) const;

  const Capabilities& can_;
  Size size_;
  std::vector<Cell> now_, shown_;
  Size shown_size_;
  bool known_ = false;
  int cursor_row_ = -1, cursor_column_ = 0;
  bool cursor_shown_ = false;
};

}  // namespace perdure::top
