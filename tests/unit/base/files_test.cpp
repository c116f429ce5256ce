#include "base/files.h"

#include "support/temp_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace perdure {
namespace {

class Files : public testing::Test {
 protected:
  [[nodiscard]] std::string contents(const std::string& name) const {
    std::ifstream in(temp.path() + "/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] auto names() const {
    return std::distance(std::filesystem::directory_iterator(temp.path()), std::filesystem::directory_iterator());
  }
  testing_support::TempFolder temp;
  Fd folder{::open(temp.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(Files, ReplaceOverwritesWhatWasThere) {
  ASSERT_TRUE(replace_file(folder.get(), "record", "old and longer", "record"));
  ASSERT_TRUE(replace_file(folder.get(), "record", "new", "record"));
  EXPECT_EQ(contents("record"), "new");
  EXPECT_EQ(names(), 1);
}

TEST_F(Files, ReplaceMakesFilesThatOnlyTheirOwnerReads) {
  const mode_t before = ::umask(0);
  ASSERT_TRUE(replace_file(folder.get(), "record", "x", "record"));
  ::umask(before);
  struct stat about{};
  ASSERT_EQ(::stat((temp.path() + "/record").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(Files, ReplaceLeavesNoTemporaryWhenTheNameCannotBeTaken) {
  std::filesystem::create_directories(temp.path() + "/record/in-the-way");
  const auto done = replace_file(folder.get(), "record", "new", "the record");
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("the record"), std::string::npos);
  EXPECT_EQ(names(), 1);
}

TEST_F(Files, ReadRefusesALink) {
  std::ofstream(temp.path() + "/real") << "secret";
  std::filesystem::create_symlink("real", temp.path() + "/link");
  const auto read = read_regular_file(folder.get(), "link", 100, "link");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::record_invalid);
  EXPECT_NE(read.error().message.find("symbolic link"), std::string::npos);
}

TEST_F(Files, ReadRefusesAFifoWithoutWaitingForAWriter) {
  ASSERT_EQ(::mkfifo((temp.path() + "/fifo").c_str(), 0600), 0);
  const auto read = read_regular_file(folder.get(), "fifo", 100, "fifo");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("a FIFO"), std::string::npos);
}

TEST_F(Files, ReadRefusesAHugeFileWithoutReadingIt) {
  std::ofstream(temp.path() + "/sparse") << "x";
  ASSERT_EQ(::truncate((temp.path() + "/sparse").c_str(), off_t{2} << 30), 0);
  const auto read = read_regular_file(folder.get(), "sparse", 1 << 20, "sparse");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("2147483648 bytes"), std::string::npos);
}

TEST_F(Files, ReadGivesEveryByteUpToTheLimit) {
  const std::string bytes(100, '\0');
  std::ofstream(temp.path() + "/exact", std::ios::binary) << bytes;
  const auto read = read_regular_file(folder.get(), "exact", 100, "exact");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, bytes);
}

TEST_F(Files, RemoveTreeDoesNotFollowLinks) {
  std::ofstream(temp.path() + "/precious") << "x";
  std::filesystem::create_directories(temp.path() + "/tree/inner");
  std::filesystem::create_symlink("../precious", temp.path() + "/tree/link");
  ASSERT_TRUE(remove_tree_at(folder.get(), "tree", "tree"));
  EXPECT_FALSE(std::filesystem::exists(temp.path() + "/tree"));
  EXPECT_TRUE(std::filesystem::exists(temp.path() + "/precious"));
}

TEST_F(Files, MakeFoldersSaysWhatIsInTheWay) {
  std::ofstream(temp.path() + "/file") << "x";
  const auto made = make_folders(temp.path() + "/file/below");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("is not a folder"), std::string::npos);
}

TEST_F(Files, AFullDiskHasACodeOfItsOwn) {
  EXPECT_EQ(fail_os(ENOSPC, "writing", "x").error().code, ErrorCode::storage_full);
  EXPECT_EQ(fail_os(EDQUOT, "writing", "x").error().code, ErrorCode::storage_full);
  EXPECT_EQ(fail_os(EIO, "writing", "x").error().code, ErrorCode::session_unusable);
}

}  // namespace
}  // namespace perdure
