// embedder SESSION 'SHELL LINE': runs the line as a durable task, waits for it, and prints how it ended and what
// it wrote. Kill this program while it waits: the task goes on, and `perdure --session SESSION list` shows it.

#include <perdure/manager.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace {

// Nothing of Perdure throws; what the world made fail is in the Result.
template <class T>
T or_die(perdure::Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "embedder: %s\n", result.error().message.c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: embedder SESSION 'SHELL LINE'\n");
    return 2;
  }
  auto manager = or_die(perdure::TaskManager::open({.session = argv[1]}));

  perdure::StartOptions options;
  options.shell_line = argv[2];
  options.timeout = std::chrono::minutes(10);
  const auto started = or_die(manager.start(options));
  std::printf("%s runs as process %lld\n", started.id.str().c_str(), static_cast<long long>(started.process.pid));

  const auto ended = or_die(manager.wait({.ids = {started.id}})).ended.front();
  std::printf("%s", std::string(perdure::name_of(ended.status)).c_str());
  if (ended.process.exit_code) std::printf(", exit code %d", *ended.process.exit_code);

  std::printf("\n%s", or_die(manager.output_snapshot(ended.id)).preview.c_str());
  return ended.status == perdure::Status::completed ? 0 : 1;
}
