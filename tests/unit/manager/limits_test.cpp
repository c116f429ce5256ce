#include "manager/link/limits.h"

#include "contract/names.h"
#include "support/temp_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

namespace perdure::manager {
namespace {

// A hierarchy of plain folders: what find_cgroup_above() reads of the kernel's is names and one file of words.
class CgroupSearch : public testing::Test {
 protected:
  void group(const std::string& path, const std::string& controllers_below, bool ours = true) const {
    std::filesystem::create_directories(top() + path);
    std::ofstream(top() + path + "/cgroup.subtree_control") << controllers_below << "\n";
    if (ours) std::ofstream(top() + path + "/cgroup.procs") << "";
  }
  [[nodiscard]] std::string top() const { return temp.path() + "/cgroup"; }
  [[nodiscard]] std::string mounts(const std::string& root = "/") const {
    return "22 1 8:1 / / rw - ext4 /dev/x rw\n30 22 0:26 " + root + " " + top() +
           " rw,nosuid shared:4 - cgroup2 none rw\n";
  }
  [[nodiscard]] std::string found(const std::string& own, const std::vector<std::string>& wanted,
                                  const std::string& root = "/") const {
    std::string path = find_cgroup_above(mounts(root), "4:memory:/elsewhere\n0::" + own + "\n", wanted);
    return path.starts_with(top()) ? path.substr(top().size()) + "/" : path;
  }
  testing_support::TempFolder temp;
};

TEST_F(CgroupSearch, TheNearestOneAboveThatGivesAllControllersIsTaken) {
  group("", "cpu memory pids");
  group("/user", "memory pids");
  group("/user/app", "memory");
  group("/user/app/shell", "");
  EXPECT_EQ(found("/user/app/shell", {"memory"}), "/user/app/");
  EXPECT_EQ(found("/user/app/shell", {"memory", "pids"}), "/user/");
  EXPECT_EQ(found("/user/app/shell", {"cpu"}), "/");
  EXPECT_EQ(found("/user/app/shell", {"io"}), "");
  EXPECT_EQ(found("/", {"cpu"}), "/");
}

TEST_F(CgroupSearch, OneWithoutAMemberListToWriteIsNotOurs) {
  group("", "memory");
  group("/a", "memory", false);
  group("/a/b", "");
  EXPECT_EQ(found("/a/b", {"memory"}), "/");
}

TEST_F(CgroupSearch, AMountThatShowsAPartIsReadFromThere) {
  group("", "memory");
  group("/b", "");
  EXPECT_EQ(found("/a/b", {"memory"}, "/a"), "/");
  EXPECT_EQ(found("/other", {"memory"}, "/a"), "");
}

TEST_F(CgroupSearch, OutsideOfWhatIsSeenThereIsNone) {
  group("", "memory");
  EXPECT_EQ(found("/../x", {"memory"}), "");
  EXPECT_EQ(find_cgroup_above("22 1 8:1 / / rw - ext4 /dev/x rw\n", "0::/\n", {"memory"}), "");
  EXPECT_EQ(find_cgroup_above(mounts(), "4:memory:/\n", {"memory"}), "");
  EXPECT_EQ(find_cgroup_above("", "", {"memory"}), "");
  EXPECT_EQ(find_cgroup_above("1 2 3 4 5 6 -\n-\n", "0::/", {"memory"}), "");
}

TEST(LimitCheck, WhatMakesNoSenseIsRefused) {
  const auto checked = [](std::int64_t memory, double cpu, std::int64_t pids) {
    return check_limits({.memory_max = memory, .cpu_max = cpu, .pids_max = pids}).has_value();
  };
  EXPECT_TRUE(checked(0, 0, 0));
  EXPECT_TRUE(checked(1, 0.01, 1));
  EXPECT_FALSE(checked(-1, 0, 0));
  EXPECT_FALSE(checked(0, 0, -1));
  for (const double cpu : {-1.0, 0.001, 1e9, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_FALSE(checked(0, cpu, 0));
}

TEST(LimitPlan, ProcessesOfTheUserComeOnTopOfThoseThereAre) {
  const auto limits = plan_limits({.pids_max = 10}, *TaskId::parse("bash-00000001"));
  EXPECT_GT(limits.pids_of_user, 10);
  EXPECT_EQ(plan_limits({}, *TaskId::parse("bash-00000001")).pids_of_user, 0);
}

}  // namespace
}  // namespace perdure::manager
