#include "top/log/log_view.h"

#include "view/width.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::top {
namespace {

using view::Style;

std::string gap_text(const view::Gap& gap) {
  constexpr std::array<std::string_view, 5> kNames = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(gap.bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("── {} bytes were not kept here ──", gap.bytes)
                   : fmt::format("── {:.1f} {} were not kept here ──", value, kNames[unit]);
}

view::Line dim(std::string text) {
  return {{std::move(text), {.foreground = {}, .background = {}, .attributes = Style::kDim}}};
}

}  // namespace

LogView::LogView(view::Read read, int wake, view::Line (*shape)(std::string_view))
    : read_(std::move(read)), wake_(wake), shape_(shape) {}

view::Line LogView::highlighted(view::Line line, const view::Pattern& pattern) const {
  const std::string text = view::plain_text(line);
  view::Line marked;
  std::size_t run = 0, used = 0;  // of line[run]
  const auto copy = [&](std::size_t bytes, std::uint16_t attributes) {
    while (bytes > 0 && run < line.size()) {
      const std::size_t part = std::min(bytes, line[run].text.size() - used);
      if (part > 0) {
        view::Run piece{line[run].text.substr(used, part), line[run].style};
        piece.style.attributes |= attributes;
        marked.push_back(std::move(piece));
      }
      used += part;
      bytes -= part;
      if (used == line[run].text.size()) {
        ++run;
        used = 0;
      }
    }
  };
  std::size_t at = 0;
  while (const auto match = pattern.find(text, at)) {
    copy(match->at - at, 0);
    copy(match->length, Style::kInverse);
    at = match->at + match->length;
  }
  copy(text.size() - at, 0);
  return marked;
}

std::vector<LogView::ShownRow> LogView::rows_of(const view::TextLine& line, int columns) const {
  if (line.gap) return {{line.offset, 0, dim(gap_text(*line.gap))}};
  view::Line text = shape_(line.bytes);
  if (search_) text = highlighted(std::move(text), search_->pattern());
  std::vector<ShownRow> rows;
  rows.push_back({line.offset, 0, {}});
  int column = 0, skipped = 0;
  for (const auto& run : text) {
    for (std::string_view rest = run.text; !rest.empty();) {
      const auto cluster = view::take_cluster(rest);
      const int width = static_cast<int>(cluster.width);
      if (!wraps_ && skipped < left_) {
        skipped += width;
        continue;
      }
      if (column + width > columns) {
        if (!wraps_) return rows;
        rows.push_back({line.offset, static_cast<int>(rows.size()), {}});
        column = 0;
      }
      auto& to = rows.back().text;
      if (to.empty() || to.back().style != run.style) to.push_back({{}, run.style});
      to.back().text += cluster.bytes;
      column += width;
    }
  }
  return rows;
}

std::vector<LogView::ShownRow> LogView::last_rows(int count, int columns, std::int64_t before) const {
  std::vector<ShownRow> rows;
  const auto lines = view::lines_before(read_, before, static_cast<std::size_t>(std::max(count, 1)));
  if (!lines) return {{0, 0, dim(view::safe_words(lines.error().message))}};
  for (const auto& line : *lines) std::ranges::move(rows_of(line, columns), std::back_inserter(rows));
  if (rows.size() > static_cast<std::size_t>(count)) rows.erase(rows.begin(), rows.end() - count);
  return rows;
}

std::vector<LogView::ShownRow> LogView::first_rows(int count, int columns) const {
  std::vector<ShownRow> rows;
  const auto lines = view::lines_from(read_, top_, static_cast<std::size_t>(count + top_part_ + 1));
  if (!lines) return {{top_, 0, dim(view::safe_words(lines.error().message))}};
  for (const auto& line : *lines) {
    std::ranges::move(rows_of(line, columns), std::back_inserter(rows));
    if (rows.size() >= static_cast<std::size_t>(count + top_part_)) break;
  }
  const auto skip = std::min<std::size_t>(rows.size(), static_cast<std::size_t>(top_part_));
  rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(skip));
  if (rows.size() > static_cast<std::size_t>(count)) rows.resize(static_cast<std::size_t>(count));
  return rows;
}

void LogView::draw(Screen& screen, const Area& area) {
  rows_ = std::max(1, area.rows);
  columns_ = std::max(1, screen.size().columns);
  if (area.rows <= 0) return;
  error_.clear();
  if (auto about = view::window(read_, INT64_MAX / 2, 0, view::Align::none)) size_ = about->size;
  if (filter_) return draw_filtered(screen, area);
  std::vector<ShownRow> rows;
  if (!follows_) rows = first_rows(rows_, columns_);
  // Fills the last screen, unless the log is shorter.
  if (follows_ || static_cast<int>(rows.size()) < rows_) {
    rows = last_rows(rows_, columns_, size_);
    if (!rows.empty()) {
      top_ = rows.front().offset;
      top_part_ = rows.front().part;
    }
  }
  current_line_ = rows.empty() ? std::string() : view::plain_text(rows.front().text);
  int row = area.row;
  const auto shown = hit_ && search_ ? search_->hit(*hit_) : std::nullopt;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    screen.put(row, 0, rows[i].text);
    const bool is_hit = shown && shown->offset >= rows[i].offset &&
                        (i + 1 == rows.size() || rows[i + 1].offset > shown->offset) && rows[i].part == 0;
    if (is_hit) screen.shade(row, Style::kBold);
    ++row;
  }
}

void LogView::draw_filtered(Screen& screen, const Area& area) {
  const auto state = filter_->state();
  const auto total = static_cast<std::size_t>(state.total);
  if (total == 0) {
    screen.put(area.row, 0, dim(state.done ? "no line matches" : "searching…"));
    return;
  }
  filter_at_ = std::min(filter_at_, total - 1);
  // Several matches in one line count as one line, so the position is moved past them as it is drawn.
  std::int64_t last = -1;
  if (filter_at_ < filter_top_) filter_top_ = filter_at_;
  if (filter_at_ >= filter_top_ + static_cast<std::size_t>(rows_))
    filter_top_ = filter_at_ - static_cast<std::size_t>(rows_) + 1;
  int row = area.row;
  for (std::size_t n = filter_top_; row < area.row + area.rows; ++n) {
    const auto hit = filter_->hit(n);
    if (!hit) break;
    const auto start = view::window(read_, hit->offset, 1);
    const std::int64_t offset = start ? start->offset : hit->offset;
    const bool marked = n == filter_at_;
    if (offset == last && !marked) continue;
    if (offset == last) --row;
    last = offset;
    const auto lines = view::lines_from(read_, offset, 1);
    if (lines && !lines->empty()) {
      const view::Line text = highlighted(shape_(lines->front().bytes), filter_->pattern());
      screen.put(row, 0, text);
      if (marked) {
        current_line_ = view::plain_text(text);
        screen.shade(row, Style::kBold);
        screen.put(row, 0, text);
        screen.shade(row, Style::kUnderline);
      }
    }
    ++row;
  }
}

void LogView::move(int count) {
  if (filter_) {
    const auto total = static_cast<std::int64_t>(filter_->state().total);
    filter_at_ = static_cast<std::size_t>(std::clamp<std::int64_t>(static_cast<std::int64_t>(filter_at_) + count, 0,
                                                                   std::max<std::int64_t>(0, total - 1)));
    return;
  }
  hit_.reset();
  if (count > 0) {
    if (follows_) return;
    const auto rows = first_rows(count + 1, columns_);
    if (!rows.empty()) {
      top_ = rows.back().offset;
      top_part_ = rows.back().part;
    }
    return;
  }
  follows_ = false;
  top_part_ += count;
  if (top_part_ >= 0) return;
  const auto rows = last_rows(-top_part_, columns_, top_);
  top_part_ = 0;
  if (!rows.empty()) {
    top_ = rows.front().offset;
    top_part_ = rows.front().part;
  }
}

bool LogView::on_key(const Key& key) {
  using enum Key::Name;
  const int page = std::max(1, rows_ - 1);
  if (key.is("j") || key.name == down) {
    move(1);
  } else if (key.is("k") || key.name == up) {
    move(-1);
  } else if (key.is_control('d')) {
    move(std::max(1, rows_ / 2));
  } else if (key.is_control('u')) {
    move(-std::max(1, rows_ / 2));
  } else if (key.name == page_down || key.is(" ")) {
    move(page);
  } else if (key.name == page_up) {
    move(-page);
  } else if (key.name == wheel_down) {
    move(3);
  } else if (key.name == wheel_up) {
    move(-3);
  } else if (key.is("g") || key.name == home) {
    go_to(0);
    filter_at_ = 0;
  } else if (key.is("G") || key.name == end) {
    if (filter_) {
      filter_at_ = SIZE_MAX;
    } else {
      follows_ = true;
    }
  } else if (key.is("F")) {
    follows_ = !follows_;
  } else if (key.is("w")) {
    wraps_ = !wraps_;
    left_ = 0;
    top_part_ = 0;
  } else if (key.name == right && !wraps_) {
    left_ += columns_ / 2;
  } else if (key.name == left && !wraps_ && left_ > 0) {
    left_ = std::max(0, left_ - columns_ / 2);
  } else {
    return false;
  }
  return true;
}

void LogView::go_to(std::int64_t offset) {
  follows_ = false;
  hit_.reset();
  const auto start = view::window(read_, offset, 1);
  top_ = start ? start->offset : offset;
  top_part_ = 0;
}

void LogView::go_to_failure() {
  if (const auto place = view::first_failure(read_); place && place->found) {
    go_to(place->offset);
    move(-std::min(3, rows_ / 2));
  } else {
    follows_ = true;
  }
}

std::string LogView::state_text() const {
  std::string text;
  const auto add = [&text](const std::string& part) { text += text.empty() ? part : " · " + part; };
  if (follows_ && !filter_) add("follow");
  if (!wraps_) add("no wrap");
  if (filter_) {
    const auto state = filter_->state();
    add(fmt::format("filter: {} · {}{}", view::safe_words(filter_text_), state.total, state.done ? "" : "…"));
  } else if (search_) {
    const auto state = search_->state();
    const std::string place = hit_ ? fmt::format("{}/", *hit_ + 1) : "";
    add(fmt::format("/{} {}{}{}", view::safe_words(search_text_), place, state.total, state.done ? "" : "…"));
  }
  return text;
}

}  // namespace perdure::top
