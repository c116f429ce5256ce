#include "cli/integrations/setup_record.h"

#include "base/fd.h"
#include "base/files.h"
#include "cli/console/call.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace perdure::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kLargestRecord = 16 << 20;
constexpr std::int64_t kRecordVersion = 1;
constexpr std::array<std::string_view, 3> kKinds = {"member", "item", "table"};

Result<Fd> record_folder() {
  auto folder = Call::state_folder();
  if (!folder) return std::unexpected(folder.error());
  *folder += "/setup";
  if (auto made = make_folders(*folder); !made) return std::unexpected(made.error());
  return open_folder_at(AT_FDCWD, *folder, *folder);
}

json::array words(const std::vector<std::string>& all) {
  return json::array(all.begin(), all.end());
}

std::vector<std::string> words(const json::value& all) {
  std::vector<std::string> found;
  for (const auto& one : all.as_array()) found.emplace_back(one.as_string());
  return found;
}

json::object to_json(const Step& step) {
  json::object object{{"kind", kKinds[static_cast<std::size_t>(step.edit.kind)]},
                      {"path", words(step.edit.path)},
                      {"value", step.edit.value},
                      {"at", static_cast<std::int64_t>(step.splice.at)},
                      {"removed", step.splice.removed},
                      {"inserted", step.splice.inserted},
                      {"parentsMade", step.parents_made}};
  if (step.older) object["older"] = *step.older;
  return object;
}

Step step_from(const json::object& object) {
  Step step;
  const auto kind = std::ranges::find(kKinds, std::string_view(object.at("kind").as_string()));
  if (kind == kKinds.end()) throw boost::system::system_error(json::make_error_code(json::error::syntax));
  step.edit.kind = static_cast<Edit::Kind>(kind - kKinds.begin());
  step.edit.path = words(object.at("path"));
  step.edit.value = object.at("value").as_string();
  step.splice = {static_cast<std::size_t>(object.at("at").to_number<std::int64_t>()),
                 std::string(object.at("removed").as_string()), std::string(object.at("inserted").as_string())};
  step.parents_made = object.at("parentsMade").to_number<int>();
  if (const auto* const older = object.if_contains("older")) step.older = std::string(older->as_string());
  if (step.edit.path.size() < 2) throw boost::system::system_error(json::make_error_code(json::error::syntax));
  return step;
}

SetupRecord record_from(const json::value& value) {
  SetupRecord record;
  if (value.at("version").to_number<std::int64_t>() != kRecordVersion)
    throw boost::system::system_error(json::make_error_code(json::error::syntax));
  for (const auto& one : value.at("files").as_array()) {
    RecordedFile file{.path = std::string(one.at("path").as_string()),
                      .created = one.at("created").as_bool(),
                      .folders = words(one.at("folders")),
                      .steps = {}};
    for (const auto& step : one.at("steps").as_array()) file.steps.push_back(step_from(step.as_object()));
    record.files.push_back(std::move(file));
  }
  return record;
}

}  // namespace

RecordedFile* SetupRecord::find(std::string_view path) {
  const auto found = std::ranges::find(files, path, &RecordedFile::path);
  return found == files.end() ? nullptr : &*found;
}

Result<SetupRecord> load_setup_record(const std::string& agent) {
  auto folder = Call::state_folder();
  if (!folder) return std::unexpected(folder.error());
  const std::string path = fmt::format("{}/setup/{}.json", *folder, agent);
  if (::access(path.c_str(), F_OK) != 0) return SetupRecord{};
  auto text = read_regular_file(AT_FDCWD, path, kLargestRecord, path);
  if (!text) return std::unexpected(text.error());
  try {
    return record_from(json::parse(*text));
  } catch (const boost::system::system_error&) {
    return fail(ErrorCode::record_invalid, fmt::format("{}: is not a record of perdure setup", path));
  }
}

Result<> save_setup_record(const std::string& agent, const SetupRecord& record) {
  auto folder = record_folder();
  if (!folder) return std::unexpected(folder.error());
  const std::string name = agent + ".json";
  if (record.files.empty()) {
    if (::unlinkat(folder->get(), name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno("removing", name);
    return {};
  }
  json::array files;
  for (const auto& file : record.files) {
    json::array steps;
    for (const auto& step : file.steps) steps.push_back(to_json(step));
    files.push_back(json::object{
        {"path", file.path}, {"created", file.created}, {"folders", words(file.folders)}, {"steps", std::move(steps)}});
  }
  const json::object all{{"version", kRecordVersion}, {"files", std::move(files)}};
  return replace_file(folder->get(), name, json::serialize(all) + "\n", name);
}

}  // namespace perdure::cli
