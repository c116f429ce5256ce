#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::view {

/// What a terminal would show that was given these bytes (`output --screen`): a small terminal, xterm's common part.
/// It knows text (UTF-8, wide and combining characters), carriage returns, tabs, moving, erasing, inserting, deleting,
/// scrolling regions and the alternate screen; colours and whatever else is skipped. Any bytes are safe: nothing of the
/// input is kept but the cells of the screen, a cell has at most 32 bytes, and numbers are bounded by the screen's size.
class ScreenText {
 public:
  /// 1 to 500 rows, 1 to 1,000 columns; what is outside is brought in.
  ScreenText(int rows, int columns);

  /// In pieces of any size.
  void take(std::string_view bytes);

  /// One line a row, without blanks at the ends and without empty lines at the bottom; harmless text.
  [[nodiscard]] std::string text() const;

 private:
  struct Cell {
    std::string bytes;     // "" is a blank
    bool covered = false;  // by the wide character on its left
  };
  using Row = std::vector<Cell>;
  struct Picture {
    std::vector<Row> rows;
    int row = 0, column = 0, saved_row = 0, saved_column = 0;
    bool is_full = false;  // the last column was written: the next character begins a line
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
  std::string held_;  // the beginning of a character
};

}  // namespace perdure::view
