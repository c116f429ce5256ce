#include "top/app.h"
#include "top/screens/words.h"
#include "view/width.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::top {
namespace {

using view::Style;

constexpr int kLeastForPane = 12;  // rows of the screen

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? view::safe_words(name.data()) : std::string();
}

// "~/…/sessions/default"
std::string short_path(const std::string& path, std::size_t columns) {
  std::string shown = view::safe_words(path);
  if (const char* const home = std::getenv("HOME"); home != nullptr && *home != 0 &&  // NOLINT(concurrency-mt-unsafe)
                                                    shown.starts_with(std::string(home) + "/"))
    shown = "~" + shown.substr(std::string_view(home).size());
  while (view::width_of(shown) > columns) {
    const auto from = shown.starts_with("~/…/") ? std::string_view("~/…/").size()
                      : shown.starts_with("…/") ? std::string_view("…/").size()
                                                : 1;
    const auto next = shown.find('/', std::max<std::size_t>(from, 2));
    if (next == std::string::npos) break;
    shown = (shown.starts_with('~') ? "~/…" : "…") + shown.substr(next);
  }
  return view::cut_to(shown, columns);
}

}  // namespace

void App::draw_header() {
  const auto& counts = index_.counts();
  const int columns = screen_.size().columns;
  std::string right;
  const auto add = [&right](std::size_t n, std::string_view what) {
    if (n > 0) right += fmt::format("  {} {}", n, what);
  };
  const std::size_t ended = index_.size() - counts.of(Status::running) - counts.of(Status::queued);
  add(counts.of(Status::running) - std::min(counts.of(Status::running), counts.open_questions), "running");
  add(counts.open_questions, "open");
  add(counts.of(Status::queued), "queued");
  add(ended, "ended");
  add(counts.undelivered, "undelivered");
  if (right.empty()) right = "  no tasks";
  int column = screen_.put(0, 1, "perdure top");
  const int start = std::max(column, columns - 1 - static_cast<int>(view::width_of(right)));
  if (const int room = start - column - 3; room > 12) {
    const std::string host = host_name();
    column = screen_.put(0, column + 3, host, {}, start - 1);
    if (const int left = start - column - 3; left > 8)
      screen_.put(0, column + 3, short_path(manager_.session(), static_cast<std::size_t>(left)), {}, start - 1);
  }
  screen_.put(0, start, right);
  screen_.shade(0, Style::kBold | Style::kInverse);
}

// The log of the task that is selected now.
void App::choose_log() {
  const auto task = list_.selected();
  const std::string id = task ? task->id.str() : std::string();
  if (id == log_id_) return;
  log_id_ = id;
  log_ = task ? std::make_unique<LogView>(view::output_of(manager_, task->id), wake_.get()) : nullptr;
  log_watch_.watch(task ? index_.folder_of(id) : std::string());
}

std::string App::log_title() const {
  if (!log_) return {};
  const std::string state = log_->state_text();
  return fmt::format("{} · {}{}{}", log_id_, size_text(log_->size()), state.empty() ? "" : " · ", state);
}

void App::draw_list() {
  const int rows = screen_.size().rows;
  const int body = rows - 2;
  int list_rows = body;
  if (rows >= kLeastForPane) list_rows = std::clamp(static_cast<int>(list_.matched()) + 1, 4, std::max(4, body / 2));
  list_.draw(screen_, 1, list_rows, !pane_focused_);
  // Their number is known only now.
  if (rows >= kLeastForPane) {
    const int wanted = std::clamp(static_cast<int>(list_.matched()) + 1, 4, std::max(4, body / 2));
    if (wanted != list_rows) {
      screen_.clear(screen_.size());
      draw_header();
      list_rows = wanted;
      list_.draw(screen_, 1, list_rows, !pane_focused_);
    }
  }
  choose_log();
  if (list_rows == body) return;
  const int line = 1 + list_rows;
  if (log_) log_->draw(screen_, {.row = line + 1, .rows = rows - 1 - line - 1});
  const int columns = screen_.size().columns;
  std::string rule;
  for (int i = 0; i < columns; ++i) rule += "─";
  screen_.put(line, 0, rule, plain_style(pane_focused_ ? Style::kBold : Style::kDim));
  const std::string title = log_title();
  if (!title.empty()) {
    const auto shown = view::cut_to(" " + title + " ", static_cast<std::size_t>(std::max(0, columns - 4)));
    screen_.put(line, std::max(1, columns - 3 - static_cast<int>(view::width_of(shown))), shown,
                plain_style(pane_focused_ ? Style::kBold : 0));
  }
}

std::string App::hints() const {
  switch (shown_) {
    case Shown::list: return "Enter log  s stop  a answer  + time  / search  f filter  Tab pane  ? help  q quit";
    case Shown::log:
    case Shown::activity:
      return "h back  / ? search  n N next  & filter  F follow  w wrap  ! failure  e pager  y copy  q quit";
    case Shown::processes: return "h back  q quit";
    case Shown::question:
      return question_ && question_->is_open() ? "1-9 or Enter choose  o own words  x dismiss  h back"
                                               : "h back  q quit";
    case Shown::help: return "h back  q quit";
  }
  return {};
}

void App::draw_last_row() {
  const int row = screen_.size().rows - 1;
  if (prompt_) return prompt_->draw(screen_, row);
  const std::string text = message_.empty() ? hints() : view::safe_words(message_);
  screen_.put(row, 1, view::cut_to(text, static_cast<std::size_t>(std::max(0, screen_.size().columns - 2))),
              plain_style(message_.empty() ? Style::kDim : Style::kBold));
}

void App::draw() {
  screen_.clear(terminal_.size());
  const int rows = screen_.size().rows, columns = screen_.size().columns;
  if (rows < 3 || columns < 12) {
    screen_.put(0, 0, "too small");
    return;
  }
  draw_header();
  const auto title = [&](const std::string& text) {
    screen_.put(1, 1, view::cut_to(text, static_cast<std::size_t>(columns - 2)), plain_style(Style::kBold));
  };
  const Area body{.row = 2, .rows = rows - 3};
  switch (shown_) {
    case Shown::list: draw_list(); break;
    case Shown::log:
      if (log_) log_->draw(screen_, body);
      title(log_title());
      break;
    case Shown::activity:
      if (activity_) {
        activity_->draw(screen_, body);
        title(fmt::format("activity of {} · {}", log_id_, activity_->state_text()));
      }
      break;
    case Shown::processes:
      title(fmt::format("processes of {}", processes_of_ ? processes_of_->str() : ""));
      text_.draw(screen_, body.row, body.rows);
      break;
    case Shown::question:
      if (question_) {
        title(question_->task().id.str());
        question_->draw(screen_, body.row, body.rows);
      }
      break;
    case Shown::help:
      title("keys");
      text_.draw(screen_, body.row, body.rows);
      break;
  }
  draw_last_row();
}

}  // namespace perdure::top
