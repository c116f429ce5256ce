#include "manager/status/queue.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/json.h"
#include "codec/record.h"
#include "contract/launch_spec.h"
#include "manager/link/program.h"
#include "manager/link/spawn.h"
#include "manager/status/waiting.h"
#include "store/active.h"
#include "store/agent.h"
#include "store/outbox.h"
#include "store/records.h"
#include "store/runner_lock.h"
#include "trust/signature.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace perdure::manager {
namespace {

struct Entry {
  Task task;
  std::int64_t spec_version = 0;
  std::string launch_spec;
  std::string signed_bytes;  // all bytes but the signature
  std::optional<Signature> signature;
};

constexpr std::string_view kSignatureMember = ",\"signature\":{\"key\":\"";

// What the signature of an entry covers: the bytes before it, and a subagent's plan.
std::string bytes_to_sign(const store::Session& session, const TaskId& id, std::string_view entry) {
  std::string bytes(entry);
  if (auto plan = store::read_plan(session, id)) bytes += *plan;
  return bytes;
}

Result<std::optional<Entry>> read_entry(const store::Session& session, const store::QueueEntry& entry) {
  TRY(auto text, store::read_queue_entry(session, entry));
  if (!text) return std::nullopt;
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::record_invalid, fmt::format("{}/queue/{}: {}", session.path(), entry.name, why));
  };
  auto members = codec::split_object(*text);
  if (!members) return bad(members.error().message);
  Entry read{.task = Task{.id = entry.id}};
  bool has_task = false;
  for (const auto& member : *members) {
    if (member.key == "task" && member.type == codec::JsonType::object) {
      auto task = codec::decode(member.raw, entry.id.str());
      if (!task) return bad(task.error().message);
      read.task = std::move(*task);
      has_task = true;
    }
    if (member.key == "specVersion") read.spec_version = codec::integer_of(member).value_or(0);
    if (member.key == "spec" && member.type == codec::JsonType::string)
      read.launch_spec = bytes_of_base64(member.between_quotes()).value_or("");
    if (member.key == "signature" && member.type == codec::JsonType::object) {
      const auto parts = codec::split_object(member.raw);
      Signature signature;
      for (const auto& part : parts ? *parts : std::vector<codec::Member>()) {
        if (part.key == "key") signature.key = std::string(part.between_quotes());
        if (part.key == "value") signature.value = std::string(part.between_quotes());
      }
      read.signature = std::move(signature);
    }
  }
  if (!has_task || read.launch_spec.empty()) return bad("the task or its launch specification is missing");
  read.signed_bytes =
      bytes_to_sign(session, entry.id, std::string_view(*text).substr(0, text->rfind(kSignatureMember)));
  read.task.status = Status::queued;
  read.task.found.raw.clear();
  read.task.found.source = session.record_path(entry.id);
  return std::optional(std::move(read));
}

bool is_signed_entry(const store::Session& session, const Entry& entry) {
  return trust::is_signed(session, entry.task.id, trust::Purpose::queue_entry, entry.signed_bytes, entry.signature);
}

// Its runner was killed, perhaps while it started the command. True: the command did not run, so it may be started
// again.
Result<bool> has_not_run(const store::Session& session, const store::QueueEntry& entry) {
  TRY(const auto record, store::find_record(session, entry.id));
  if (!record) return true;
  if (is_terminal(record->status)) return false;
  // runner.lock is not fsynced: it proves that the command was not let go only under the boot that wrote the record
  // (D44).
  const bool is_this_boot = record->host.boot_id && *record->host.boot_id == boot_id();
  return is_this_boot && !store::read_runner_notes(session, entry.id).gate_opened;
}

Result<> revive(const store::Session& session, const store::QueueEntry& entry, const std::string& runner,
                Telemetry& telemetry) {
  TRY(auto waits, has_not_run(session, entry));
  // The runner was killed just before it removed the entry.
  if (!waits) return store::remove_queue_entry(session, entry);
  if (const auto notes = store::read_runner_notes(session, entry.id); notes.decision) {
    TRY_VOID(end_queued(session, entry.id, {.reason = notes.decision->reason}, telemetry));
    return {};
  }
  const std::int64_t inode_before = store::inode_of(session, entry);
  auto read = read_entry(session, entry);
  if (!read) return std::unexpected(read.error());
  if (!*read || (*read)->spec_version != contract::kSpecVersion) return {};  // doctor reports the latter
  // Another program may have put files into queue/: only what this user signed is run (L51).
  if (!is_signed_entry(session, **read)) return {};
  // The runner leaves an entry alone that is not the one that was read here: it was edited meanwhile.
  const std::int64_t inode_after = store::inode_of(session, entry);
  auto parts = SpecParts::read((*read)->launch_spec);
  if (!parts || inode_before == 0 || inode_before != inode_after) return {};
  parts->header.entry_inode = static_cast<std::uint64_t>(inode_after);
  auto program = find_runner(runner);
  if (!program) return std::unexpected(program.error());
  TRY_VOID(session.claim(entry.id));
  TRY(auto spec, memory_file(parts->bytes()));
  // The answer does not matter: if another manager was quicker, its runner has the lock.
  auto answer = spawn_runner({.runner = *program,
                              .session = session.path(),
                              .id = entry.id.str(),
                              .marker = session.marker(entry.id),
                              .spec = spec,
                              .entry = entry.name});
  if (!answer) return std::unexpected(answer.error());
  return {};
}

// Without a key it is queued all the same. If its runner is killed, starting it again needs `reconcile --trust`.
std::string signed_entry(const store::Session& session, const TaskId& id, std::string text) {
  const auto signature = trust::sign(session, id, trust::Purpose::queue_entry, bytes_to_sign(session, id, text));
  if (signature) text += fmt::format("{}{}\",\"value\":\"{}\"}}", kSignatureMember, signature->key, signature->value);
  return text + "}\n";
}

}  // namespace

std::string queue_entry_text(const store::Session& session, const Task& task, std::string_view launch_spec) {
  Task as_record = task;
  as_record.status = Status::running;
  as_record.started_at = task.queue.queued_at.value_or(TimePoint());
  std::string text = fmt::format("{{\"format\":1,\"task\":{},\"specVersion\":{},\"spec\":\"{}\"",
                                 codec::encode(as_record), contract::kSpecVersion, base64_of(launch_spec));
  return signed_entry(session, task.id, std::move(text));
}

Result<std::optional<Task>> read_queued(const store::Session& session, const store::QueueEntry& entry) {
  TRY(auto read, read_entry(session, entry));
  if (!read) return std::nullopt;
  return std::optional(std::move(read->task));
}

Result<std::vector<Task>> queued_tasks(const store::Session& session) {
  std::vector<Task> tasks;
  TRY(auto entries, store::list_queue(session));
  int place = 0;
  for (const auto& entry : entries) {
    TRY(auto task, read_queued(session, entry));
    if (!task) continue;
    if (!entry.follows) task->queue.place = ++place;
    tasks.push_back(std::move(*task));
  }
  return tasks;
}

namespace {

Result<> revive_if_dead(const store::Session& session, const store::QueueEntry& entry, const std::string& runner,
                        Telemetry& telemetry) {
  TRY(auto alive, store::is_runner_alive(session, entry.id));
  if (alive) return {};
  return revive(session, entry, runner, telemetry);
}

}  // namespace

Result<> revive_queue(const store::Session& session, const std::string& runner, Telemetry& telemetry) {
  TRY(auto entries, store::list_queue(session));
  for (const auto& entry : entries) TRY_VOID(revive_if_dead(session, entry, runner, telemetry));
  return {};
}

Result<> revive_next(const store::Session& session, const std::string& runner, Telemetry& telemetry,
                     const std::vector<TaskId>& asked_for) {
  constexpr int kFew = 4;  // of those that compete for a slot, and as many of those that follow another task
  TRY(auto entries, store::list_queue(session));
  int left[2] = {kFew, kFew};
  for (const auto& entry : entries) {
    int& more = left[entry.follows ? 1 : 0];
    if (more <= 0 && std::ranges::find(asked_for, entry.id) == asked_for.end()) continue;
    --more;
    TRY_VOID(revive_if_dead(session, entry, runner, telemetry));
  }
  return {};
}

Result<std::string> cannot_start_again(const store::Session& session, const store::QueueEntry& entry) {
  TRY(auto read, read_entry(session, entry));
  if (read && read->spec_version != contract::kSpecVersion) return "another version of Perdure queued it";
  if (read && !is_signed_entry(session, *read))
    return "this user has not signed it: look at what it would run with `perdure reconcile --trust`";
  return "";
}

Result<std::optional<EntryParts>> entry_parts(const store::Session& session, const store::QueueEntry& entry) {
  TRY(auto read, read_entry(session, entry));
  if (!read) return std::nullopt;
  // This process signs the new entry, so an entry that this user has not signed is refused (L51).
  TRY(auto why_not, cannot_start_again(session, entry));
  if (!why_not.empty()) return fail(ErrorCode::usage, fmt::format("{} can't be changed: {}", entry.id.str(), why_not));
  return EntryParts{.task = std::move(read->task), .launch_spec = std::move(read->launch_spec)};
}

// The new content under the old name first: after a kill in between, only its place is the old one.
Result<> replace_entry(const store::Session& session, const store::QueueEntry& entry, const EntryParts& parts,
                       const std::string& name) {
  TRY(auto folder, session.open_queue());
  TRY_VOID(
      replace_file(folder.get(), entry.name, queue_entry_text(session, parts.task, parts.launch_spec), entry.name));
  if (name == entry.name) return {};
  if (::renameat(folder.get(), entry.name.c_str(), folder.get(), name.c_str()) != 0)
    return fail_errno("moving", entry.name);
  if (::fsync(folder.get()) != 0) return fail_errno("moving", entry.name);
  return {};
}

Result<std::vector<Untrusted>> untrusted_entries(const store::Session& session) {
  std::vector<Untrusted> found;
  TRY(auto entries, store::list_queue(session));
  for (const auto& entry : entries) {
    const auto alive = store::is_runner_alive(session, entry.id);
    const auto read = alive && !*alive ? read_entry(session, entry) : Result<std::optional<Entry>>(std::nullopt);
    if (!read || !*read || is_signed_entry(session, **read)) continue;
    found.push_back({.task = (*read)->task, .runs = (*read)->task.process.command});
  }
  return found;
}

Result<> trust_entry(const store::Session& session, const TaskId& id) {
  TRY(auto entries, store::list_queue(session));
  const auto entry = std::ranges::find(entries, id, &store::QueueEntry::id);
  if (entry == entries.end()) return {};
  auto text = store::read_queue_entry(session, *entry);
  if (!text || !*text) return text ? Result<>() : std::unexpected(text.error());
  // The signature covers the folder too.
  TRY_VOID(session.claim(id));
  std::string bytes = (*text)->substr(0, (*text)->rfind(kSignatureMember));
  if (bytes.size() == (*text)->size()) bytes.resize(bytes.rfind('}'));
  TRY(auto folder, session.open_queue());
  return replace_file(folder.get(), entry->name, signed_entry(session, id, std::move(bytes)), entry->name);
}

Result<bool> end_queued(const store::Session& session, const TaskId& id, const StopOptions& options,
                        Telemetry& telemetry) {
  TRY(auto entries, store::list_queue(session));
  const auto entry = std::ranges::find(entries, id, &store::QueueEntry::id);
  if (entry == entries.end()) return false;
  TRY(auto lock, store::RunnerLock::take(session, id));
  if (!lock) return false;
  TRY(auto task, read_queued(session, *entry));
  if (!task) return false;
  Task& ended = *task;
  ended.status = Status::killed;
  ended.started_at = ended.queue.queued_at.value_or(time_at(now_ms()));
  ended.ended_at = time_at(std::max(now_ms(), ms_of(ended.started_at)));
  ended.started_at = *ended.ended_at;  // it never ran
  ended.queue.place.reset();
  ended.stop_reason = options.reason;
  if (is_quiet(options, ended)) ended.notification.suppressed = true;
  ended.ended_seq = session.next_seq();
  if (!ended.notification.suppressed) TRY_VOID(store::add_to_outbox(session, id));
  TRY_VOID(store::write_record(ended));
  TRY_VOID(store::remove_queue_entry(session, *entry));
  const bool runs_on_end = trust::is_on_end_signed(session, ended);
  store::end_in_active(session, id);
  lock->clean_up_and_release();
  telemetry.settled(ended, runs_on_end);
  return true;
}

}  // namespace perdure::manager
