#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::view {

/// The screen of a terminal after it received these bytes (`output --screen`): a small terminal, the common part of
/// xterm. It supports text (UTF-8, wide and combining characters), carriage returns, tabs, moving, erasing, inserting,
/// deleting, scrolling regions and the alternate screen; colours and all else are skipped. Any input is safe: only the
/// cells of the screen are kept, a cell has at most 32 bytes, and numbers are bounded by the screen's size.
class ScreenText {
 public:
  /// 1 to 500 rows, 1 to 1,000 columns; other values are clamped.
  ScreenText(int rows, int columns);

  /// Feeds bytes, in pieces of any size.
  void take(std::string_view bytes);

  /// One line for each row, without trailing blanks and empty lines at the bottom; harmless text.
  [[nodiscard]] std::string text() const;

 private:
  struct Cell {
    std::string bytes;     // "" is a blank
    bool covered = false;  // the second half of the wide character on its left
  };
  using Row = std::vector<Cell>;
  struct Picture {
    std::vector<Row> rows;
    int row = 0, column = 0, saved_row = 0, saved_column = 0;
    bool is_full = false;  // the last column was written: the next character starts a line
  };
  enum class State { text, escape, sequence, string, string_escape, skip_one };

  [[nodiscard]] Picture blank() const;
  void take_one(unsigned char c);
  void take_text();
  void put(std::string_view cluster, unsigned width);
  void join(std::string_view mark);
  void control(unsigned char c);
  void escape(unsigned char c);
  void sequence(char final);
  void mode(bool on);
  void move(int row, int column);
  void down();
  void up();
  void scroll(int from, int count);
  void erase(int row, int from, int to);
  void erase_display(int what);
  void shift(int count);
  [[nodiscard]] int number(std::size_t at, int otherwise) const;

  int height_, width_, top_ = 0, bottom_;
  Picture main_, alternate_;
  Picture* now_ = &main_;
  State state_ = State::text;
  bool is_private_ = false, wraps_ = true;
  std::vector<int> numbers_;
  std::string held_;  // an incomplete character
};

}  // namespace perdure::view
