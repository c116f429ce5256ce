#include "top/screens/prompt.h"

#include "base/utf8.h"
#include "top/screens/words.h"
#include "view/width.h"

#include <algorithm>

namespace perdure::top {

void Prompt::draw(Screen& screen, int row) const {
  const int after = screen.put(row, 0, view::cut_to(label, static_cast<std::size_t>(screen.size().columns / 2)),
                               plain_style(view::Style::kBold));
  const int room = screen.size().columns - after - 2;
  // The end of a long line is shown, since the user types there.
  std::string shown = view::safe_words(text);
  while (static_cast<int>(view::width_of(shown)) > room && !shown.empty()) {
    std::string_view rest = shown;
    static_cast<void>(view::take_cluster(rest));
    shown = std::string(rest);
  }
  screen.cursor(row, screen.put(row, after + 1, shown));
}

bool Prompt::on_key(const Key& key) {
  using Name = Key::Name;
  if (key.name == Name::escape || key.is_control('c')) return true;
  if (yes_or_no) {
    accepted = key.is("y") || key.is("Y");
    return true;
  }
  if (key.name == Name::enter) {
    accepted = true;
    return true;
  }
  if (key.name == Name::backspace && !text.empty()) {
    do text.pop_back();
    while (!text.empty() && incomplete_suffix(text) > 0 && !is_valid_utf8(text));
  } else if (key.is_control('u')) {
    text.clear();
  } else if (key.is_control('w')) {
    while (text.ends_with(' ')) text.pop_back();
    text.resize(text.rfind(' ') == std::string::npos ? 0 : text.rfind(' ') + 1);
  } else if (key.name == Name::text && text.size() < 65'536) {
    text += key.text;
  }
  return false;
}

}  // namespace perdure::top
