#pragma once

#include <perdure/manager.h>

#include <termios.h>

#include <string>
#include <string_view>

namespace perdure::cli {

/// The size of the caller's terminal, if it has one.
[[nodiscard]] std::optional<TerminalSize> size_of_terminal();

/// Is this process in the foreground of the terminal on standard input? Only then is it read (I01).
[[nodiscard]] bool has_terminal_input();

/// Remembers what a command switched on in the terminal, so that it can be switched off again (I05).
class TerminalModes {
 public:
  void see(std::string_view output);
  /// What undoes all of it.
  [[nodiscard]] std::string undo() const;

 private:
  void set(std::string_view numbers, bool on);
  std::string held_;
  std::map<int, bool> modes_;
  int keyboard_levels_ = 0;
  bool changed_ = false;
};

/// The settings of the terminal on standard input, while they are changed. Restores them when it goes.
class TerminalSettings {
 public:
  TerminalSettings();
  ~TerminalSettings() { restore(); }
  TerminalSettings(const TerminalSettings&) = delete;
  TerminalSettings& operator=(const TerminalSettings&) = delete;

  /// Every key arrives, byte for byte.
  void make_raw();
  /// Only: the terminal sends SIGQUIT for this key; 0: for none.
  void set_quit_key(char key);
  void restore();

 private:
  void apply(const termios& wanted);
  termios before_{};
  bool is_terminal_ = false, changed_ = false;
};

/// For one who only watches: without what makes a terminal answer or reaches the clipboard or title (I06).
class WatchFilter {
 public:
  [[nodiscard]] std::string take(std::string_view bytes);

 private:
  std::string held_;
};

}  // namespace perdure::cli
