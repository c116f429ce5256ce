#include "top/log/log_view.h"

#include <optional>
#include <string>
#include <utility>

// Searching and filtering in a log view.
namespace perdure::top {
namespace {

view::Pattern::Mode mode_of(std::string& text) {
  // "/x/" and a pattern that begins with a backslash are expressions; a plain word is text.
  return text.find_first_of("\\^$.|?*+()[]{}") == std::string::npos ? view::Pattern::Mode::text
                                                                    : view::Pattern::Mode::regex;
}

// As an expression or, if it is invalid, as text: "a(b" is searched literally.
Result<view::Pattern> pattern_of(std::string text) {
  auto pattern = view::Pattern::compile(text, mode_of(text));
  if (!pattern) return view::Pattern::compile(text, view::Pattern::Mode::text);
  return pattern;
}

}  // namespace

Result<void> LogView::search(const std::string& text, bool backward) {
  if (text.empty() && search_) {
    next_hit(backward);
    return {};
  }
  auto pattern = pattern_of(text);
  if (!pattern) return std::unexpected(pattern.error());
  search_.reset();
  search_ = std::make_unique<LogSearch>(read_, *pattern, wake_);
  search_text_ = text;
  search_backward_ = backward;
  hit_.reset();
  wants_hit_ = true;
  return {};
}

// Shows the first match from here on, or the last one before, once it is known.
void LogView::find_hit() {
  if (!search_ || !wants_hit_) return;
  const auto state = search_->state();
  const std::size_t before = search_->hits_before(search_backward_ ? top_ : follows_ ? size_ : top_);
  std::optional<std::size_t> wanted;
  if (search_backward_ || follows_) {
    // The last match is known only when all were found.
    if (!state.done) return;
    if (before > 0) wanted = before - 1;
    if (before == 0 && state.total > 0) wanted = static_cast<std::size_t>(state.total) - 1;
  } else {
    if (search_->hit(before)) wanted = before;
    if (!wanted && !state.done) return;
    if (!wanted && state.total > 0) wanted = 0;
  }
  wants_hit_ = false;
  if (!wanted) return;
  if (const auto hit = search_->hit(*wanted)) {
    go_to(hit->offset);
    move(-rows_ / 3);
    hit_ = wanted;
  }
}

void LogView::next_hit(bool backward) {
  if (!search_) return;
  const bool up = backward != search_backward_;
  const auto total = static_cast<std::size_t>(search_->state().total);
  if (total == 0) return;
  std::size_t wanted = 0;
  if (hit_) {
    wanted = up ? (*hit_ + total - 1) % total : (*hit_ + 1) % total;
  } else {
    const std::size_t before = search_->hits_before(top_);
    wanted = up ? (before + total - 1) % total : before % total;
  }
  if (const auto hit = search_->hit(wanted)) {
    go_to(hit->offset);
    move(-rows_ / 3);
    hit_ = wanted;
  }
}

Result<void> LogView::filter(const std::string& text) {
  filter_.reset();
  filter_text_.clear();
  if (text.empty()) return {};
  auto pattern = pattern_of(text);
  if (!pattern) return std::unexpected(pattern.error());
  filter_ = std::make_unique<LogSearch>(read_, *pattern, wake_);
  filter_text_ = text;
  filter_top_ = 0;
  filter_at_ = 0;
  return {};
}

bool LogView::show_context() {
  if (!filter_) return false;
  const auto hit = filter_->hit(filter_at_);
  const std::string text = filter_text_;
  filter_.reset();
  if (hit) {
    static_cast<void>(search(text, false));
    go_to(hit->offset);
    move(-rows_ / 3);
    wants_hit_ = false;
    hit_ = search_ ? std::optional(search_->hits_before(hit->offset)) : std::nullopt;
  }
  return true;
}

bool LogView::end_search() {
  const bool was = search_ || filter_;
  search_.reset();
  filter_.reset();
  hit_.reset();
  return was;
}

void LogView::on_wake() {
  find_hit();
}

void LogView::on_growth() {
  if (search_) search_->go_on();
  if (filter_) filter_->go_on();
}

}  // namespace perdure::top
