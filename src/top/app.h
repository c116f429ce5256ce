#pragma once

#include "top/log/log_view.h"
#include "top/screens/list_view.h"
#include "top/screens/prompt.h"
#include "top/screens/question_view.h"
#include "top/screens/text_view.h"
#include "top/terminal/keys.h"
#include "top/terminal/screen.h"
#include "top/terminal/terminal.h"
#include "top/top.h"
#include "top/work/actions.h"
#include "top/work/log_watch.h"
#include "view/index.h"

#include <memory>
#include <optional>

namespace perdure::top {

/// The screens of top and the loop that waits for events.
///
/// One screen is shown: the list with, if there is room, a pane of the selected task's log; the whole log; the activity
/// of a subagent; its processes; a question; the help. An open prompt in the last row takes all keys. No state is kept
/// here whose loss matters.
class App {
 public:
  App(TaskManager& manager, Options options, Terminal& terminal, Fd wake);

  [[nodiscard]] Result<int> run();

 private:
  enum class Shown { list, log, activity, processes, question, help };

  // Events (app.cpp).
  void wait();
  void on_input();
  void on_signals();
  void on_index();
  void on_log(std::int64_t now);
  void on_wake();
  [[nodiscard]] std::optional<std::int64_t> next_due(std::int64_t now) const;

  // app_draw.cpp
  void draw();
  void draw_header();
  void draw_list();
  void draw_last_row();
  [[nodiscard]] std::string hints() const;
  void choose_log();
  [[nodiscard]] std::string log_title() const;

  // app_keys.cpp
  void on_key(const Key& key);
  void on_list_key(const Key& key);
  void on_log_key(const Key& key);
  void on_question_key(const Key& key);
  bool on_task_key(const Key& key);
  void ask(std::string label, std::function<void(const std::string&)> done, bool yes_or_no = false);
  void act(const std::string& doing, const std::string& command, std::function<Result<std::string>()> work);
  void stop_task(const TaskId& id, const std::string& reason);
  void extend_task(const TaskId& id, const std::string& text);
  void resume_agent(const view::Row& task, const std::string& prompt);
  void write_line(const TaskId& id, const std::string& line);
  void remove_task(const TaskId& id);
  void open_question(const TaskId& id);
  void send_answer();
  void open_activity(const view::Row& task);
  void show_processes(const TaskId& id);
  void open_pager(const TaskId& id);
  void copy(const std::string& text);
  void say(std::string text) { message_ = std::move(text); }

  TaskManager& manager_;
  const Options options_;
  Terminal& terminal_;
  const Fd wake_;
  view::Index index_;
  Screen screen_;
  KeyReader keys_;
  ListView list_;
  Actions actions_;
  LogWatch log_watch_;

  Shown shown_ = Shown::list;
  bool pane_focused_ = false;
  int clicked_row_ = -1;
  std::string log_id_;
  std::unique_ptr<LogView> log_, activity_;
  std::optional<QuestionView> question_;
  TextView text_;
  std::optional<TaskId> processes_of_;
  std::optional<Prompt> prompt_;
  std::string message_;

  bool dirty_ = true;
  int exit_ = -1;
  std::int64_t log_drawn_ = 0;  // steady clock, ms
  bool log_waits_ = false;      // it has grown since it was drawn
  std::int64_t key_waits_ = 0;  // when an escape came; 0: none did
};

}  // namespace perdure::top
