#pragma once

#include "base/error.h"
#include "store/session.h"
#include <perdure/task.h>

#include <optional>
#include <string>
#include <string_view>

// This user's signatures in a session (L51). A session's files are untrusted data: another program may have planted
// them, or they were unpacked from an archive or copied. Perdure runs a command from them only if this user signed it.
// A signature covers the bytes, the identity of the session's folder and of the task's, the machine and the task id.
namespace perdure::trust {

/// The purpose of the bytes, so that a signature for one purpose is invalid for another.
enum class Purpose { queue_entry, on_end, far_task, start };

/// Makes the key at the first use. Errors: session_unusable if a key can be neither read nor made, or if a folder is
/// missing.
[[nodiscard]] Result<Signature> sign(const store::Session& session, const TaskId& id, Purpose purpose,
                                     std::string_view bytes);

/// False for any other bytes, session, task, machine or user; also if the key can't be read.
[[nodiscard]] bool is_signed(const store::Session& session, const TaskId& id, Purpose purpose, std::string_view bytes,
                             const std::optional<Signature>& signature);

/// The contents of a signed file: the bytes, which are one line, and the signature on the next line. Errors: as of
/// sign().
[[nodiscard]] Result<std::string> with_signature(const store::Session& session, const TaskId& id, Purpose purpose,
                                                 std::string_view bytes);

/// The bytes of a signed file. Absent: it is damaged, or this user did not sign it for that purpose.
[[nodiscard]] std::optional<std::string_view> signed_bytes(const store::Session& session, const TaskId& id,
                                                           Purpose purpose, std::string_view text);

/// The commands of onEnd as one text to be signed.
[[nodiscard]] std::string on_end_bytes(const std::vector<std::string>& commands);

/// May the onEnd commands of this record be run? The task's folder must still exist, since the signature covers it.
[[nodiscard]] bool is_on_end_signed(const store::Session& session, const Task& task);

/// The folder of this user's key and of other trust: `$XDG_STATE_HOME/perdure` if that folder belongs to this user,
/// else `.local/state/perdure` below the home folder of the effective uid in passwd.
[[nodiscard]] std::string state_folder();

/// Has this user trusted this file with its present contents (`perdure config trust`)?
[[nodiscard]] bool is_trusted_file(const std::string& path, std::string_view content);
[[nodiscard]] Result<> trust_file(const std::string& path, std::string_view content);

}  // namespace perdure::trust
