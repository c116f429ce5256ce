#pragma once

#include "top/terminal/keys.h"
#include "top/terminal/screen.h"
#include "view/index.h"

#include <optional>
#include <string>

namespace perdure::top {

/// The tasks as rows, one of them selected.
class ListView {
 public:
  explicit ListView(view::Index& index) : index_(index) {}

  /// The headings of the columns, in the first row.
  void draw(Screen& screen, int first_row, int rows, bool focused);

  /// Moves, sorts, shows all or active ones. False: another key.
  bool on_key(const Key& key);

  void set_filter(const std::string& text) { filter_.text = text; }
  [[nodiscard]] const std::string& filter_text() const { return filter_.text; }
  [[nodiscard]] std::optional<view::Row> selected() const;
  [[nodiscard]] std::size_t matched() const { return matched_; }
  [[nodiscard]] std::string state_text() const;
  /// When the drawn rows become outdated without an event, ms since the epoch; absent: never.
  [[nodiscard]] std::optional<std::int64_t> due() const { return due_; }

 private:
  struct Columns {
    int id = 18, status = 12, age = 5, time = 8, exit = 5, last = 9;
    bool symbols = false;  // show the status as a symbol only
  };
  [[nodiscard]] static Columns columns_for(int width);
  void draw_row(Screen& screen, int row, const view::Row& task, const Columns& columns, std::int64_t now);
  void settle();
  void move(std::int64_t rows);

  view::Index& index_;
  view::Filter filter_;
  view::Sort sort_ = view::Sort::status;
  std::string selected_;
  std::size_t place_ = 0, top_ = 0, matched_ = 0;
  int first_row_ = 1, rows_ = 1;
  bool moved_ = false;  // the position decides, not the task that was selected
  std::optional<std::int64_t> due_;
};

/// "● running", "? open", "✗ failed".
[[nodiscard]] std::string status_text(const view::Row& task, bool symbol_only);

}  // namespace perdure::top
