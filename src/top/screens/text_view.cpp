#include "top/screens/text_view.h"

#include "top/screens/words.h"

#include <algorithm>

namespace perdure::top {

void TextView::draw(Screen& screen, int first_row, int rows) {
  rows_ = std::max(1, rows);
  top_ = std::clamp(top_, 0, std::max(0, static_cast<int>(lines_.size()) - rows_));
  for (int i = 0; i < rows_ && top_ + i < static_cast<int>(lines_.size()); ++i)
    screen.put(first_row + i, 1, lines_[static_cast<std::size_t>(top_ + i)]);
}

bool TextView::on_key(const Key& key) {
  using enum Key::Name;
  const int all = static_cast<int>(lines_.size());
  if (key.is("j") || key.name == down) {
    ++top_;
  } else if (key.is("k") || key.name == up) {
    --top_;
  } else if (key.name == page_down || key.is(" ") || key.is_control('d')) {
    top_ += rows_;
  } else if (key.name == page_up || key.is_control('u')) {
    top_ -= rows_;
  } else if (key.is("g") || key.name == home) {
    top_ = 0;
  } else if (key.is("G") || key.name == end) {
    top_ = all;
  } else if (key.name == wheel_down) {
    top_ += 3;
  } else if (key.name == wheel_up) {
    top_ -= 3;
  } else {
    return false;
  }
  top_ = std::clamp(top_, 0, std::max(0, all - 1));
  return true;
}

std::vector<std::string> help_lines() {
  return {"Moving",
          "  j k, arrows, mouse   one line             g G, Home End   first, last",
          "  ^d ^u                half a screen        PgUp PgDn       a screen",
          "  Enter, l, click      the whole log        h, Esc          back",
          "  Tab                  list or log pane     q               leave; no task ends",
          "",
          "List",
          "  f   only rows with a text                 t   all or active tasks",
          "  o   sort: state, started, ended, duration",
          "",
          "Log",
          "  /   search forward      ?   backward      n N  next, previous match",
          "  &   only the lines that match; Enter shows one among its neighbours",
          "  F   follow              w   wrap          !   jump to the last failure",
          "  e   in $PAGER           y   copy the path, in the log the line",
          "",
          "A word is looked for as it is, without capitals in any case;",
          "an expression is one of RE2.",
          "",
          "Tasks",
          "  s   stop (then y)       S   stop with a reason",
          "  a   answer a question   +   give more time",
          "  r   resume an agent     i   type a line to its input",
          "  p   processes           A   activity of an agent",
          "  d   remove an ended task",
          "",
          "Each action shows the command that does the same."};
}

}  // namespace perdure::top
