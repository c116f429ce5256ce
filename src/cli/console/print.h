#pragma once

#include <perdure/manager.h>

#include <string>
#include <string_view>
#include <vector>

// All output for people and programs.
namespace perdure::cli {

/// Writes all of it to standard output at once. If the reader has closed it, the program exits quietly, as a filter
/// does.
void put(std::string_view text);
void put_line(std::string_view line);
/// From now on put() appends to this text instead; nullptr: back to standard output. For Pager.
void hold_back_output(std::string* into);
/// What this command has done, "started bash-0123abcd": printed on standard error if its answer can't be written, since
/// the task exists all the same (L62).
void note_done(std::string what);

/// If the caller closed descriptors 0 to 2, fills them, so that no file gets one of these numbers: reading finds the
/// end, writing fails as on a closed descriptor. Call first in main().
void guard_standard_streams();

/// A note for the user, on standard error.
void note(std::string_view line);

[[nodiscard]] bool stdout_is_terminal();
[[nodiscard]] bool stderr_is_terminal();
/// Columns of the terminal on standard output; 0 if it is not a terminal.
[[nodiscard]] std::size_t terminal_columns();

/// The status' name, coloured on a terminal unless NO_COLOR is set or TERM is dumb.
[[nodiscard]] std::string coloured(Status status, std::string_view text);

/// May colours of a command's output reach the terminal? Not if NO_COLOR is set or TERM is dumb.
[[nodiscard]] bool wants_colour();

/// One line: how a task ended, or that it is running; without its id.
[[nodiscard]] std::string outcome_text(const Task& task);

/// Which tasks it follows: "bash-0123abcd, bash-4567efgh (however it ends)"; "" for none.
[[nodiscard]] std::string after_text(const Task& task);

/// Where it runs: "gpu (gpu1)", "slurm job 123 (n1)".
[[nodiscard]] std::string place_text(const ExecutorState& executor);

/// The exit status that stands for a task's outcome (docs/reference/cli.md).
[[nodiscard]] int exit_status_of(const Task& task);

/// A record as in `--json`: the record, and the facts found while reading it.
[[nodiscard]] std::string task_json(const Task& task);
[[nodiscard]] std::string tasks_json(const std::vector<Task>& tasks);
/// `{"error":{"code":...}}`
[[nodiscard]] std::string error_json(const Error& error);

/// A progress line on standard error, if that is a terminal. Shown after one second; erased at the end.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(std::string_view text);
  [[nodiscard]] bool is_wanted() const { return wanted_; }

 private:
  bool wanted_;
  bool shown_ = false;
};

/// Makes Ctrl-C and SIGTERM readable on a descriptor; they do not end the program.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool came() const;

 private:
  int fd_;
};

inline constexpr int kInterrupted = 130;

}  // namespace perdure::cli
