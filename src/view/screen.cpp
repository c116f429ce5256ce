#include "view/screen.h"

#include "base/utf8.h"
#include "view/width.h"

#include <algorithm>

// A state machine over bytes: text -> escape (after ESC) -> sequence (after ESC [) -> text, or string (after ESC ], P,
// _, ^, X) until BEL or ESC \. CAN and SUB end each of them. A control inside a sequence takes effect, as on a
// terminal.
namespace perdure::view {
namespace {

constexpr int kMostRows = 500, kMostColumns = 1'000, kTabColumns = 8;
constexpr std::size_t kMostNumbers = 16, kMostOfCell = 32;
constexpr int kMostNumber = 10'000;
constexpr unsigned char kEscapeByte = 0x1B;

// Is this character (one, valid UTF-8) neither a control nor a change of text direction?
bool is_drawn_over(std::string_view mark) {
  if (mark.size() < 2) return false;
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(mark[i])); };
  char32_t code = byte(0) & (mark.size() == 2 ? 0x1FU : mark.size() == 3 ? 0x0FU : 0x07U);
  for (std::size_t i = 1; i < mark.size(); ++i) code = (code << 6U) | (byte(i) & 0x3FU);
  return width_class(code) == Width::zero;
}

}  // namespace

ScreenText::ScreenText(int rows, int columns)
    : height_(std::clamp(rows, 1, kMostRows)), width_(std::clamp(columns, 1, kMostColumns)), bottom_(height_ - 1) {
  main_ = blank();
  alternate_ = blank();
}

ScreenText::Picture ScreenText::blank() const {
  Picture picture;
  picture.rows.assign(static_cast<std::size_t>(height_), Row(static_cast<std::size_t>(width_)));
  return picture;
}

void ScreenText::take(std::string_view bytes) {
  for (const char c : bytes) take_one(static_cast<unsigned char>(c));
  take_text();
}

void ScreenText::take_one(unsigned char c) {
  if (state_ == State::text && c >= 0x20 && c != 0x7F) {
    held_ += static_cast<char>(c);
    if (held_.size() >= 4096) take_text();
    return;
  }
  if (state_ == State::text && !held_.empty()) {
    take_text();
    if (!held_.empty()) put("\xEF\xBF\xBD", 1);  // an incomplete character
    held_.clear();
  }
  if (state_ == State::string || state_ == State::string_escape) {
    const bool ends = c == 0x07 || c == 0x18 || c == 0x1A || (state_ == State::string_escape && c == '\\');
    state_ = ends ? State::text : c == kEscapeByte ? State::string_escape : State::string;
    return;
  }
  if (c == kEscapeByte) {
    state_ = State::escape;
    return;
  }
  if (c == 0x18 || c == 0x1A) {
    state_ = State::text;
    return;
  }
  if (c < 0x20 || c == 0x7F) return control(c);
  switch (state_) {
    case State::escape: return escape(c);
    case State::skip_one: state_ = State::text; return;
    default: break;
  }
  // Executes a sequence.
  if (c >= '0' && c <= '9') {
    int& last = numbers_.back();
    if (last < 0) last = 0;
    last = std::min(kMostNumber, last * 10 + (c - '0'));
  } else if (c == ';' || c == ':') {
    if (numbers_.size() < kMostNumbers) numbers_.push_back(-1);
  } else if ((c >= '<' && c <= '?') || c <= '/') {  // private, or with an intermediate byte: another sequence
    is_private_ = true;
  } else if (c >= 0x40 && c <= 0x7E) {
    state_ = State::text;
    sequence(static_cast<char>(c));
  }
}

// The held bytes, except for an incomplete character at their end.
void ScreenText::take_text() {
  if (held_.empty()) return;
  const std::size_t whole = held_.size() - incomplete_suffix(held_);
  const std::string valid = to_valid_utf8(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  for (std::string_view rest = valid; !rest.empty();) {
    const Cluster cluster = take_cluster(rest);
    if (cluster.width == 0) {
      join(cluster.bytes);
    } else {
      put(cluster.bytes, cluster.width);
    }
  }
}

void ScreenText::put(std::string_view cluster, unsigned width) {
  Picture& now = *now_;
  const int wide = static_cast<int>(width);
  if (wide > width_) return;
  if (now.is_full || now.column + wide > width_) {
    if (wraps_) {
      now.column = 0;
      down();
    } else {
      now.column = width_ - wide;
    }
  }
  now.is_full = false;
  Row& row = now.rows[static_cast<std::size_t>(now.row)];
  const auto at = static_cast<std::size_t>(now.column);
  // Blanks the other half of a wide character.
  if (row[at].covered && at > 0) row[at - 1] = {};
  if (at + width < row.size() && row[at + width].covered) row[at + width] = {};
  row[at] = {.bytes = std::string(cluster.substr(0, kMostOfCell)), .covered = false};
  if (width == 2) row[at + 1] = {.bytes = {}, .covered = true};
  now.column += wide;
  if (now.column < width_) return;
  now.column = width_ - 1;
  now.is_full = true;
}

// A combining mark is added to the cell on the left.
void ScreenText::join(std::string_view mark) {
  Picture& now = *now_;
  Row& row = now.rows[static_cast<std::size_t>(now.row)];
  int column = now.is_full ? now.column : now.column - 1;
  if (column > 0 && row[static_cast<std::size_t>(column)].covered) --column;
  if (column < 0) return;
  std::string& bytes = row[static_cast<std::size_t>(column)].bytes;
  if (!is_drawn_over(mark)) return;
  if (!bytes.empty() && bytes.size() + mark.size() <= kMostOfCell) bytes += mark;
}

void ScreenText::control(unsigned char c) {
  Picture& now = *now_;
  switch (c) {
    case '\r': now.column = 0; break;
    case '\n':
    case '\v':
    case '\f': {
      const int column = now.column;
      down();
      now.column = column;
      break;
    }
    case '\b': now.column = std::max(0, now.column - 1); break;
    case '\t': now.column = std::min(width_ - 1, (now.column / kTabColumns + 1) * kTabColumns); break;
    default: return;
  }
  now.is_full = false;
}

void ScreenText::escape(unsigned char c) {
  state_ = State::text;
  Picture& now = *now_;
  switch (c) {
    case '[':
      state_ = State::sequence;
      numbers_.assign(1, -1);
      is_private_ = false;
      return;
    case ']':
    case 'P':
    case '_':
    case '^':
    case 'X': state_ = State::string; return;
    case '(':
    case ')':
    case '*':
    case '+':
    case '#':
    case '%':
    case ' ': state_ = State::skip_one; return;
    case '7':
      now.saved_row = now.row;
      now.saved_column = now.column;
      return;
    case '8': return move(now.saved_row, now.saved_column);
    case 'D': return down();
    case 'E': now.column = 0; return down();
    case 'M': return up();
    case 'c':
      main_ = blank();
      alternate_ = blank();
      now_ = &main_;
      top_ = 0;
      bottom_ = height_ - 1;
      wraps_ = true;
      return;
    default: return;
  }
}

int ScreenText::number(std::size_t at, int otherwise) const {
  return at < numbers_.size() && numbers_[at] > 0 ? numbers_[at] : otherwise;
}

void ScreenText::sequence(char final) {
  if (is_private_) {
    if (final == 'h' || final == 'l') mode(final == 'h');
    return;
  }
  Picture& now = *now_;
  const int n = number(0, 1);
  const int what = number(0, 0);
  const int row = now.row, column = now.column;
  const bool is_inside = row >= top_ && row <= bottom_;
  switch (final) {
    case 'A': return move(std::max(row >= top_ ? top_ : 0, row - n), column);
    case 'B':
    case 'e': return move(std::min(row <= bottom_ ? bottom_ : height_ - 1, row + n), column);
    case 'C':
    case 'a': return move(row, column + n);
    case 'D': return move(row, column - n);
    case 'E': return move(std::min(row <= bottom_ ? bottom_ : height_ - 1, row + n), 0);
    case 'F': return move(std::max(row >= top_ ? top_ : 0, row - n), 0);
    case 'G':
    case '`': return move(row, n - 1);
    case 'H':
    case 'f': return move(n - 1, number(1, 1) - 1);
    case 'd': return move(n - 1, column);
    case 'J': return erase_display(what);
    case 'K': now.is_full = false; return erase(row, what == 0 ? column : 0, what == 1 ? column + 1 : width_);
    case 'X': now.is_full = false; return erase(row, column, std::min(width_, column + n));
    case 'P': return shift(-n);
    case '@': return shift(n);
    case 'L':
      if (is_inside) scroll(row, -n);
      return;
    case 'M':
      if (is_inside) scroll(row, n);
      return;
    case 'S': return scroll(top_, n);
    case 'T': return scroll(top_, -n);
    case 'r': {
      const int top = n - 1, bottom = number(1, height_) - 1;
      if (top >= bottom || bottom >= height_) return;
      top_ = top;
      bottom_ = bottom;
      return move(0, 0);
    }
    case 's':
      now.saved_row = row;
      now.saved_column = column;
      return;
    case 'u': return move(now.saved_row, now.saved_column);
    default: return;
  }
}

void ScreenText::mode(bool on) {
  for (const int which : numbers_) {
    if (which == 7) wraps_ = on;
    if (which != 47 && which != 1047 && which != 1049) continue;
    if (on == (now_ == &alternate_)) continue;
    if (on) {
      alternate_ = blank();
      if (which == 1049) {
        main_.saved_row = main_.row;
        main_.saved_column = main_.column;
      }
      alternate_.row = main_.row;
      alternate_.column = main_.column;
      now_ = &alternate_;
    } else {
      now_ = &main_;
      if (which == 1049) move(main_.saved_row, main_.saved_column);
    }
    top_ = 0;
    bottom_ = height_ - 1;
  }
}

void ScreenText::move(int row, int column) {
  now_->row = std::clamp(row, 0, height_ - 1);
  now_->column = std::clamp(column, 0, width_ - 1);
  now_->is_full = false;
}

void ScreenText::down() {
  if (now_->row == bottom_) {
    scroll(top_, 1);
  } else {
    now_->row = std::min(height_ - 1, now_->row + 1);
  }
  now_->is_full = false;
}

void ScreenText::up() {
  if (now_->row == top_) {
    scroll(top_, -1);
  } else {
    now_->row = std::max(0, now_->row - 1);
  }
  now_->is_full = false;
}

// Moves the rows from `from` to the region's end up by `count`, or down.
void ScreenText::scroll(int from, int count) {
  const int most = bottom_ - from + 1;
  count = std::clamp(count, -most, most);
  const auto first = now_->rows.begin() + from;
  const auto last = now_->rows.begin() + bottom_ + 1;
  if (count > 0) {
    std::rotate(first, first + count, last);
    for (int row = bottom_ - count + 1; row <= bottom_; ++row) erase(row, 0, width_);
  } else if (count < 0) {
    std::rotate(first, last + count, last);
    for (int row = from; row < from - count; ++row) erase(row, 0, width_);
  }
}

void ScreenText::erase(int row, int from, int to) {
  Row& cells = now_->rows[static_cast<std::size_t>(row)];
  if (from > 0 && from < width_ && cells[static_cast<std::size_t>(from)].covered)
    cells[static_cast<std::size_t>(from) - 1] = {};
  if (to < width_ && cells[static_cast<std::size_t>(to)].covered) cells[static_cast<std::size_t>(to)] = {};
  for (int column = from; column < to; ++column) cells[static_cast<std::size_t>(column)] = {};
}

void ScreenText::erase_display(int what) {
  const int row = now_->row, column = now_->column;
  now_->is_full = false;
  if (what == 0) erase(row, column, width_);
  if (what == 1) erase(row, 0, column + 1);
  for (int other = 0; other < height_; ++other)
    if (what == 2 || (what == 0 && other > row) || (what == 1 && other < row)) erase(other, 0, width_);
}

// Moves the cells from the cursor on to the right by `count`, or to the left.
void ScreenText::shift(int count) {
  Row& cells = now_->rows[static_cast<std::size_t>(now_->row)];
  const int column = now_->column, most = width_ - column;
  count = std::clamp(count, -most, most);
  now_->is_full = false;
  const auto first = cells.begin() + column;
  if (count > 0) {
    std::rotate(first, cells.end() - count, cells.end());
    erase(now_->row, column, column + count);
  } else if (count < 0) {
    std::rotate(first, first - count, cells.end());
    erase(now_->row, width_ + count, width_);
  }
}

std::string ScreenText::text() const {
  std::string all;
  std::size_t end = 0;  // end of the last line that is not empty
  for (const auto& row : now_->rows) {
    std::string line;
    std::size_t shown = 0;
    for (const auto& cell : row) {
      if (cell.covered) continue;
      line += cell.bytes.empty() ? " " : cell.bytes;
      if (!cell.bytes.empty() && cell.bytes != " ") shown = line.size();
    }
    all += line.substr(0, shown) + "\n";
    if (shown > 0) end = all.size();
  }
  all.resize(end);
  return all;
}

}  // namespace perdure::view
