#include "cli/integrations/setup_edit.h"

#include "base/utf8.h"
#include "config/toml.h"
#include "mcp/toml_edit.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ranges>

namespace perdure::cli {
namespace {

namespace json = boost::json;

Result<std::optional<mcp::Splice>> splice_for(const Edit& edit, std::string_view text) {
  switch (edit.kind) {
    case Edit::Kind::member: return mcp::set_json_member(text, edit.path, edit.value);
    case Edit::Kind::item: return mcp::append_json_item(text, edit.path, edit.value);
    case Edit::Kind::table: return mcp::set_toml_table(text, edit.path.front(), edit.path.back(), edit.value);
  }
  return std::nullopt;
}

// How many of the containers above the value are missing; for an item its array is one of them.
Result<int> missing_parents(const Edit& edit, std::string_view text) {
  int missing = 0;
  for (std::size_t length = edit.path.size() - (edit.kind == Edit::Kind::item ? 0 : 1); length > 0; --length) {
    const mcp::JsonPath above(edit.path.begin(), edit.path.begin() + static_cast<std::ptrdiff_t>(length));
    auto value = mcp::json_value_at(text, above);
    if (!value) return std::unexpected(value.error());
    if (*value) break;
    ++missing;
  }
  return missing;
}

json::value parsed(std::string_view text) {
  boost::system::error_code error;
  return json::parse(text, error);
}

// Is it the entry that was written? A client may have added settings to it, but it starts the same program.
bool is_same_entry(std::string_view left, std::string_view right) {
  const json::value one = parsed(left);
  const json::value other = parsed(right);
  if (one == other) return true;
  if (!one.is_object() || !other.is_object()) return false;
  const auto member = [](const json::value& value, std::string_view key) {
    const auto* const found = value.get_object().if_contains(key);
    return found == nullptr ? json::value() : *found;
  };
  return !member(one, "command").is_null() && member(one, "command") == member(other, "command") &&
         member(one, "args") == member(other, "args");
}

std::unexpected<Error> changed_since(const Edit& edit) {
  return fail(ErrorCode::config_invalid,
              fmt::format("'{}' was changed since; remove it by hand", fmt::join(edit.path, ".")));
}

Result<std::string> without_empty_parents(std::string text, const Step& step) {
  mcp::JsonPath path = step.edit.path;
  if (step.edit.kind != Edit::Kind::item) path.pop_back();
  for (int made = step.parents_made; made > 0 && !path.empty(); --made, path.pop_back()) {
    auto value = mcp::json_value_at(text, path);
    if (!value) return std::unexpected(value.error());
    if (!*value || (**value != "{}" && **value != "[]")) break;
    auto splice = mcp::remove_json_member(text, path);
    if (!splice) return std::unexpected(splice.error());
    if (*splice) text = mcp::spliced(text, **splice);
  }
  return text;
}

Result<std::string> undo_member(std::string_view text, const Step& step) {
  auto now = mcp::json_value_at(text, step.edit.path);
  if (!now) return std::unexpected(now.error());
  if (!*now || (step.older && parsed(**now) == parsed(*step.older))) return std::string(text);
  if (!is_same_entry(**now, step.edit.value)) return changed_since(step.edit);
  auto splice = step.older ? mcp::set_json_member(text, step.edit.path, *step.older)
                           : mcp::remove_json_member(text, step.edit.path);
  if (!splice) return std::unexpected(splice.error());
  if (!*splice) return std::string(text);
  return without_empty_parents(mcp::spliced(text, **splice), step);
}

Result<std::string> undo_item(std::string_view text, const Step& step) {
  auto splice = mcp::remove_json_item(text, step.edit.path, step.edit.value);
  if (!splice) return std::unexpected(splice.error());
  if (!*splice) return std::string(text);
  return without_empty_parents(mcp::spliced(text, **splice), step);
}

Result<std::string> undo_table(std::string_view text, const Step& step) {
  auto now = mcp::find_toml_table(text, step.edit.path.front(), step.edit.path.back());
  if (!now) return std::unexpected(now.error());
  if (!*now) return std::string(text);
  auto ours = mcp::set_toml_table(text, step.edit.path.front(), step.edit.path.back(), step.edit.value);
  if (!ours) return std::unexpected(ours.error());
  if (*ours) return changed_since(step.edit);
  mcp::Splice& table = **now;
  table.inserted = step.splice.removed;
  // For a table that was appended, also the line end after it.
  if (table.inserted.empty() && text.substr(table.at + table.removed.size()).starts_with('\n')) table.removed += '\n';
  return mcp::spliced(text, table);
}

bool is_undone(std::string_view text, const Step& step) {
  switch (step.edit.kind) {
    case Edit::Kind::member: {
      const auto now = mcp::json_value_at(text, step.edit.path);
      return now && (step.older ? *now && parsed(**now) == parsed(*step.older) : !*now);
    }
    case Edit::Kind::item: {
      const auto again = mcp::remove_json_item(text, step.edit.path, step.edit.value);
      return again && !*again;
    }
    case Edit::Kind::table: {
      const auto now = mcp::find_toml_table(text, step.edit.path.front(), step.edit.path.back());
      return now && now->has_value() == !step.splice.removed.empty();
    }
  }
  return false;
}

// Byte for byte: where it was written, or at the only other place with the same text.
std::optional<std::string> undo_exactly(std::string_view text, const Step& step) {
  const auto& inserted = step.splice.inserted;
  std::size_t at = step.splice.at;
  if (at > text.size() || text.substr(at, inserted.size()) != inserted) {
    at = text.find(inserted);
    if (at == std::string_view::npos || text.find(inserted, at + 1) != std::string_view::npos) return std::nullopt;
  }
  std::string undone = mcp::spliced(text, {at, inserted, step.splice.removed});
  const bool is_blank = undone.find_first_not_of(" \t\r\n\xEF\xBB\xBF") == std::string::npos;
  return is_blank || is_undone(undone, step) ? std::optional(std::move(undone)) : std::nullopt;
}

}  // namespace

Result<> check_format(std::string_view text, bool is_toml) {
  if (!is_valid_utf8(text)) return fail(ErrorCode::config_invalid, "is not UTF-8");
  if (text.find_first_not_of(" \t\r\n\xEF\xBB\xBF") == std::string_view::npos) return {};
  if (!is_toml) return mcp::check_json(text);
  auto parsed_text = manager::parse_toml(text, "the file");
  if (!parsed_text) return fail(ErrorCode::config_invalid, parsed_text.error().message);
  return {};
}

Result<Edited> make_edits(std::string_view text, const std::vector<Edit>& edits) {
  Edited all{std::string(text), {}};
  for (const auto& edit : edits) {
    const bool is_toml = edit.kind == Edit::Kind::table;
    if (auto fine = check_format(all.text, is_toml); !fine) return std::unexpected(fine.error());
    auto splice = splice_for(edit, all.text);
    if (!splice) return std::unexpected(splice.error());
    if (!*splice) continue;
    Step step{.edit = edit, .splice = std::move(**splice), .older = {}};
    if (!is_toml) {
      auto missing = missing_parents(edit, all.text);
      if (!missing) return std::unexpected(missing.error());
      step.parents_made = *missing;
      if (edit.kind == Edit::Kind::member) {
        auto older = mcp::json_value_at(all.text, edit.path);
        if (!older) return std::unexpected(older.error());
        step.older = std::move(*older);
      }
    }
    all.text = mcp::spliced(all.text, step.splice);
    // The result must be as valid as the original: otherwise nothing is written.
    if (auto fine = check_format(all.text, is_toml); !fine) return std::unexpected(fine.error());
    all.steps.push_back(std::move(step));
  }
  return all;
}

Result<std::string> undo_edits(std::string_view text, const std::vector<Step>& steps) {
  std::string undone(text);
  for (const auto& step : std::views::reverse(steps)) {
    if (auto exact = undo_exactly(undone, step)) {
      undone = std::move(*exact);
      continue;
    }
    auto next = step.edit.kind == Edit::Kind::member ? undo_member(undone, step)
                : step.edit.kind == Edit::Kind::item ? undo_item(undone, step)
                                                     : undo_table(undone, step);
    if (!next) return next;
    undone = std::move(*next);
  }
  return undone;
}

}  // namespace perdure::cli
