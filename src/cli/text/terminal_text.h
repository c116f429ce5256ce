#pragma once

#include <string>
#include <string_view>

namespace perdure::cli {

/// Output of a command for a terminal (I41, L26): text, and colours if wanted. A line that was overwritten with
/// carriage returns is shown in its last state; all other control sequences become visible.
class TerminalText {
 public:
  /// `live`: a line is shown as it grows, and redrawn in place; else only its last state is shown.
  TerminalText(bool colours, bool live) : colours_(colours), live_(live) {}

  /// The text to print for the next bytes. An incomplete end is held back until more bytes come.
  [[nodiscard]] std::string take(std::string_view bytes);
  /// The text that was held back, at the end.
  [[nodiscard]] std::string finish();

 private:
  void end_line(std::string& out);
  void show_growth(std::string& out);
  [[nodiscard]] bool take_one(std::string& out);

  bool colours_, live_;
  bool returned_ = false;  // a carriage return came, and no byte after it yet
  bool coloured_ = false;  // the last colour passed on was not the reset
  std::string held_;       // an incomplete character or escape sequence
  std::string line_;       // harmless, the present state of the line
  std::size_t shown_ = 0;  // of line_, in live mode
};

}  // namespace perdure::cli
