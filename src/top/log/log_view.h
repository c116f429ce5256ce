#pragma once

#include "top/log/log_search.h"
#include "top/terminal/keys.h"
#include "top/terminal/screen.h"
#include "view/log.h"

#include <memory>
#include <string>

namespace perdure::top {

/// A part of the screen.
struct Area {
  int row = 0, rows = 0;
};

/// A log on the screen: windows of it are read as they are shown. Also used for the activity of a subagent.
class LogView {
 public:
  /// `shape`: converts a line's bytes for display. `wake` as of LogSearch.
  LogView(view::Read read, int wake, view::Line (*shape)(std::string_view) = view::safe_line);

  void draw(Screen& screen, const Area& area);

  /// Moves, follows, wraps. False: another key.
  bool on_key(const Key& key);

  /// Searches for a pattern. Errors: usage.
  [[nodiscard]] Result<void> search(const std::string& text, bool backward);
  void next_hit(bool backward);
  /// Shows only matching lines; empty: all lines again. Errors: usage.
  [[nodiscard]] Result<void> filter(const std::string& text);
  /// Leaves the filter and shows the line that is marked in it. False: there is no filter.
  bool show_context();
  /// Ends search and filter. False: there was neither.
  bool end_search();
  /// Call when a search has new matches.
  void on_wake();
  /// Call when the log may have grown.
  void on_growth();

  void go_to(std::int64_t offset);
  void go_to_failure();

  [[nodiscard]] bool follows() const { return follows_; }
  /// "follow · wrap · filter: x · 3/17", the parts that apply.
  [[nodiscard]] std::string state_text() const;
  [[nodiscard]] std::int64_t size() const { return size_; }
  /// The text of the first line on the screen, or of the marked one.
  [[nodiscard]] std::string current_line() const { return current_line_; }

 private:
  struct ShownRow {
    std::int64_t offset = 0;  // of the start of its line
    int part = 0;             // of a wrapped line
    view::Line text;
  };
  [[nodiscard]] std::vector<ShownRow> rows_of(const view::TextLine& line, int columns) const;
  [[nodiscard]] view::Line highlighted(view::Line line, const view::Pattern& pattern) const;
  [[nodiscard]] std::vector<ShownRow> last_rows(int count, int columns, std::int64_t before) const;
  [[nodiscard]] std::vector<ShownRow> first_rows(int count, int columns) const;
  void draw_filtered(Screen& screen, const Area& area);
  void move(int rows);
  void find_hit();

  const view::Read read_;
  const int wake_;
  view::Line (*const shape_)(std::string_view);
  bool follows_ = true;
  bool wraps_ = true;
  int left_ = 0;  // columns scrolled to the right, when not wrapping
  std::int64_t top_ = 0;
  int top_part_ = 0;
  std::int64_t size_ = 0;
  int rows_ = 1, columns_ = 80;  // as last drawn
  std::string current_line_, error_;

  std::unique_ptr<LogSearch> search_;
  std::string search_text_;
  bool search_backward_ = false;
  bool wants_hit_ = false;          // show the match as soon as it is found
  std::optional<std::size_t> hit_;  // the shown match, from 0

  std::unique_ptr<LogSearch> filter_;
  std::string filter_text_;
  std::size_t filter_top_ = 0, filter_at_ = 0;
};

}  // namespace perdure::top
