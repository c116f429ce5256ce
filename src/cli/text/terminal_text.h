#pragma once

#include <string>
#include <string_view>

namespace perdure::cli {

/// Output of a command as a terminal may get it (I41, L26): text, and colours where they are wanted; of a line that was
/// written over with carriage returns its last state; everything else that could act on the terminal becomes visible.
class TerminalText {
 public:
  /// `live`: a line is shown as it grows, and drawn again in place; else only its last state is shown.
  TerminalText(bool colours, bool live) : colours_(colours), live_(live) {}

  /// What to print for the next bytes. The end of what came may be kept back until more has come.
  [[nodiscard]] std::string take(std::string_view bytes);
  /// What was kept back, at the end.
  [[nodiscard]] std::string finish();

 private:
  void end_line(std::string& out);
  void show_growth(std::string& out);
  [[nodiscard]] bool take_one(std::string& out);

  bool colours_, live_;
  bool returned_ = false;  // a carriage return came, and nothing behind it yet
  bool coloured_ = false;  // the last colour that was passed on was not the reset
  std::string held_;       // not taken yet: the beginning of a character or of an escape sequence
  std::string line_;       // harmless, as the line is now
  std::size_t shown_ = 0;  // of line_, in live mode
};

}  // namespace perdure::cli
