#include "top/work/actions.h"

#include <unistd.h>

#include <cstdint>
#include <utility>

namespace perdure::top {

void Actions::start(std::function<Result<std::string>()> work) {
  const std::scoped_lock lock(mutex_);
  One& one = running_.emplace_back();
  one.thread = std::jthread([this, &one, work = std::move(work)] {
    auto said = work();
    const std::scoped_lock inside(mutex_);
    said_.push_back(said ? std::move(*said) : said.error().message);
    one.done = true;
    const std::uint64_t more = 1;
    static_cast<void>(!::write(wake_, &more, sizeof more));
  });
}

std::vector<std::string> Actions::take() {
  std::list<One> ended;  // joined by the destructor, without the lock, which their threads take at their end
  const std::scoped_lock lock(mutex_);
  for (auto one = running_.begin(); one != running_.end();) {
    const auto next = std::next(one);
    if (one->done) ended.splice(ended.end(), running_, one);
    one = next;
  }
  return std::exchange(said_, {});
}

bool Actions::busy() const {
  const std::scoped_lock lock(mutex_);
  return !running_.empty();
}

}  // namespace perdure::top
