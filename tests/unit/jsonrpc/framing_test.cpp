#include "jsonrpc/framing.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace perdure::jsonrpc {
namespace {

using Got = LineReader::Got;

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    read = Fd(fds[0]);
    write = Fd(fds[1]);
  }
  Fd read, write;
};

// What the reader makes of a stream that is written from another thread.
std::vector<std::string> lines(std::string_view stream, std::size_t limit) {
  Pipe pipe;
  std::thread writer([&] {
    while (!stream.empty())
      stream.remove_prefix(static_cast<std::size_t>(::write(pipe.write.get(), stream.data(), stream.size())));
    pipe.write.reset();
  });
  LineReader reader(pipe.read.get(), limit);
  std::vector<std::string> found;
  std::string line;
  for (Got got; (got = reader.next(line)) != Got::end;) found.push_back(got == Got::line ? line : "too long");
  writer.join();
  return found;
}

TEST(LineReader, SplitsAtLineEnds) {
  EXPECT_EQ(lines("a\nbc\r\n\nd", 100), (std::vector<std::string>{"a", "bc", "", "d"}));
  EXPECT_TRUE(lines("", 100).empty());
}

TEST(LineReader, WhatIsTooLongIsThrownAwayAndTheNextLineIsRead) {
  const std::string huge(1 << 20, 'x');
  EXPECT_EQ(lines("a\n" + huge + "\nb\n", 1000), (std::vector<std::string>{"a", "too long", "b"}));
  EXPECT_EQ(lines(huge, 1000), (std::vector<std::string>{"too long"}));
  EXPECT_EQ(lines("12345\n123456\n", 5), (std::vector<std::string>{"12345", "too long"}));
  EXPECT_EQ(lines(huge + "\n" + huge + "\n", 1 << 20), (std::vector<std::string>{huge, huge}));
}

TEST(LineReader, OnceStoppedItEndsWhereTheOtherSideNeverDoes) {
  Pipe stop;
  ASSERT_EQ(::write(stop.write.get(), "x", 1), 1);
  Pipe open;
  const Fd endless(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  for (const int fd : {open.read.get(), endless.get()}) {
    LineReader reader(fd, 100, stop.read.get());
    std::string line;
    EXPECT_EQ(reader.next(line), Got::end);
  }
}

TEST(LineWriter, LinesOfSeveralThreadsAreNotMixed) {
  Pipe pipe;
  LineWriter writer(pipe.write.get());
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c'})
    threads.emplace_back([&writer, line = std::string(50'000, letter)] {
      for (int i = 0; i < 5; ++i) EXPECT_TRUE(writer.write(line));
    });
  LineReader reader(pipe.read.get(), 1 << 20);
  std::string line;
  for (int i = 0; i < 15; ++i) {
    ASSERT_EQ(reader.next(line), Got::line);
    EXPECT_EQ(line, std::string(50'000, line.front()));
  }
  for (auto& thread : threads) thread.join();
}

TEST(LineWriter, AReaderThatHasGoneOrTakesNothingDoesNotKeepTheWriter) {
  Pipe gone;
  gone.read.reset();
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_FALSE(LineWriter(gone.write.get()).write("x"));
  Pipe full;
  LineWriter writer(full.write.get());
  bool written = true;
  std::thread blocked([&] { written = writer.write(std::string(1 << 20, 'x')); });
  writer.close_soon();
  blocked.join();
  EXPECT_FALSE(written);
}

}  // namespace
}  // namespace perdure::jsonrpc
