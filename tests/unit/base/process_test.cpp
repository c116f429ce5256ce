#include "base/process.h"

#include "base/clock.h"
#include "base/file_lock.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstdlib>

namespace perdure {
namespace {

TEST(Process, TheOneAskedAboutIsTheOneSeen) {
  const auto self = look_at_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_EQ(self->parent, ::getppid());
  EXPECT_EQ(self->group, ::getpgrp());
  EXPECT_FALSE(self->is_dead());
}

TEST(Process, SameNumberWithAnotherStartIsAnotherProcess) {
  const auto self = look_at_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_TRUE(is_alive({self->pid, self->start_ticks}));
  EXPECT_FALSE(is_alive({self->pid, self->start_ticks + 1}));
}

TEST(Process, StartedWhenTheClockSays) {
  const auto self = look_at_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_LE(start_time_ms(self->start_ticks), now_ms() + 100);
  EXPECT_GE(start_time_ms(self->start_ticks), boot_time_ms() - 100);
}

TEST(Process, AZombieIsDead) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  const auto look = look_at_process(child);
  ASSERT_TRUE(look);
  EXPECT_TRUE(look->is_dead());
  EXPECT_FALSE(is_alive({child, look->start_ticks}));
  ::waitpid(child, nullptr, 0);
}

TEST(Process, NumbersThatNoProcessCanHaveReachNoSystemCall) {
  for (const std::int64_t pid : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40, INT64_MIN}) {
    EXPECT_FALSE(look_at_process(pid));
    EXPECT_FALSE(open_pidfd(pid));
  }
}

TEST(FileLock, SeenFromAnotherDescriptorAndNotFromItsOwn) {
  testing_support::TempFolder temp;
  const std::string path = temp.path() + "/lock";
  const Fd holder(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const Fd other(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(try_lock(holder.get(), path).value());
  EXPECT_TRUE(is_locked_by_another(other.get(), path).value());
  EXPECT_FALSE(is_locked_by_another(holder.get(), path).value());
}

TEST(FileLock, EndsWithItsHolderHoweverItDies) {
  testing_support::TempFolder temp;
  const std::string path = temp.path() + "/lock";
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (!try_lock(fd, path).value()) ::_exit(1);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const Fd look(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(is_locked_by_another(look.get(), path).value());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(is_locked_by_another(look.get(), path).value());
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace perdure
