// What the library costs. Run through `./dev bench`, which puts the sessions on the disk that the project is on:
// PERDURE_BENCH_DIR names the folder. Timings are only worth something beside each other and on a quiet machine.

#include "base/files.h"
#include <perdure/manager.h>

#include <fcntl.h>
#include <unistd.h>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdlib.h>
#include <thread>

namespace {

using namespace perdure;
namespace fs = std::filesystem;

std::string bench_folder() {
  const char* const chosen = std::getenv("PERDURE_BENCH_DIR");
  std::string path = std::string(chosen != nullptr ? chosen : "/var/tmp") + "/perdure-bench-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

// A session of its own that is gone afterwards.
class Bench {
 public:
  Bench() : path_(bench_folder()), manager_(TaskManager::open({.session = path_}).value()) {}
  ~Bench() {
    // The last runners may still be leaving, and take their own folders away meanwhile.
    std::error_code error;
    do {
      error.clear();
      fs::remove_all(path_, error);
    } while (error && fs::exists(path_));
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  TaskManager& operator*() { return manager_; }
  TaskManager* operator->() { return &manager_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  TaskManager manager_;
};

void report_percentiles(benchmark::State& state, std::vector<double>& microseconds) {
  std::ranges::sort(microseconds);
  state.counters["p50_us"] = microseconds[microseconds.size() / 2];
  state.counters["p99_us"] = microseconds[microseconds.size() * 99 / 100];
}

// One commit: write, fsync, rename, fsync of the folder. The part of a launch that other tools leave out.
void commit(benchmark::State& state) {
  Bench session;
  const Fd folder(::open(session.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::string bytes(500, 'x');
  std::vector<double> latencies;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    if (!replace_file(folder.get(), "record.json", bytes, "record.json")) std::abort();
    latencies.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  report_percentiles(state, latencies);
}
BENCHMARK(commit)->Unit(benchmark::kMicrosecond)->UseRealTime();

void launch_to_running(benchmark::State& state) {
  Bench session;
  std::vector<TaskId> started;
  for (auto _ : state) started.push_back(session->start({.argv = {"sleep", "60"}}).value().id);
  for (const auto& id : started) static_cast<void>(session->stop(id, {.grace = std::chrono::milliseconds(0)}));
}
BENCHMARK(launch_to_running)->Unit(benchmark::kMicrosecond)->UseRealTime()->Iterations(300);

void launch_settle_and_wait(benchmark::State& state) {
  Bench session;
  for (auto _ : state) {
    const auto task = session->start({.argv = {"true"}}).value();
    if (session->wait({.ids = {task.id}}).value().ended.front().status != Status::completed) std::abort();
  }
}
BENCHMARK(launch_settle_and_wait)->Unit(benchmark::kMicrosecond)->UseRealTime()->Iterations(300);

// Eight threads launch and wait; items per second is the figure.
void tasks_per_second(benchmark::State& state) {
  constexpr int kThreads = 8, kEach = 125;
  for (auto _ : state) {
    Bench session;
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&] {
        for (int k = 0; k < kEach; ++k) {
          const auto task = session->start({.argv = {"true"}}).value();
          static_cast<void>(session->wait({.ids = {task.id}}));
        }
      });
    threads.clear();
  }
  state.SetItemsProcessed(state.iterations() * kThreads * kEach);
}
BENCHMARK(tasks_per_second)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

// From the moment the command says the time, with _exit as its next act, to the return of wait(). One commit is in it.
void exit_to_waiter(benchmark::State& state) {
  Bench session;
  std::vector<double> latencies;
  for (auto _ : state) {
    const auto task = session->start({.argv = {PERDURE_SAY_TIME, "50000000"}}).value();
    static_cast<void>(session->wait({.ids = {task.id}}));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto printed = session->read_output(task.id, 0, 64).value().bytes;
    const auto ended = std::chrono::nanoseconds(std::stoll(printed));
    const double us = std::chrono::duration<double, std::micro>(now - ended).count();
    latencies.push_back(us);
    state.SetIterationTime(us / 1e6);
  }
  report_percentiles(state, latencies);
}
BENCHMARK(exit_to_waiter)->Unit(benchmark::kMicrosecond)->UseManualTime()->Iterations(500);

// 100,000 ended tasks; bench/whole_process.py runs the bare loop beside it over the same kind of folder.
class Crowd {
 public:
  Crowd() {
    const std::string tasks = session_.path() + "/tasks";
    fs::create_directories(tasks);
    const Fd folder(::open(tasks.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int i = 0; i < kTasks; ++i) {
      const std::string id = fmt::format("bash-{:08d}", i);
      const std::string record = fmt::format(
          R"({{"taskId":"{}","description":"task number {}","kind":"process","command":"make -j4 target-{}","cwd":"/srv/project","owner":"agent","status":"completed","detached":true,"startedAt":{},"endedAt":{},"pid":{},"exitCode":0,"runner":{{"pid":{},"startTicks":123456}},"bootId":"0b7ee0a4-6f0d-4d6c-9d53-5d4c7a6f0f10","machineId":"4f6a8c0d9b7e4a5f8c1d2e3f4a5b6c7d","outputBytes":1234,"startedSeq":{},"endedSeq":{}}})"
          "\n",
          id, i, i, 1795347416766 + i, 1795347417766 + i, 1000 + i, 999 + i, 1795347416766000 + i,
          1795347417766000 + i);
      const Fd file(::openat(folder.get(), (id + ".json").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      if (!write_all(file.get(), record, id)) std::abort();
    }
  }
  static Bench& session() {
    static Crowd crowd;
    return crowd.session_;
  }
  static constexpr int kTasks = 100'000;

 private:
  Bench session_;
};

void bare_loop_over_100000(benchmark::State& state) {
  const std::string tasks = Crowd::session().path() + "/tasks";
  const std::string command = std::string(std::getenv("PERDURE_BARE_READDIR")) + " " + tasks;
  for (auto _ : state) {
    const std::unique_ptr<FILE, int (*)(FILE*)> out(::popen(command.c_str(), "r"), &::pclose);
    double ms = 0;
    if (std::fscanf(out.get(), "%lf", &ms) != 1) std::abort();
    state.SetIterationTime(ms / 1e3);
  }
}

void list_100000(benchmark::State& state) {
  Bench& session = Crowd::session();
  for (auto _ : state)
    if (session->list({.ended = true}).value().size() != Crowd::kTasks) std::abort();
}

void reconcile_100000(benchmark::State& state) {
  Bench& session = Crowd::session();
  for (auto _ : state)
    if (!session->upkeep().reconcile().value().empty()) std::abort();
}
BENCHMARK(bare_loop_over_100000)->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(5);
BENCHMARK(list_100000)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);
BENCHMARK(reconcile_100000)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

}  // namespace
