#include "acp/requests/files.h"

#include "acp/protocol/fields.h"
#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>

namespace perdure::acp {
namespace {

constexpr int kNotFound = -32'002;

std::unexpected<jsonrpc::Fault> refused(const std::string& path, int error) {
  if (error == EXDEV || error == ELOOP)
    return wrong(fmt::format("{}: is outside of the folder that may be used", path));
  return std::unexpected(jsonrpc::Fault{.code = error == ENOENT ? kNotFound : jsonrpc::kInternalError,
                                        .message = fmt::format("{}: {}", path, describe_errno(error))});
}

// No component may lead out of the folder: neither "..", nor a link, nor /proc's magic links.
int open_beneath(int folder, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  // A FIFO must not block this process; openat2 refuses flags that have no meaning with O_PATH.
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC | ((flags & O_PATH) != 0 ? 0 : O_NONBLOCK | O_NOCTTY));
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how));
}

// "" for a path that is not below the folder.
std::string below(const std::string& path, const std::string& folder) {
  if (folder.empty() || !path.starts_with(folder)) return "";
  if (folder == "/") return path.substr(1);
  return path.size() > folder.size() && path[folder.size()] == '/' ? path.substr(folder.size() + 1) : "";
}

std::optional<std::int64_t> count_in(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(name);
  return value != nullptr && value->is_int64() && value->get_int64() >= 0 ? std::optional(value->get_int64())
                                                                          : std::nullopt;
}

// The lines from number `from` (starting at 1) on, at most `most` of them.
std::string_view lines_of(std::string_view text, std::int64_t from, std::optional<std::int64_t> most) {
  for (; from > 1 && !text.empty(); --from)
    text.remove_prefix(
        std::min(text.size(), text.find('\n') == std::string_view::npos ? text.size() : text.find('\n') + 1));
  if (!most) return text;
  std::size_t end = 0;
  for (std::int64_t n = 0; n < *most && end < text.size(); ++n) {
    const auto line_end = text.find('\n', end);
    end = line_end == std::string_view::npos ? text.size() : line_end + 1;
  }
  return text.substr(0, end);
}

}  // namespace

Files::Files(std::string folder)
    : folder_(std::move(folder)), root_(::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(folder_.c_str(), nullptr), &std::free);
  if (real) real_folder_ = real.get();
}

Files::Opened Files::open(const std::string& path, int flags, bool with_folders) const {
  if (path.empty() || path.front() != '/' || path.contains('\0'))
    return wrong(fmt::format("'{}' is not an absolute path", to_valid_utf8(path)));
  std::string name = below(path, folder_);
  if (name.empty()) name = below(path, real_folder_);
  if (name.empty()) return wrong(fmt::format("{}: is outside of {}", to_valid_utf8(path), folder_));
  for (std::size_t slash = with_folders ? name.find('/') : std::string::npos; slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    const std::string part = name.substr(0, slash);
    const Fd there(open_beneath(root_.get(), part, O_PATH | O_DIRECTORY, 0));
    if (there) continue;
    if (errno != ENOENT) return refused(path, errno);
    const auto last = part.rfind('/');
    const Fd parent(last == std::string::npos
                        ? ::dup(root_.get())
                        : open_beneath(root_.get(), part.substr(0, last), O_PATH | O_DIRECTORY, 0));
    const std::string leaf = last == std::string::npos ? part : part.substr(last + 1);
    if (!parent || (::mkdirat(parent.get(), leaf.c_str(), 0777) != 0 && errno != EEXIST)) return refused(path, errno);
  }
  Fd file(open_beneath(root_.get(), name, flags, 0666));
  if (!file) return refused(path, errno);
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return refused(path, errno);
  if (!S_ISREG(about.st_mode)) return wrong(fmt::format("{}: is not a regular file", path));
  if (static_cast<std::size_t>(about.st_size) > kMostBytes && (flags & O_ACCMODE) == O_RDONLY)
    return wrong(fmt::format("{}: is larger than 16 MiB", path));
  return file;
}

Handler::Answer Files::read(const json::object& params) const {
  const std::string path = text_in(params, "path");
  auto file = open(path, O_RDONLY, false);
  if (!file) return std::unexpected(file.error());
  std::string bytes;
  char part[65'536];
  while (bytes.size() <= kMostBytes) {
    const ssize_t n = ::read(file->get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refused(path, errno);
    if (n == 0) break;
    bytes.append(part, static_cast<std::size_t>(n));
  }
  const auto lines = lines_of(bytes, count_in(params, "line").value_or(1), count_in(params, "limit"));
  return json::object{{"content", to_valid_utf8(lines)}};
}

Handler::Answer Files::write(const json::object& params) const {
  const std::string path = text_in(params, "path");
  const auto* const content = params.if_contains("content");
  if (content == nullptr || !content->is_string()) return wrong("content: is missing");
  if (content->get_string().size() > kMostBytes) return wrong(fmt::format("{}: is larger than 16 MiB", path));
  auto file = open(path, O_WRONLY | O_CREAT | O_TRUNC, true);
  if (!file) return std::unexpected(file.error());
  if (auto written = write_all(file->get(), content->get_string(), path); !written)
    return std::unexpected(jsonrpc::Fault{.message = written.error().message});
  return json::object();
}

}  // namespace perdure::acp
