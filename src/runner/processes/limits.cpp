#include "runner/processes/limits.h"

#include "contract/names.h"

#include <sched.h>

namespace runner {

using perdure::contract::LaunchSpec;

namespace {

constexpr long kCpuPeriodUs = 100'000;
constexpr int kRemovals = 20;

// Never above the caller's own limit.
template <class Resource>
int limit_each_process(Resource resource, std::int64_t most) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return -errno;
  if (static_cast<rlim_t>(most) < limit.rlim_max) limit.rlim_max = static_cast<rlim_t>(most);
  limit.rlim_cur = limit.rlim_max;
  return sys::checked(::setrlimit(resource, &limit));
}

// As many whole processors as cover it. Not always the first ones: all tasks would share those.
int limit_to_processors(std::int64_t milli) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return -errno;
  const int there = CPU_COUNT(&allowed);
  const std::int64_t wanted = (milli + 999) / 1000;
  if (wanted >= there) return 0;
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  const int first = ::getpid() % there;
  int nth = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    if ((nth++ - first + there) % there < wanted) CPU_SET(cpu, &chosen);
  }
  return sys::checked(::sched_setaffinity(0, sizeof chosen, &chosen));
}

}  // namespace

void Limits::open(const Spec& spec, std::string_view task_id) {
  if (*spec.cgroup_parent == '\0') return;
  name_ << perdure::contract::kCgroupPrefix << task_id;
  parent_ = Fd(sys::open_at(AT_FDCWD, spec.cgroup_parent, O_RDONLY | O_DIRECTORY));
  if (parent_ && !make_group(*spec.header)) remove();
}

bool Limits::make_group(const LaunchSpec& wanted) {
  if (const int e = sys::checked(::mkdirat(parent_.get(), name_.c_str(), 0755)); e < 0 && e != -EEXIST) return false;
  group_ = Fd(sys::open_at(parent_.get(), name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!group_) return false;
  bool all = true;
  if (wanted.memory_max > 0) {
    all &= set("memory.max", (Text<24>() << wanted.memory_max).view());
    // Else it could use the same amount of swap in addition; there is no such file without swap.
    set("memory.swap.max", "0");
  }
  if (wanted.pids_max > 0) all &= set("pids.max", (Text<24>() << wanted.pids_max).view());
  if (wanted.cpu_max_milli > 0)
    all &= set("cpu.max", (Text<48>() << wanted.cpu_max_milli * (kCpuPeriodUs / 1000) << " " << kCpuPeriodUs).view());
  members_ = Fd(sys::open_at(group_.get(), "cgroup.procs", O_WRONLY));
  return all && members_;
}

bool Limits::set(const char* file, std::string_view value) const {
  const Fd fd(sys::open_at(group_.get(), file, O_WRONLY));
  return fd && sys::write(fd.get(), value.data(), value.size()) == static_cast<long>(value.size());
}

int Limits::apply(const LaunchSpec& wanted) const {
  if (by_cgroup()) {
    const long n = sys::write(members_.get(), "0", 1);  // "0" means the writing process
    return n < 0 ? static_cast<int>(n) : 0;
  }
  int e = 0;
  if (wanted.memory_max > 0) e = limit_each_process(RLIMIT_AS, wanted.memory_max);
  if (e == 0 && wanted.pids_max > 0) e = limit_each_process(RLIMIT_NPROC, wanted.pids_of_user);
  if (e == 0 && wanted.cpu_max_milli > 0) e = limit_to_processors(wanted.cpu_max_milli);
  return e;
}

bool Limits::ran_out_of_memory() const {
  if (!by_cgroup()) return false;
  const Fd events(sys::open_at(group_.get(), "memory.events", O_RDONLY));
  char buffer[512];
  const long n = events ? sys::read(events.get(), buffer, sizeof buffer) : 0;
  std::string_view text(buffer, n > 0 ? static_cast<unsigned long>(n) : 0);
  constexpr std::string_view kKey = "\noom_kill ";
  const auto at = text.find(kKey);
  if (at == std::string_view::npos) return false;
  text.remove_prefix(at + kKey.size());
  return take_number(text) > 0;
}

void Limits::remove() {
  if (!parent_) return;
  members_.reset();
  group_.reset();
  // The kernel may need a moment to notice that the last process has exited.
  for (int i = 0; i < kRemovals && sys::unlink_at(parent_.get(), name_.c_str(), AT_REMOVEDIR) == -EBUSY; ++i) {
    const timespec a_moment{0, 1'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
  parent_.reset();
}

}  // namespace runner
