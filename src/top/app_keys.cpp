#include "base/error.h"
#include "base/fd.h"
#include "base/words.h"
#include "top/app.h"
#include "top/log/activity_line.h"
#include "top/screens/words.h"
#include "top/work/processes.h"
#include <perdure/agent.h>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>

namespace perdure::top {
namespace {

constexpr int kInputPatienceMs = 5'000;

// Base64, for OSC 52.
std::string encoded(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = (three << 8U) | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? kDigits[(three >> (18U - 6U * k)) & 63U] : '=';
  }
  return text;
}

Result<void> write_all_within(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (errno != EAGAIN || ::poll(&ready, 1, kInputPatienceMs) <= 0)
      return fail_errno("writing to", "the task's input", ErrorCode::task_not_running);
  }
  return {};
}

}  // namespace

void App::ask(std::string label, std::function<void(const std::string&)> done, bool yes_or_no) {
  prompt_ = Prompt{.label = std::move(label), .text = {}, .yes_or_no = yes_or_no, .done = std::move(done)};
}

void App::act(const std::string& doing, const std::string& command, std::function<Result<std::string>()> work) {
  say(fmt::format("{}  $ {} {}", doing, options_.command, command));
  actions_.start(std::move(work));
}

void App::stop_task(const TaskId& id, const std::string& reason) {
  const std::string command =
      fmt::format("stop {}{}", id.str(), reason.empty() ? "" : " --reason " + shell_word(reason));
  act(fmt::format("stopping {}…", id.str()), command, [this, id, reason]() -> Result<std::string> {
    auto task = manager_.stop(id, {.reason = reason, .grace = {}, .by = {}});
    if (!task) return std::unexpected(task.error());
    return fmt::format("{} is {}", id.str(), name_of(task->status));
  });
}

void App::extend_task(const TaskId& id, const std::string& text) {
  auto length = parse_duration(text);
  if (!length) return say(length.error().message);
  act(fmt::format("{}:", id.str()), fmt::format("extend {} --timeout {}", id.str(), shell_word(text)),
      [this, id, length = *length]() -> Result<std::string> {
        auto task = manager_.extend(id, length);
        if (!task) return std::unexpected(task.error());
        return length.count() == 0 ? fmt::format("{} has no deadline now", id.str())
                                   : fmt::format("{} may run {} from now", id.str(), length_text(length.count()));
      });
}

void App::resume_agent(const view::Row& task, const std::string& prompt) {
  act("resuming…", fmt::format("agent --resume {} {}", shell_word(task.agent_id), shell_word(prompt)),
      [this, agent = task.agent_id, owner = task.owner, prompt]() -> Result<std::string> {
        AgentOptions options;
        options.resume = agent;
        options.prompt = prompt;
        if (!owner.empty()) options.start.owner = owner;
        auto started = manager_.start(options);
        if (!started) return std::unexpected(started.error());
        return fmt::format("{} goes on with {}", started->id.str(), agent);
      });
}

void App::write_line(const TaskId& id, const std::string& line) {
  act(fmt::format("{}:", id.str()), fmt::format("write {}", id.str()), [this, id, line]() -> Result<std::string> {
    auto opened = manager_.open_input(id);
    if (!opened) return std::unexpected(opened.error());
    const Fd input(opened->release());
    if (auto written = write_all_within(input.get(), line + "\n"); !written) return std::unexpected(written.error());
    return fmt::format("{} was given a line", id.str());
  });
}

void App::remove_task(const TaskId& id) {
  act(fmt::format("removing {}…", id.str()), fmt::format("remove {}", id.str()), [this, id]() -> Result<std::string> {
    if (auto removed = manager_.upkeep().remove(id); !removed) return std::unexpected(removed.error());
    return fmt::format("{} is removed", id.str());
  });
}

void App::open_question(const TaskId& id) {
  auto asked = manager_.questions().get(id);
  if (!asked) return say(asked.error().message);
  if (asked->questions.empty()) return say(fmt::format("{} is another program's question", id.str()));
  question_.emplace(std::move(*asked));
  shown_ = Shown::question;
}

void App::send_answer() {
  const TaskId id = question_->task().id;
  act(fmt::format("answering {}…", id.str()), question_->command(),
      [this, id, answers = question_->answers()]() -> Result<std::string> {
        auto task = manager_.questions().answer(id, answers);
        if (!task) return std::unexpected(task.error());
        return fmt::format("{} is answered", id.str());
      });
  question_.reset();
  shown_ = Shown::list;
}

void App::open_activity(const view::Row& task) {
  if (task.kind != Kind::agent) return say(fmt::format("{} is not an agent: it has no activity", task.id.str()));
  activity_ = std::make_unique<LogView>(view::activity_of(manager_, task.id), wake_.get(), activity_line);
  shown_ = Shown::activity;
  say(fmt::format("$ {} output --activity {}", options_.command, task.id.str()));
}

void App::show_processes(const TaskId& id) {
  auto task = manager_.get(id);
  if (!task) return say(task.error().message);
  text_.set(process_lines(*task));
  processes_of_ = id;
  shown_ = Shown::processes;
}

void App::open_pager(const TaskId& id) {
  auto path = manager_.output_path(id);
  if (!path) return say(path.error().message);
  if (!*path) return say(fmt::format("{} has printed nothing", id.str()));
  const char* pager = std::getenv("PAGER");                            // NOLINT(concurrency-mt-unsafe)
  if (pager == nullptr || *pager == 0) pager = std::getenv("EDITOR");  // NOLINT(concurrency-mt-unsafe)
  const std::string line = fmt::format("{} \"$1\"", pager == nullptr || *pager == 0 ? "less" : pager);
  if (!terminal_.run({"/bin/sh", "-c", line, "sh", **path})) say("the pager could not be run");
  screen_.forget();
}

void App::copy(const std::string& text) {
  if (options_.copies) {
    static_cast<void>(terminal_.write("\x1b]52;c;" + encoded(text) + "\x1b\\"));
    return say("copied: " + text);
  }
  // Shown, so that it can be selected with the mouse: the clipboard is changed on request only.
  say(text);
}

// The actions on the selected task, from the list and from its log.
bool App::on_task_key(const Key& key) {
  const auto task = list_.selected();
  if (!task) return false;
  const TaskId id = task->id;
  const bool ended = is_terminal(task->status);
  if (key.is("s")) {
    ask(fmt::format("stop {}? y", id.str()), [this, id](const std::string&) { stop_task(id, ""); }, true);
  } else if (key.is("S")) {
    ask(fmt::format("stop {}, because:", id.str()), [this, id](const std::string& why) { stop_task(id, why); });
  } else if (key.is("a")) {
    if (task->kind != Kind::question) {
      say(fmt::format("{} is not a question", id.str()));
    } else {
      open_question(id);
    }
  } else if (key.is("+")) {
    ask("how long may it run from now on? (10m, 2h, 0: without end)",
        [this, id](const std::string& text) { extend_task(id, text); });
  } else if (key.is("r")) {
    if (task->agent_id.empty() || !ended) {
      say(task->agent_id.empty() ? "no agent's conversation to resume" : "its turn is still running");
    } else {
      ask("resume with:", [this, row = *task](const std::string& prompt) { resume_agent(row, prompt); });
    }
  } else if (key.is("i")) {
    ask(fmt::format("to the input of {}:", id.str()), [this, id](const std::string& line) { write_line(id, line); });
  } else if (key.is("d")) {
    if (!ended) {
      say("only an ended task can be removed: stop it first");
    } else {
      ask(
          fmt::format("remove {} with its log? y", id.str()), [this, id](const std::string&) { remove_task(id); },
          true);
    }
  } else if (key.is("p")) {
    show_processes(id);
  } else if (key.is("A")) {
    open_activity(*task);
  } else if (key.is("e")) {
    open_pager(id);
  } else {
    return false;
  }
  return true;
}

void App::on_list_key(const Key& key) {
  using enum Key::Name;
  if (key.name == tab) {
    pane_focused_ = !pane_focused_;
  } else if (pane_focused_ && key.name == escape) {
    pane_focused_ = false;
  } else if (pane_focused_ && log_ && !key.is("/") && key.name != enter && key.name != click && log_->on_key(key)) {
  } else if (key.is("?")) {
    text_.set(help_lines());
    shown_ = Shown::help;
  } else if (key.is("f") || (key.is("/") && !pane_focused_)) {
    ask("filter:", [this](const std::string& text) { list_.set_filter(text); });
    prompt_->text = list_.filter_text();
  } else if (key.is("/") || key.is("n") || key.is("N") || key.is("!") || key.is("F")) {
    choose_log();
    if (log_) on_log_key(key);
  } else if (key.name == enter || key.is("l") || key.name == right) {
    choose_log();
    if (log_) shown_ = Shown::log;
  } else if (key.is("q")) {
    exit_ = 0;
  } else if (key.name == escape) {
    list_.set_filter("");
  } else if (key.is("y")) {
    if (const auto task = list_.selected()) {
      const auto path = manager_.output_path(task->id);
      copy(path && *path ? **path : task->id.str());
    }
  } else if (key.name == click && log_ && list_.selected()) {
    if (list_.on_key(key) && key.row == clicked_row_) shown_ = Shown::log;
    clicked_row_ = key.row;
  } else if (!list_.on_key(key)) {
    on_task_key(key);
  }
}

void App::on_log_key(const Key& key) {
  using enum Key::Name;
  LogView* const log = shown_ == Shown::activity ? activity_.get() : log_.get();
  if (log == nullptr) return;
  const auto search = [this, log](bool backward) {
    ask(backward ? "search backward:" : "search:", [this, log, backward](const std::string& text) {
      if (auto done = log->search(text, backward); !done) say(done.error().message);
    });
  };
  if (key.is("/") || key.is("?")) {
    search(key.is("?"));
  } else if (key.is("n") || key.is("N")) {
    log->next_hit(key.is("N"));
  } else if (key.is("&")) {
    ask("only lines with:", [this, log](const std::string& text) {
      if (auto done = log->filter(text); !done) say(done.error().message);
    });
  } else if (key.name == enter) {
    log->show_context();
  } else if (key.is("!")) {
    log->go_to_failure();
  } else if (key.is("y")) {
    copy(log->current_line());
  } else if (log->on_key(key)) {
  } else if (key.is("h") || key.name == left || key.name == backspace) {
    shown_ = Shown::list;
  } else if (key.name == escape) {
    if (!log->end_search()) shown_ = Shown::list;
  } else if (key.is("q")) {
    exit_ = 0;
  } else {
    on_task_key(key);
  }
}

void App::on_question_key(const Key& key) {
  using enum Key::Name;
  switch (question_->on_key(key)) {
    case QuestionView::Wish::nothing: return;
    case QuestionView::Wish::answer: return send_answer();
    case QuestionView::Wish::own_words:
      ask("answer:", [this](const std::string& words) {
        if (!words.empty() && question_ && question_->say(words)) send_answer();
      });
      return;
    case QuestionView::Wish::dismiss:
      ask("end it without an answer, because:", [this](const std::string& note) {
        const TaskId id = question_->task().id;
        act(fmt::format("dismissing {}…", id.str()),
            fmt::format("answer {} --dismiss{}", id.str(), note.empty() ? "" : " --note " + shell_word(note)),
            [this, id, note]() -> Result<std::string> {
              if (auto task = manager_.questions().dismiss(id, note); !task) return std::unexpected(task.error());
              return fmt::format("{} is dismissed", id.str());
            });
        question_.reset();
        shown_ = Shown::list;
      });
      return;
    case QuestionView::Wish::other_key: break;
  }
  if (key.is("h") || key.name == escape || key.name == left) {
    shown_ = Shown::list;
    question_.reset();
  } else if (key.is("q")) {
    exit_ = 0;
  }
}

void App::on_key(const Key& key) {
  using enum Key::Name;
  if (prompt_) {
    if (!prompt_->on_key(key)) return;
    const Prompt done = *prompt_;
    prompt_.reset();
    if (done.accepted) done.done(done.text);
    return;
  }
  message_.clear();
  if (key.is_control('c')) {
    exit_ = 130;
  } else if (key.is_control('z')) {
    terminal_.suspend();
    screen_.forget();
  } else if (key.is_control('l')) {
    screen_.forget();
  } else if (shown_ == Shown::list) {
    on_list_key(key);
  } else if (shown_ == Shown::log || shown_ == Shown::activity) {
    on_log_key(key);
  } else if (shown_ == Shown::question && question_) {
    on_question_key(key);
  } else if (!text_.on_key(key)) {
    if (key.is("q")) {
      exit_ = 0;
    } else if (key.is("h") || key.name == escape || key.name == left || key.is("?") || key.name == enter) {
      shown_ = Shown::list;
    }
  }
}

}  // namespace perdure::top
