#pragma once

#include "base/error.h"
#include "store/session.h"
#include <perdure/task.h>

#include <optional>
#include <string>
#include <string_view>

// What this user vouches for in a session (L51). A session's files are untrusted data: they may have been planted,
// unpacked from an archive or copied from elsewhere. Perdure runs a command from them only with a signature of this user,
// which covers the bytes, the identity of the session's folder and of the task's, the machine and the task id.
namespace perdure::trust {

/// What the bytes are, so that a signature of one thing is none of another.
enum class Purpose { queue_entry, on_end, far_task, start };

/// Makes the key at the first use. Errors: session_unusable where no key can be read or made, or a folder is missing.
[[nodiscard]] Result<Signature> sign(const store::Session& session, const TaskId& id, Purpose purpose,
                                     std::string_view bytes);

/// False for any other bytes, session, task, machine or user; also where the key can't be read.
[[nodiscard]] bool is_signed(const store::Session& session, const TaskId& id, Purpose purpose, std::string_view bytes,
                             const std::optional<Signature>& signature);

/// What a file that is signed holds: the bytes, which are one line, and the signature on the next. Errors: as of sign().
[[nodiscard]] Result<std::string> with_signature(const store::Session& session, const TaskId& id, Purpose purpose,
                                                 std::string_view bytes);

/// The bytes of such a text. Absent: it is damaged, or this user did not sign it so.
[[nodiscard]] std::optional<std::string_view> signed_bytes(const store::Session& session, const TaskId& id,
                                                           Purpose purpose, std::string_view text);

/// The commands of onEnd as one text to be signed.
[[nodiscard]] std::string on_end_bytes(const std::vector<std::string>& commands);

/// May the onEnd of this record be run? The task's folder must still be there, since the signature covers it.
[[nodiscard]] bool is_on_end_signed(const store::Session& session, const Task& task);

/// Where this user's key, and what else is trusted, is kept: `$XDG_STATE_HOME/perdure` if that folder is this user's
/// own, else `.local/state/perdure` below the home folder that passwd names for the effective uid.
[[nodiscard]] std::string state_folder();

/// Has this user said that this file, as it stands now, may be acted upon? (`perdure config trust`)
[[nodiscard]] bool is_trusted_file(const std::string& path, std::string_view content);
[[nodiscard]] Result<> trust_file(const std::string& path, std::string_view content);

}  // namespace perdure::trust
