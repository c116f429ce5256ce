#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <memory>

namespace perdure {

namespace manager {
class EventWatch;
}

/// What a TaskManager holds. Everything but the event watch, which locks for itself, never changes after open().
struct __attribute__((visibility("hidden"))) TaskManager::State {
  State(ManagerOptions given, store::Session opened);
  ~State();

  ManagerOptions options;
  store::Session session;
  std::unique_ptr<manager::EventWatch> events;
};

}  // namespace perdure
