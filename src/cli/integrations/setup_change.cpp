#include "cli/integrations/setup_change.h"

#include "base/error.h"
#include "base/try.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace perdure::cli {
namespace {

// Only blanks, or an empty object: the rest of a file that setup made, even if its program has rewritten it.
bool is_empty_config(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
  return text.empty() || text == "{}";
}

std::unexpected<Error> nothing_changed(const std::string& path, const Error& error) {
  return fail(error.code, fmt::format("{}: {}; nothing was changed", path, error.message));
}

// Folders that setup made for another file in them: the last of the files to be removed removes them, too.
std::vector<std::string> shared_folders(const std::string& path) {
  std::vector<std::string> shared;
  for (const auto& agent : setup_agents()) {
    const auto record = load_setup_record(std::string(agent.name));
    if (!record) continue;
    for (const auto& file : record->files)
      for (const auto& folder : file.folders)
        if (path.starts_with(folder + "/") && std::ranges::find(shared, folder) == shared.end())
          shared.push_back(folder);
  }
  std::ranges::sort(shared, {}, &std::string::size);
  return shared;
}

Result<> write_change(Change& change) {
  if (!change.is_needed()) return {};
  if (!change.after) return remove_config_file(change.file, change.recorded.folders);
  return replace_config_file(change.file, *change.after, change.recorded.folders);
}

// Restores the files after a change that could not be completed. Best effort: the error that led here is reported.
void take_back(const std::vector<Change>& changes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Change& change = changes[i];
    if (!change.is_needed()) continue;
    auto now = read_config_file(change.file.path);
    if (!now) continue;
    std::vector<std::string> ignored;
    if (change.file.exists) {
      now->mode = change.file.mode;
      static_cast<void>(replace_config_file(*now, change.file.text, ignored));
    } else {
      static_cast<void>(remove_config_file(*now, change.recorded.folders));
    }
  }
}

SetupRecord with_changes(SetupRecord record, const std::vector<Change>& changes) {
  for (const auto& change : changes) {
    std::erase_if(record.files, [&](const RecordedFile& file) { return file.path == change.recorded.path; });
    if (!change.recorded.steps.empty()) record.files.push_back(change.recorded);
  }
  return record;
}

}  // namespace

Result<std::vector<Change>> prepare_setup(const SetupAgent& agent, const SetupOptions& options,
                                          std::vector<std::string>& notes) {
  TRY(auto record, load_setup_record(std::string(agent.name)));
  TRY(auto plans, plan_for(agent, options, record, notes));
  std::vector<Change> changes;
  for (const auto& plan : plans) {
    TRY(auto file, read_config_file(plan.path));
    if (auto fine = check_format(file.text, plan.is_toml); !fine) return nothing_changed(plan.path, fine.error());
    Change change{.file = std::move(file), .after = {}, .recorded = {}, .has_server = plan.has_server};
    change.recorded = {.path = plan.path, .created = !change.file.exists, .folders = {}, .steps = {}};
    change.recorded.folders = shared_folders(change.file.real);
    // The changes of an earlier setup are undone first, so that --remove restores the file as it was before all of
    // them.
    std::string base = change.file.text;
    if (const auto* const earlier = record.find(plan.path)) {
      if (auto undone = undo_edits(base, earlier->steps)) {
        base = std::move(*undone);
        change.recorded.created = earlier->created;
      } else {
        notes.push_back(fmt::format("{}: {}", plan.path, "the entry was changed since the last setup"));
      }
    }
    auto edited = make_edits(base, plan.edits);
    if (!edited) return nothing_changed(plan.path, edited.error());
    change.after = std::move(edited->text);
    change.recorded.steps = std::move(edited->steps);
    if (change.is_needed())
      if (auto reason = why_not_writable(change.file)) return fail(ErrorCode::config_invalid, *reason);
    changes.push_back(std::move(change));
  }
  return changes;
}

Result<std::vector<Change>> prepare_removal(const SetupRecord& record) {
  std::vector<Change> changes;
  // Backwards: a folder made for the first file contains the others.
  for (const auto& recorded : std::views::reverse(record.files)) {
    TRY(auto file, read_config_file(recorded.path));
    Change change{.file = std::move(file), .after = {}, .recorded = recorded};
    auto undone = undo_edits(change.file.text, recorded.steps);
    if (!undone) return nothing_changed(recorded.path, undone.error());
    if (!change.file.exists || !recorded.created || !is_empty_config(*undone)) change.after = std::move(*undone);
    if (change.is_needed())
      if (auto reason = why_not_writable(change.file)) return fail(ErrorCode::config_invalid, *reason);
    changes.push_back(std::move(change));
  }
  return changes;
}

Result<> write_changes(std::vector<Change>& changes) {
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (auto done = write_change(changes[i]); !done) {
      take_back(changes, i);
      return done;
    }
  return {};
}

Result<ServerCheck> check_written(const SetupAgent& agent, const std::vector<Change>& changes) {
  for (const auto& change : changes) {
    if (!change.has_server) continue;
    TRY(const auto file, read_config_file(change.file.path));
    return check_server(agent, file.text);
  }
  return fail(ErrorCode::config_invalid, "no file has the server's entry");
}

Result<ServerCheck> set_up(const SetupAgent& agent, std::vector<Change>& changes) {
  const std::string name(agent.name);
  TRY(const auto earlier, load_setup_record(name));
  // Record, files, check. The record comes first: after a crash --remove can undo everything.
  TRY_VOID(save_setup_record(name, with_changes(earlier, changes)));
  auto written = write_changes(changes);
  if (written) written = save_setup_record(name, with_changes(earlier, changes));
  if (written) {
    auto check = check_written(agent, changes);
    if (check) return check;
    take_back(changes, changes.size());
    written = fail(check.error().code, fmt::format("the server does not start as {} starts it: {}; nothing was changed",
                                                   agent.title, check.error().message));
  }
  static_cast<void>(save_setup_record(name, earlier));
  return std::unexpected(written.error());
}

}  // namespace perdure::cli
