#include "acp/requests/files.h"

#include "support/temp_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace perdure::acp {
namespace {

class FilesTest : public testing::Test {
 protected:
  FilesTest() { std::ofstream(outside_) << "secret\n"; }

  static std::string made(const std::string& folder) {
    std::filesystem::create_directories(folder);
    return folder;
  }
  static json::object read(const std::string& path) { return {{"path", path}}; }
  static json::object write(const std::string& path, std::string_view content) {
    return {{"path", path}, {"content", content}};
  }

  testing_support::TempFolder folder_;
  std::string root_ = made(folder_.path() + "/work");
  std::string outside_ = folder_.path() + "/secret.txt";
  Files files_{root_};
};

TEST_F(FilesTest, LinesAreCountedFromOne) {
  ASSERT_TRUE(files_.write(write(root_ + "/a.txt", "1\n2\n3\n4")));
  const auto part = [&](std::int64_t line, std::int64_t limit) {
    json::object params = read(root_ + "/a.txt");
    params["line"] = line;
    params["limit"] = limit;
    return std::string(files_.read(params)->at("content").as_string());
  };
  EXPECT_EQ(part(1, 2), "1\n2\n");
  EXPECT_EQ(part(3, 10), "3\n4");
  EXPECT_EQ(part(9, 1), "");
  EXPECT_EQ(part(0, 1), "1\n");
  EXPECT_EQ(files_.read(read(root_ + "/a.txt"))->at("content").as_string(), "1\n2\n3\n4");
}

TEST_F(FilesTest, NothingOutsideCanBeReadOrWritten) {
  std::filesystem::create_symlink(outside_, root_ + "/link");
  std::filesystem::create_directory_symlink(folder_.path(), root_ + "/up");
  for (const auto& path :
       {outside_, std::string("/etc/passwd"), root_ + "/../secret.txt", root_ + "/link", root_ + "/up/secret.txt",
        std::string("a.txt"), std::string(), root_, root_ + "x/a.txt", std::string("/proc/self/environ")}) {
    EXPECT_FALSE(files_.read(read(path))) << path;
    EXPECT_FALSE(files_.write(write(path, "x"))) << path;
  }
  EXPECT_FALSE(files_.write(write(root_ + "/up/new/file", "x")));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/new"));
  std::ifstream file(outside_);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "secret");
}

TEST_F(FilesTest, ALinkThatStaysInsideIsFollowed) {
  ASSERT_TRUE(files_.write(write(root_ + "/a.txt", "x")));
  std::filesystem::create_symlink("a.txt", root_ + "/inside");
  EXPECT_TRUE(files_.read(read(root_ + "/inside")));
}

TEST_F(FilesTest, FoldersAreMadeAndWhatIsNoFileIsRefused) {
  EXPECT_TRUE(files_.write(write(root_ + "/a/b/c.txt", "deep")));
  EXPECT_EQ(files_.read(read(root_ + "/a/b/c.txt"))->at("content").as_string(), "deep");
  EXPECT_FALSE(files_.write(write(root_ + "/a", "a folder")));
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(files_.read(read(root_ + "/fifo")));
  const auto absent = files_.read(read(root_ + "/absent"));
  EXPECT_EQ(absent.error().code, -32'002);
  EXPECT_FALSE(files_.write({{"path", root_ + "/a.txt"}, {"content", 5}}));
}

TEST_F(FilesTest, BytesThatAreNoTextAreMadeOne) {
  std::ofstream(root_ + "/raw") << "a\xFF" << "b";
  EXPECT_EQ(files_.read(read(root_ + "/raw"))->at("content").as_string(),
            "a\xEF\xBF\xBD"
            "b");
}

}  // namespace
}  // namespace perdure::acp
