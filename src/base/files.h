#pragma once

#include "base/error.h"
#include "base/fd.h"
#include <perdure/task.h>

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perdure {

/// Opens close-on-exec, never following a link in the last component and never blocking on a FIFO. `described` is the
/// file's name in errors.
[[nodiscard]] Result<Fd> open_at(int folder, const std::string& name, int flags, const std::string& described,
                                 mode_t mode = 0600);

/// Opens a folder for use with the *_at functions; links in the last component are refused.
[[nodiscard]] Result<Fd> open_folder_at(int folder, const std::string& name, const std::string& described);

/// All bytes of a regular file of at most `limit` bytes. Anything else in its place (a link, FIFO, device, folder, a
/// larger file) is record_invalid with the reason.
[[nodiscard]] Result<std::string> read_regular_file(int folder, const std::string& name, std::size_t limit,
                                                    const std::string& described);

/// The content of a file of /proc or /sys, or "" when it can't be read.
[[nodiscard]] std::string read_kernel_file(const std::string& path);

[[nodiscard]] Result<> write_all(int fd, std::string_view bytes, const std::string& described);

/// Makes `name` in `folder` contain exactly `bytes`, durably, or leaves it unchanged; mode 0600. Readers see the old
/// file or the new one, never a mixture. On failure the temporary file is removed.
[[nodiscard]] Result<> replace_file(int folder, const std::string& name, std::string_view bytes,
                                    const std::string& described);

/// Makes one folder, 0700. An existing folder is success.
[[nodiscard]] Result<> make_folder_at(int folder, const std::string& name, const std::string& described);

/// Makes a folder with all its parents, each new one 0700.
[[nodiscard]] Result<> make_folders(const std::string& path);
/// Makes a folder's entries durable, and the folder itself, and so on up to one that this user may not open.
[[nodiscard]] Result<> sync_folder_and_parents(const std::string& path);

struct FolderEntry {
  std::string name;
  unsigned char type;  // DT_REG, DT_DIR, ...; DT_UNKNOWN is resolved
};
/// The entries of a folder without "." and "..", in the file system's order. Duplicates the descriptor.
[[nodiscard]] Result<std::vector<FolderEntry>> read_folder(int folder, const std::string& described);

/// Inode and birth time of a folder; absent if they can't be read.
[[nodiscard]] std::optional<FolderIdentity> identity_of_folder(const std::string& path);

/// Is it on a file system that no other machine writes: ext, xfs, btrfs, f2fs, zfs, tmpfs, overlay? False if unknown.
[[nodiscard]] bool is_on_local_disk(const std::string& path);

/// Removes a file or a folder with its contents, never following a link. Succeeds if it does not exist.
[[nodiscard]] Result<> remove_tree_at(int folder, const std::string& name, const std::string& described);

}  // namespace perdure
