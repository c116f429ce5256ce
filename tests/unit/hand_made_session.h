#pragma once

#include "base/clock.h"
#include "base/fd.h"
#include "base/file_lock.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace perdure::testing {

/// A session whose files a test writes by hand, exactly as a runner or another program leaves them.
class HandMadeSession {
 public:
  HandMadeSession() {
    const char* const where = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): never changed here
    std::string name = std::string(where != nullptr ? where : "/tmp") + "/perdure-test-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = std::filesystem::canonical(name).string();
  }
  HandMadeSession(const HandMadeSession&) = delete;
  HandMadeSession& operator=(const HandMadeSession&) = delete;
  ~HandMadeSession() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  /// Not made yet: the first file does that.
  [[nodiscard]] std::string path() const { return root_ + "/session"; }
  [[nodiscard]] std::string tasks() const { return path() + "/tasks"; }
  [[nodiscard]] std::string folder(const std::string& id) const { return tasks() + "/" + id; }
  [[nodiscard]] std::string record_path(const std::string& id) const { return tasks() + "/" + id + ".json"; }
  [[nodiscard]] store::Session session() const { return store::Session(path()); }
  [[nodiscard]] TaskManager manager() const {
    auto opened = TaskManager::open({.session = path(), .runner = "/bin/true", .max_running_tasks = {}});
    EXPECT_TRUE(opened.has_value());
    return std::move(*opened);
  }
  static TaskId id(const std::string& text) { return *TaskId::parse(text); }

  void write(const std::string& file, const std::string& bytes) const {
    make(std::filesystem::path(file).parent_path().string());
    std::ofstream(file, std::ios::binary) << bytes;
  }
  void append(const std::string& file, const std::string& bytes) const {
    std::ofstream(file, std::ios::binary | std::ios::app) << bytes;
  }
  static void make(const std::string& folder) {
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  }

  /// A record put in its place by rename, as everybody does it. `more` are further members.
  void record(const std::string& at, const std::string& id, const std::string& status, const std::string& more) const {
    const bool runs = status == "running";
    make(at);
    write(at + "/.new", fmt::format(R"({{"taskId":"{}","kind":"process","description":"d","command":"true",)"
                                    R"("status":"{}","startedAt":{},"endedAt":{},"pid":999999999,"exitCode":{}{}{}}})",
                                    id, status, started_ms, runs ? "null" : std::to_string(ended_ms),
                                    status == "completed" ? "0" : "null", more.empty() ? "" : ",", more));
    std::filesystem::rename(at + "/.new", at + "/" + id + ".json");
  }
  /// Run by Perdure.
  void own(const std::string& id, const std::string& status, const std::string& more = {}) const {
    const std::string runner = R"("runner":{"pid":999999998,"startTicks":1})";
    record(tasks(), id, status, more.empty() ? runner : runner + "," + more);
  }
  /// Run by another program.
  void foreign(const std::string& id, const std::string& status, const std::string& more = {}) const {
    record(tasks(), id, status, more);
  }

  void output(const std::string& id, const std::string& bytes) const { write(folder(id) + "/output.log", bytes); }
  void segment(const std::string& id, std::int64_t at, const std::string& bytes) const {
    write(folder(id) + "/tail." + std::to_string(at), bytes);
  }

  /// As a living runner holds its lock, until the descriptor is closed.
  [[nodiscard]] Fd hold(const std::string& id, const std::string& name = "runner.lock") const {
    make(folder(id));
    Fd file(::open((folder(id) + "/" + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_TRUE(try_lock(file.get(), name).value_or(false));
    return file;
  }
  /// As a runner listens.
  [[nodiscard]] Fd listen(const std::string& id) const {
    make(folder(id));
    const Fd here(::open(folder(id).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = fmt::format("/proc/self/fd/{}/control", here.get());
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener.get(), 8), 0);
    return listener;
  }
  /// As if nobody had touched it for two minutes.
  static void make_old(const std::string& file) {
    const timespec then[2] = {{.tv_sec = now_ms() / 1000 - 120, .tv_nsec = 0},
                              {.tv_sec = now_ms() / 1000 - 120, .tv_nsec = 0}};
    EXPECT_EQ(::utimensat(AT_FDCWD, file.c_str(), then, AT_SYMLINK_NOFOLLOW), 0);
  }
  static bool exists(const std::string& file) { return std::filesystem::exists(std::filesystem::symlink_status(file)); }

  std::int64_t started_ms = now_ms();
  std::int64_t ended_ms = now_ms();

 private:
  std::string root_;
};

}  // namespace perdure::testing
