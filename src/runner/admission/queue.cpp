#include "runner/admission/queue.h"

#include "contract/names.h"

#include <cstring>

namespace runner {

using namespace perdure::contract;

namespace {

constexpr unsigned kPriorityDigits = 3, kNumberDigits = 16;
constexpr unsigned long kPrefix = kPriorityDigits + 1 + kNumberDigits + 1;  // before the id in an entry's name

// With leading zeros, so that names sort as numbers do.
template <unsigned N>
void add_padded(Text<N>& to, std::int64_t number, unsigned digits) {
  const auto text = Text<24>() << number;
  for (auto n = static_cast<unsigned>(text.view().size()); n < digits; ++n) to << "0";
  to << text.view();
}

// The id in the name of an entry that waits for another task; empty: it is not such a name.
std::string_view follower_in(std::string_view name) {
  constexpr unsigned long kBefore = std::string_view(kFollowerPrefix).size() + kNumberDigits + 1;
  if (!name.starts_with(kFollowerPrefix) || name.size() <= kBefore || !name.ends_with(kEntrySuffix)) return {};
  name.remove_suffix(std::strlen(kEntrySuffix));
  return behind(name, kBefore);
}

// The id in the name of an entry that competes for a slot; empty: it is not such a name.
std::string_view id_in(std::string_view name) {
  if (name.size() <= kPrefix || !name.ends_with(kEntrySuffix) || name[kPriorityDigits] != '-') return {};
  for (unsigned i = 0; i < kPriorityDigits; ++i)
    if (name[i] < '0' || name[i] > '9') return {};
  name.remove_suffix(std::strlen(kEntrySuffix));
  return behind(name, kPrefix);
}

}  // namespace

int Queue::open(int session_folder, int tasks_folder, std::string_view task_id) {
  session_ = session_folder;
  tasks_ = tasks_folder;
  task_id_ = task_id;
  folder_ = Fd(sys::open_or_make_folder_at(session_folder, kQueueDir));
  return folder_ ? 0 : folder_.get();
}

int Queue::lock() {
  lock_ = Fd(sys::open_at(folder_.get(), kAdmissionLock, O_RDWR | O_CREAT | O_NOFOLLOW));
  if (!lock_) return lock_.get();
  int e = 0;
  while ((e = sys::lock(lock_.get(), true)) == -EINTR) {
  }
  return e;
}

// An entry is as durable as the name of queue/ (D02), and the process that made that folder may have been killed before
// it synced it. A byte in the lock file says that the name is durable; it is lost together with the folder only.
int Queue::make_durable() {
  struct stat about{};
  if (const int e = sys::checked(::fstat(lock_.get(), &about)); e < 0) return e;
  if (about.st_size > 0) return 0;
  if (const int e = sys::sync(session_); e < 0) return e;
  const long n = sys::write_at(lock_.get(), "d", 1, 0);
  return n < 0 ? static_cast<int>(n) : 0;
}

int Queue::enter(unsigned priority, std::int64_t number, bool follows, std::string_view text) {
  name_.clear();
  if (follows) {
    name_ << kFollowerPrefix;
  } else {
    add_padded(name_, kMostPriority - static_cast<std::int64_t>(priority), kPriorityDigits);
    name_ << "-";
  }
  add_padded(name_, number, kNumberDigits);
  name_ << "-" << task_id_ << kEntrySuffix;
  const auto unfinished = Name() << "." << name_.view();
  int e = make_durable();
  if (e == 0) {
    Fd file(sys::open_at(folder_.get(), unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
    e = file ? 0 : file.get();
    while (e == 0 && !text.empty()) {
      const long n = sys::write(file.get(), text.data(), text.size());
      if (n == -EINTR) continue;
      if (n <= 0) e = n < 0 ? static_cast<int>(n) : -EIO;
      if (n > 0) text = behind(text, static_cast<unsigned long>(n));
    }
    if (e == 0) e = sys::sync(file.get());
  }
  if (e == 0) e = sys::rename_at(folder_.get(), unfinished.c_str(), folder_.get(), name_.c_str());
  if (e == 0) e = sys::sync(folder_.get());
  if (e < 0) {
    sys::unlink_at(folder_.get(), unfinished.c_str());
    leave();
  }
  return e;
}

int Queue::adopt(std::string_view name, std::uint64_t inode) {
  const auto path = Name() << name;
  struct stat about{};
  if (::fstatat(folder_.get(), path.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? -ESTALE : -errno;
  if (inode != 0 && about.st_ino != inode) return -ESTALE;
  name_ = path;
  return 0;
}

bool Queue::follows() const {
  return name_.view().starts_with(kFollowerPrefix);
}

int Queue::compete(unsigned priority) {
  Name place;
  add_padded(place, kMostPriority - static_cast<std::int64_t>(priority), kPriorityDigits);
  place << "-" << behind(name_.view(), std::strlen(kFollowerPrefix));
  if (const int e = sys::rename_at(folder_.get(), name_.c_str(), folder_.get(), place.c_str()); e < 0) return e;
  name_ = place;
  return sys::sync(folder_.get());
}

void Queue::leave() {
  if (!name_.view().empty()) sys::unlink_at(folder_.get(), name_.c_str());
  name_.clear();
}

template <class F>
int Queue::each_name(F&& visit) const {
  const Fd list(sys::open_at(folder_.get(), ".", O_RDONLY | O_DIRECTORY));
  if (!list) return list.get();
  alignas(sys::DirEntry) char buffer[4096];
  while (true) {
    const long n = sys::list(list.get(), buffer, sizeof buffer);
    if (n <= 0) return static_cast<int>(n);
    for (long at = 0; at < n;) {
      const auto* const entry = reinterpret_cast<const sys::DirEntry*>(buffer + at);
      at += entry->length;
      const std::string_view name(entry->name);
      visit(name);
    }
  }
}

bool Queue::is_live(std::string_view id) const {
  const Fd folder(sys::open_at(tasks_, (Text<80>() << id).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  // If the entry can't be inspected, its runner counts as alive: it is not overtaken without proof.
  if (!folder) return folder.get() != -ENOENT;
  const Fd lock(sys::open_at(folder.get(), kRunnerLock, O_RDONLY | O_NOFOLLOW));
  return lock ? sys::is_locked(lock.get()) : lock.get() != -ENOENT;
}

int Queue::nearest_before(Id& id) const {
  Name bound = name_;
  while (true) {
    Name best;
    id.clear();
    const int e = each_name([&](std::string_view name) {
      const std::string_view whose = id_in(name);
      if (whose.empty() || (!bound.view().empty() && name >= bound.view()) || name <= best.view() || whose == task_id_)
        return;
      best.clear();
      best << name;
      id.clear();
      id << whose;
    });
    if (e < 0) return e;
    if (id.view().empty() || is_live(id.view())) return 0;
    bound = best;
  }
}

int Queue::count() const {
  int live = 0;
  static_cast<void>(each_name([&](std::string_view name) {
    const std::string_view id = id_in(name);
    live += !id.empty() && is_live(id) ? 1 : 0;
  }));
  return live;
}

bool Queue::has_stalled(int session_folder, int tasks_folder, std::string_view task_id) {
  Queue queue;
  queue.tasks_ = tasks_folder;
  queue.folder_ = Fd(sys::open_at(session_folder, kQueueDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  Name next;
  bool follower_is_dead = false;
  const int e = queue.each_name([&](std::string_view name) {
    const std::string_view follower = follower_in(name);
    follower_is_dead |= !follower.empty() && follower != task_id && !queue.is_live(follower);
    const std::string_view id = id_in(name);
    if (id.empty() || id == task_id || (!next.view().empty() && name >= next.view())) return;
    next.clear();
    next << name;
  });
  return follower_is_dead || (e == 0 && !next.view().empty() && !queue.is_live(id_in(next.view())));
}

}  // namespace runner
