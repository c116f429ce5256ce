#pragma once

#include <perdure/manager.h>

#include <termios.h>

#include <string>
#include <string_view>

namespace perdure::cli {

/// The size of the caller's terminal, if it has one.
[[nodiscard]] std::optional<TerminalSize> size_of_terminal();

/// Is this process in the foreground of the terminal on standard input? Standard input is read only then (I01).
[[nodiscard]] bool has_terminal_input();

/// Remembers the modes that a command switched on in the terminal, to switch them off again (I05).
class TerminalModes {
 public:
  void see(std::string_view output);
  /// The escape sequences that switch them off.
  [[nodiscard]] std::string undo() const;

 private:
  void set(std::string_view numbers, bool on);
  std::string held_;
  std::map<int, bool> modes_;
  int keyboard_levels_ = 0;
  bool changed_ = false;
};

/// Changes the settings of the terminal on standard input; the destructor restores them.
class TerminalSettings {
 public:
  TerminalSettings();
  ~TerminalSettings() { restore(); }
  TerminalSettings(const TerminalSettings&) = delete;
  TerminalSettings& operator=(const TerminalSettings&) = delete;

  /// Raw mode: every key arrives as its bytes.
  void make_raw();
  /// Changes only the key for which the terminal sends SIGQUIT; 0: none.
  void set_quit_key(char key);
  void restore();

 private:
  void apply(const termios& wanted);
  termios before_{};
  bool is_terminal_ = false, changed_ = false;
};

/// Filters the output for a read-only view: removes queries that a terminal answers, clipboard access and titles (I06).
class WatchFilter {
 public:
  [[nodiscard]] std::string take(std::string_view bytes);

 private:
  std::string held_;
};

}  // namespace perdure::cli
