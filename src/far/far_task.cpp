#include "far/far_task.h"

#include "base/file_lock.h"
#include "base/files.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "codec/fields.h"
#include "codec/json.h"
#include "codec/record.h"
#include "contract/names.h"
#include "trust/signature.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace perdure::far {
namespace {

constexpr std::size_t kMostBytes = std::size_t{8} << 20;
constexpr std::string_view kHostPrefix = ".host-";

std::string body_of(const FarTask& task) {
  std::string words;
  for (const auto& word : task.words) words += (words.empty() ? "" : ",") + json_quoted(word);
  std::string body = fmt::format(
      R"({{"version":1,"key":{},"machine":{},"words":[{}],"inScope":{},"attempts":{},"parked":{})",
      json_quoted(task.key), json_quoted(task.machine), words, task.in_scope, task.attempts, task.is_parked);
  if (!task.input.empty()) body += fmt::format(R"(,"input":{})", json_quoted(task.input));
  if (task.place) body += fmt::format(R"(,"place":{})", json_quoted(*task.place));
  if (task.stop)
    body += fmt::format(R"(,"stop":{{"reason":{},"grace":{},"quiet":{}}})", json_quoted(task.stop->reason),
                        task.stop->grace_ms, task.stop->is_quiet);
  return body + fmt::format(R"(,"record":{}}})", codec::encode(task.planned));
}

std::optional<FarTask> task_of(std::string_view body, const TaskId& id) {
  auto members = codec::split_object(body);
  if (!members) return std::nullopt;
  codec::Fields fields(*members);
  const codec::Member* const record = fields.find("record");
  const codec::Member* const words = fields.find("words");
  if (record == nullptr || words == nullptr) return std::nullopt;
  auto planned = codec::decode(record->raw, id.str());
  auto read_words = codec::strings_of(*words);
  if (!planned || !planned->executor || !read_words) return std::nullopt;
  planned->found.raw.clear();
  FarTask task{.planned = std::move(*planned),
               .key = fields.text("key", codec::Need::required).value_or(""),
               .machine = fields.text("machine", codec::Need::required).value_or(""),
               .place = fields.text("place", codec::Need::optional),
               .words = std::move(*read_words),
               .input = fields.text("input", codec::Need::optional).value_or(""),
               .is_parked = fields.boolean("parked").value_or(false),
               .attempts = static_cast<int>(fields.integer("attempts", codec::Need::optional, 0, 1'000).value_or(0)),
               .in_scope = fields.boolean("inScope").value_or(false),
               .stop = {}};
  if (const codec::Member* const stop = fields.find("stop")) {
    auto inside = codec::split_object(stop->raw);
    if (!inside) return std::nullopt;
    codec::Fields wish(*inside);
    task.stop = StopWanted{.reason = wish.text("reason", codec::Need::optional).value_or(""),
                           .grace_ms = wish.integer("grace", codec::Need::optional, -1, codec::kMostInt).value_or(-1),
                           .is_quiet = wish.boolean("quiet").value_or(false)};
  }
  if (!fields.problem().empty()) return std::nullopt;
  return task;
}

Result<Fd> open_entries(const store::Session& session) {
  return open_folder_at(AT_FDCWD, entries_path(session), entries_path(session));
}

Result<> synced(const Fd& folder, const std::string& path) {
  if (::fsync(folder.get()) != 0) return fail_errno("syncing the folder", path);
  return {};
}

}  // namespace

Result<> write_far_task(const store::Session& session, const FarTask& task) {
  const TaskId& id = task.planned.id;
  TRY(auto text, trust::with_signature(session, id, trust::Purpose::far_task, body_of(task)));
  TRY(auto folder, session.open_folder(id));
  return replace_file(folder.get(), contract::kFarFile, text, session.folder_path(id) + "/" + contract::kFarFile);
}

std::optional<FarTask> read_far_task(const store::Session& session, const TaskId& id) {
  auto folder = session.open_folder(id);
  if (!folder) return std::nullopt;
  const auto text = read_regular_file(folder->get(), contract::kFarFile, kMostBytes, contract::kFarFile);
  if (!text) return std::nullopt;
  const auto body = trust::signed_bytes(session, id, trust::Purpose::far_task, *text);
  return body ? task_of(*body, id) : std::nullopt;
}

std::string entries_path(const store::Session& session) {
  return session.path() + "/" + contract::kFarDir;
}

Result<> enter(const store::Session& session, const TaskId& id) {
  const std::string path = entries_path(session);
  TRY_VOID(make_folder_at(AT_FDCWD, path, path));
  TRY(auto folder, open_entries(session));
  // Touching the file is enough: closing it wakes the others, and there is nothing new to store.
  if (open_at(folder.get(), id.str(), O_WRONLY, path + "/" + id.str())) return {};
  TRY(auto file, open_at(folder.get(), id.str(), O_WRONLY | O_CREAT, path + "/" + id.str()));
  file.reset();
  return synced(folder, path);
}

Result<std::optional<Fd>> take_entry(const store::Session& session, const TaskId& id) {
  const std::string path = entries_path(session) + "/" + id.str();
  auto file = open_at(AT_FDCWD, path, O_RDWR, path);
  if (!file && is_absence(file.error().os_error)) return std::nullopt;
  if (!file) return std::unexpected(file.error());
  TRY(auto taken, try_lock(file->get(), path));
  if (!taken) return std::nullopt;
  return std::move(*file);
}

Result<> remove_entry(const store::Session& session, const TaskId& id) {
  auto folder = open_entries(session);
  if (!folder && is_absence(folder.error().os_error)) return {};
  if (!folder) return std::unexpected(folder.error());
  if (::unlinkat(folder->get(), id.str().c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("removing", entries_path(session) + "/" + id.str());
  return {};
}

bool is_entered(const store::Session& session, const TaskId& id) {
  struct stat about{};
  return ::lstat((entries_path(session) + "/" + id.str()).c_str(), &about) == 0;
}

Result<std::vector<TaskId>> entries(const store::Session& session) {
  std::vector<TaskId> ids;
  auto folder = open_entries(session);
  if (!folder && is_absence(folder.error().os_error)) return ids;
  if (!folder) return std::unexpected(folder.error());
  TRY(auto names, read_folder(folder->get(), entries_path(session)));
  for (const auto& entry : names)
    if (auto id = TaskId::parse(entry.name); id && id->has_record_form()) ids.push_back(std::move(*id));
  std::ranges::sort(ids);
  return ids;
}

std::optional<KnownHost> known_host(const store::Session& session, const std::string& executor) {
  auto folder = open_entries(session);
  if (!folder) return std::nullopt;
  const auto text = read_regular_file(folder->get(), std::string(kHostPrefix) + executor, 4'096, executor);
  if (!text) return std::nullopt;
  const auto end = text->find(' ');
  if (end == std::string::npos) return std::nullopt;
  return KnownHost{.machine = text->substr(0, end), .in_scope = text->substr(end + 1).starts_with("scope")};
}

Result<> note_host(const store::Session& session, const std::string& executor, const KnownHost& host) {
  const std::string path = entries_path(session);
  TRY_VOID(make_folder_at(AT_FDCWD, path, path));
  TRY(auto folder, open_entries(session));
  return replace_file(folder.get(), std::string(kHostPrefix) + executor,
                      fmt::format("{} {}\n", host.machine, host.in_scope ? "scope" : "plain"), path);
}

bool is_mirror(const store::Session& session, const Task& task) {
  return task.executor && !task.host.runner && task.found.source == session.record_path(task.id);
}

std::optional<Task> unplaced(const store::Session& session, const TaskId& id) {
  if (!is_entered(session, id)) return std::nullopt;
  auto known = read_far_task(session, id);
  if (!known) return std::nullopt;
  Task task = std::move(known->planned);
  task.status = Status::queued;
  task.started_at = task.queue.queued_at.value_or(TimePoint());
  task.limits.timeout_ms.reset();
  return task;
}

}  // namespace perdure::far
