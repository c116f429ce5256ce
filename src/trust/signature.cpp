#include "trust/signature.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/name_service.h"
#include "trust/sha256.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <pwd.h>

namespace perdure::trust {
namespace {

constexpr const char* kKeyFile = "signing-key";
constexpr const char* kTrustedFolder = "trusted";
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kMostKeyFile = 4096;

struct Key {
  std::string bytes;
  [[nodiscard]] std::string name() const { return in_hex(sha256("perdure key " + bytes)).substr(0, 16); }
};

std::string_view word_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::queue_entry: return "queue";
    case Purpose::on_end: return "onEnd";
    case Purpose::far_task: return "far";
    case Purpose::start: return "start";
  }
  return "";
}

bool is_own_folder(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == ::geteuid() &&
         (about.st_mode & S_IWOTH) == 0;
}

// The seventh part of a line of /etc/passwd but one: name:x:uid:gid:about:home:shell. Most users are found there, with half the
// calls that the C library makes for it.
std::string home_in_passwd(uid_t user) {
  const Fd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  char buffer[16384];
  const ssize_t n = file ? ::read(file.get(), buffer, sizeof buffer) : 0;
  std::string_view text(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  const auto take = [](std::string_view& from, char end) {
    const auto at = std::min(from.find(end), from.size());
    const std::string_view part = from.substr(0, at);
    from.remove_prefix(std::min(at + 1, from.size()));
    return part;
  };
  const std::string wanted = std::to_string(user);
  while (text.contains('\n')) {  // a line that was not read to its end is none
    std::string_view line = take(text, '\n');
    if (line.empty() || line[0] == '+' || line[0] == '-') return {};  // of NIS: not for us to understand
    for (int parts = 0; parts < 2; ++parts) take(line, ':');
    if (take(line, ':') != wanted) continue;
    for (int parts = 0; parts < 2; ++parts) take(line, ':');
    return std::string(take(line, ':'));
  }
  return {};
}

std::string home_of_user() {
  if (std::string home = home_in_passwd(::geteuid()); !home.empty()) return home;
  passwd entry{};
  passwd* found = nullptr;
  char room[4096];
  prepare_name_lookup();
  if (::getpwuid_r(::geteuid(), &entry, room, sizeof room, &found) == 0 && found != nullptr) return found->pw_dir;
  const char* const home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): never changed here
  return home == nullptr ? "" : home;
}

Result<Key> read_key(const std::string& folder) {
  const std::string path = folder + "/" + kKeyFile;
  auto file = open_at(AT_FDCWD, path, O_RDONLY, path);
  if (!file) return std::unexpected(file.error());
  struct stat about{};
  if (::fstat(file->get(), &about) != 0) return fail_errno("looking at", path);
  if (!S_ISREG(about.st_mode) || about.st_uid != ::geteuid() || (about.st_mode & 077U) != 0)
    return fail(ErrorCode::session_unusable,
                fmt::format("{} must be a file of this user with mode 0600: chmod 600 it, or remove it", path));
  Key key;
  key.bytes.resize(kMostKeyFile);
  const ssize_t n = ::read(file->get(), key.bytes.data(), key.bytes.size());
  if (n != static_cast<ssize_t>(kKeyBytes))
    return fail(ErrorCode::session_unusable, fmt::format("{} is not a key of {} bytes: remove it", path, kKeyBytes));
  key.bytes.resize(kKeyBytes);
  return key;
}

// Durable before the first signature: if a power cut took the key, its signatures could not be checked any more.
Result<Key> make_key(const std::string& folder) {
  if (auto made = make_folders(folder); !made) return std::unexpected(made.error());
  const std::string path = folder + "/" + kKeyFile;
  const std::string draft = fmt::format("{}.{}", path, ::getpid());
  Key key;
  key.bytes.resize(kKeyBytes);
  if (::getrandom(key.bytes.data(), key.bytes.size(), 0) != static_cast<ssize_t>(kKeyBytes))
    return fail_errno("making", path);
  Fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno("making", draft);
  auto written = write_all(file.get(), key.bytes, draft);
  if (written && ::fsync(file.get()) != 0) written = fail_errno("writing", draft);
  // link, not rename: of two processes that make a key at once, both use the first.
  const bool is_first = written && ::link(draft.c_str(), path.c_str()) == 0;
  const int error = errno;
  ::unlink(draft.c_str());
  if (!written) return std::unexpected(written.error());
  if (!is_first && error != EEXIST) return fail_os(error, "making", path);
  if (const Fd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); dir) ::fsync(dir.get());
  return is_first ? Result<Key>(std::move(key)) : read_key(folder);
}

Result<Key> own_key() {
  const std::string folder = state_folder();
  if (folder.empty())
    return fail(ErrorCode::session_unusable, "this user has no home folder, in which the signing key would lie");
  auto key = read_key(folder);
  if (!key && key.error().os_error == ENOENT) return make_key(folder);
  return key;
}

std::string in_words(const FolderIdentity& folder) {
  return folder.inode + " " + folder.birth_time.value_or("-");
}

// Not the device number, which changes at a reboot, and not the path: a session may be renamed or mounted elsewhere.
std::optional<std::string> message_for(const store::Session& session, const TaskId& id, Purpose purpose,
                                       std::string_view bytes) {
  const auto root = identity_of_folder(session.path());
  const auto folder = identity_of_folder(session.folder_path(id));
  if (!root || !folder) return std::nullopt;
  return fmt::format("perdure-1\n{}\n{}\n{}\n{}\n{}\n{}", word_of(purpose), machine_id(), in_words(*root),
                     in_words(*folder), id.str(), bytes);
}

std::string trusted_path(const std::string& path) {
  return fmt::format("{}/{}/{}", state_folder(), kTrustedFolder, in_hex(sha256(path)));
}

}  // namespace

std::string state_folder() {
  const char* const wanted = std::getenv("XDG_STATE_HOME");  // NOLINT(concurrency-mt-unsafe): never changed here
  if (wanted != nullptr && wanted[0] == '/' && is_own_folder(wanted)) return std::string(wanted) + "/perdure";
  const std::string home = home_of_user();
  return home.empty() ? "" : home + "/.local/state/perdure";
}

Result<Signature> sign(const store::Session& session, const TaskId& id, Purpose purpose, std::string_view bytes) {
  auto key = own_key();
  if (!key) return std::unexpected(key.error());
  const auto message = message_for(session, id, purpose, bytes);
  if (!message) return fail_errno("looking at", session.folder_path(id));
  return Signature{.key = key->name(), .value = in_hex(hmac_sha256(key->bytes, *message))};
}

bool is_signed(const store::Session& session, const TaskId& id, Purpose purpose, std::string_view bytes,
               const std::optional<Signature>& signature) {
  if (!signature) return false;
  const auto key = read_key(state_folder());
  if (!key || key->name() != signature->key) return false;
  const auto message = message_for(session, id, purpose, bytes);
  return message && equal_in_constant_time(in_hex(hmac_sha256(key->bytes, *message)), signature->value);
}

Result<std::string> with_signature(const store::Session& session, const TaskId& id, Purpose purpose,
                                   std::string_view bytes) {
  auto signature = sign(session, id, purpose, bytes);
  if (!signature) return std::unexpected(signature.error());
  return fmt::format("{}\n{} {}\n", bytes, signature->key, signature->value);
}

std::optional<std::string_view> signed_bytes(const store::Session& session, const TaskId& id, Purpose purpose,
                                             std::string_view text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(end + 1);
  line = line.substr(0, line.find('\n'));
  const auto blank = line.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const Signature given{.key = std::string(line.substr(0, blank)), .value = std::string(line.substr(blank + 1))};
  const std::string_view bytes = text.substr(0, end);
  if (!is_signed(session, id, purpose, bytes, given)) return std::nullopt;
  return bytes;
}

std::string on_end_bytes(const std::vector<std::string>& commands) {
  std::string bytes;
  for (const auto& command : commands) bytes += fmt::format("{}:{}\n", command.size(), command);
  return bytes;
}

bool is_on_end_signed(const store::Session& session, const Task& task) {
  return is_signed(session, task.id, Purpose::on_end, on_end_bytes(task.notification.on_end),
                   task.notification.signature);
}

bool is_trusted_file(const std::string& path, std::string_view content) {
  const std::string note = trusted_path(path);
  const auto text = read_regular_file(AT_FDCWD, note, kMostKeyFile, note);
  return text && equal_in_constant_time(*text, in_hex(sha256(content)));
}

Result<> trust_file(const std::string& path, std::string_view content) {
  const std::string note = trusted_path(path);
  const std::string folder = note.substr(0, note.rfind('/'));
  if (auto made = make_folders(folder); !made) return made;
  const Fd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno("opening", folder);
  return replace_file(dir.get(), note.substr(folder.size() + 1), in_hex(sha256(content)), note);
}

}  // namespace perdure::trust
