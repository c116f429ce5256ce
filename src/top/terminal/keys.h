#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace perdure::top {

/// A pressed key, or an action of the mouse.
struct Key {
  enum class Name {
    text,  ///< a character, or pasted text
    enter,
    escape,
    tab,
    back_tab,
    backspace,
    remove,
    up,
    down,
    left,
    right,
    home,
    end,
    page_up,
    page_down,
    control,  ///< with the letter in `text`, in lower case
    click,
    wheel_up,
    wheel_down
  } name = Name::text;
  std::string text;
  bool pasted = false;
  int row = 0, column = 0;  ///< of the mouse, from 0
  [[nodiscard]] bool is(std::string_view character) const { return name == Name::text && !pasted && text == character; }
  [[nodiscard]] bool is_control(char letter) const { return name == Name::control && text[0] == letter; }
};

struct KeySequence {
  std::string bytes;
  Key::Name key;
};

/// Parses bytes of a terminal into keys. Unknown sequences are dropped.
class KeyReader {
 public:
  explicit KeyReader(std::vector<KeySequence> sequences);
  void add(std::string_view bytes) { held_ += bytes; }
  /// The next key, if it is complete. `no_more`: no byte came for a while, so an escape is the key.
  [[nodiscard]] std::vector<Key> take(bool no_more);
  /// Is a sequence incomplete?
  [[nodiscard]] bool is_waiting() const { return !held_.empty(); }

 private:
  bool take_one(std::vector<Key>& keys, bool no_more);
  bool take_escape(std::vector<Key>& keys, bool no_more);
  bool take_paste(std::vector<Key>& keys);

  std::vector<KeySequence> sequences_;
  std::string held_;
};

}  // namespace perdure::top
