#include "top/screens/list_view.h"

#include "base/clock.h"
#include "top/screens/words.h"
#include "view/width.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::top {
namespace {

using view::Style;

std::string exit_of(const view::Row& task) {
  if (task.exit_code) return fmt::to_string(*task.exit_code);
  if (task.signal) return fmt::format("s{}", *task.signal);
  return {};
}

bool is_alive(const view::Row& task) {
  return !is_terminal(task.status);
}

// When the text of an age changes: within the next second, or the next minute.
std::int64_t next_change(std::int64_t since, std::int64_t now, bool each_second) {
  const std::int64_t step = each_second || now - since < 60'000 ? 1000 : 60'000;
  return now + step - (std::max<std::int64_t>(0, now - since) % step);
}

}  // namespace

std::string status_text(const view::Row& task, bool symbol_only) {
  std::string_view symbol = "?", word = name_of(task.status);
  switch (task.status) {
    case Status::queued: symbol = "◌"; break;
    case Status::running: symbol = "●"; break;
    case Status::completed: symbol = "✓"; break;
    case Status::failed:
    case Status::timed_out: symbol = "✗"; break;
    case Status::killed: symbol = "■"; break;
    case Status::lost: symbol = "†"; break;
  }
  if (task.kind == Kind::question && is_alive(task)) {
    symbol = "?";
    word = "open";
  }
  if (symbol_only) return std::string(symbol);
  std::string text = fmt::format("{} {}", symbol, word);
  if (task.queue_place) text += fmt::format(" #{}", *task.queue_place);
  if (task.unverified) text += "?";
  if (task.runner_gone) text += "!";
  if (!task.detached) text += " fg";
  return text;
}

// The columns, which become narrower and disappear in this order as the screen does (V62).
ListView::Columns ListView::columns_for(int width) {
  Columns columns;
  constexpr int kForDescription = 20;
  const auto room = [&] {
    return width - 1 - columns.id - columns.status - columns.age - columns.time - columns.exit - columns.last - 1;
  };
  for (int* const column : {&columns.last, &columns.age, &columns.exit})
    if (room() < kForDescription) *column = 0;
  if (room() < kForDescription) columns.id = 9;
  if (room() < kForDescription) columns.time = 0;
  if (room() < kForDescription) {
    columns.status = 2;
    columns.symbols = true;
  }
  return columns;
}

void ListView::draw_row(Screen& screen, int row, const view::Row& task, const Columns& columns, std::int64_t now) {
  int column = 1;
  const auto cell = [&](const std::string& text, int width, const Style& style = {}) {
    if (width == 0) return;
    screen.put(row, column, view::cut_to(text, static_cast<std::size_t>(width - 1)), style, column + width - 1);
    column += width;
  };
  const std::string id = task.id.str();
  // If there is little room, the part of the id that differs between tasks.
  cell(columns.id < 18 && id.size() > 8 ? id.substr(id.size() - 8) : id, columns.id);
  const bool asks = task.kind == Kind::question && is_alive(task);
  cell(status_text(task, columns.symbols), columns.status, asks ? plain_style(Style::kBold, 3) : style_of(task.status));
  const bool runs = task.status == Status::running && !asks;
  cell(age_text(now - task.started_at), columns.age);
  cell(runs || task.ended_at ? length_text(task.duration(now)) : "", columns.time);
  cell(exit_of(task), columns.exit);
  if (columns.last > 0) {
    const auto printed = runs ? index_.last_output_at(id) : std::nullopt;
    cell(printed ? now - *printed < 1000 ? "now" : age_text(now - *printed) + " ago" : "", columns.last);
  }
  const auto room = static_cast<std::size_t>(std::max(0, screen.size().columns - column));
  screen.put(row, column, view::cut_to(view::safe_words(task.description), room),
             plain_style(is_alive(task) ? 0 : Style::kDim));
  const auto seen = [&](std::int64_t at) { due_ = std::min(due_.value_or(INT64_MAX), at); };
  if (runs && columns.time > 0) seen(next_change(task.started_at, now, task.duration(now) < 3'600'000));
  if (columns.age > 0) seen(next_change(task.started_at, now, false));
}

void ListView::draw(Screen& screen, int first_row, int rows, bool focused) {
  first_row_ = first_row + 1;
  rows_ = std::max(1, rows - 1);
  due_.reset();
  const Columns columns = columns_for(screen.size().columns);
  int column = 1;
  for (const auto& [head, width] : {std::pair{"ID", columns.id},
                                    {"STATUS", columns.status},
                                    {"AGE", columns.age},
                                    {"TIME", columns.time},
                                    {"EXIT", columns.exit},
                                    {"LAST OUT", columns.last},
                                    {"DESCRIPTION", 1000}}) {
    if (width > 0 && !(columns.symbols && std::string_view(head) == "STATUS"))
      screen.put(first_row, column, head, plain_style(Style::kDim), column + width - 1);
    column += width;
  }
  const std::string state = state_text();
  screen.put(first_row, screen.size().columns - static_cast<int>(view::width_of(state)) - 1, state,
             plain_style(Style::kBold));
  // The selected task stays selected while rows move, unless the user moved the cursor.
  if (!moved_ && !selected_.empty())
    if (const auto place = index_.place_of(selected_, filter_, sort_)) place_ = *place;
  moved_ = false;
  const auto most = static_cast<std::size_t>(rows_);
  auto page = index_.rows_at(filter_, sort_, top_, 0);
  matched_ = page.matched;
  place_ = matched_ == 0 ? 0 : std::min(place_, matched_ - 1);
  if (place_ < top_) top_ = place_;
  if (place_ >= top_ + most) top_ = place_ - most + 1;
  top_ = matched_ <= most ? 0 : std::min(top_, matched_ - most);
  page = index_.rows_at(filter_, sort_, top_, most);
  const std::int64_t now = now_ms();
  for (std::size_t i = 0; i < page.rows.size(); ++i) {
    const int row = first_row_ + static_cast<int>(i);
    draw_row(screen, row, page.rows[i], columns, now);
    if (top_ + i != place_) continue;
    selected_ = page.rows[i].id.str();
    screen.put(row, 0, ">", plain_style(Style::kBold));
    if (focused) screen.shade(row, Style::kInverse);
  }
  if (page.rows.empty()) {
    selected_.clear();
    screen.put(first_row_, 1, filter_.text.empty() ? "no tasks" : "no task matches the filter",
               plain_style(Style::kDim));
  }
}

// The task at the cursor: keys may come faster than redraws.
void ListView::settle() {
  const auto page = index_.rows_at(filter_, sort_, place_, 1);
  if (page.rows.empty()) return;
  selected_ = page.rows.front().id.str();
}

void ListView::move(std::int64_t rows) {
  const auto last = static_cast<std::int64_t>(matched_) - 1;
  place_ = static_cast<std::size_t>(
      std::clamp<std::int64_t>(static_cast<std::int64_t>(place_) + rows, 0, std::max<std::int64_t>(0, last)));
  moved_ = true;
  settle();
}

bool ListView::on_key(const Key& key) {
  using enum Key::Name;
  const auto far = static_cast<std::int64_t>(matched_);
  if (key.is("j") || key.name == down) {
    move(1);
  } else if (key.is("k") || key.name == up) {
    move(-1);
  } else if (key.is("g") || key.name == home) {
    move(-far);
  } else if (key.is("G") || key.name == end) {
    move(far);
  } else if (key.is_control('d')) {
    move(std::max(1, rows_ / 2));
  } else if (key.is_control('u')) {
    move(-std::max(1, rows_ / 2));
  } else if (key.name == page_down) {
    move(rows_);
  } else if (key.name == page_up) {
    move(-rows_);
  } else if (key.name == wheel_down) {
    move(3);
  } else if (key.name == wheel_up) {
    move(-3);
  } else if (key.name == click && key.row >= first_row_ && key.row < first_row_ + rows_) {
    const auto place = top_ + static_cast<std::size_t>(key.row - first_row_);
    if (place >= matched_) return false;
    place_ = place;
    moved_ = true;
    settle();
  } else if (key.is("t")) {
    if (filter_.statuses) {
      filter_.statuses.reset();
    } else {
      filter_.statuses = std::set{Status::running, Status::queued};
    }
  } else if (key.is("o")) {
    sort_ = static_cast<view::Sort>((static_cast<int>(sort_) + 1) % 4);
  } else {
    return false;
  }
  return true;
}

std::optional<view::Row> ListView::selected() const {
  return selected_.empty() ? std::nullopt : index_.row(selected_);
}

std::string ListView::state_text() const {
  constexpr std::array<std::string_view, 4> kSorts = {"started", "ended", "duration", ""};
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "  ") + part; };
  if (filter_.statuses) add("active");
  if (const auto sort = kSorts[static_cast<std::size_t>(sort_)]; !sort.empty()) add(fmt::format("by {}", sort));
  if (!filter_.text.empty()) add("filter: " + view::cut_to(view::safe_words(filter_.text), 20));
  return text;
}

}  // namespace perdure::top
