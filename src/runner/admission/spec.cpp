#include "runner/admission/spec.h"

#include "contract/names.h"
#include "runner/admission/room.h"
#include "runner/os/sys.h"
#include "runner/os/text.h"

#include <cstdlib>
#include <cstring>

namespace runner {
namespace {

// Behind `room`, which is moved on.
std::string_view copy_to(char*& room, std::string_view text) {
  std::memcpy(room, text.data(), text.size());
  const std::string_view copy(room, text.size());
  room += text.size();
  return copy;
}

}  // namespace

int Spec::read(int fd) {
  using perdure::contract::LaunchSpec;
  struct stat about{};
  if (::fstat(fd, &about) != 0) return -errno;
  const auto size = static_cast<unsigned long>(about.st_size);
  if (size < sizeof(LaunchSpec)) return -EINVAL;
  // Private and writable: execve takes pointers to char that are not const.
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (mapped == MAP_FAILED) return -errno;
  header = static_cast<const LaunchSpec*>(mapped);
  if (header->magic != perdure::contract::kSpecMagic || header->version != perdure::contract::kSpecVersion ||
      header->total_bytes != size || (header->argc == 0 && header->only_event == 0))
    return -EINVAL;

  char* at = static_cast<char*>(mapped) + sizeof(LaunchSpec);
  const char* const end = static_cast<const char*>(mapped) + size;
  const auto next = [&]() -> char* {
    char* const start = at;
    void* const zero = start < end ? std::memchr(start, 0, static_cast<unsigned long>(end - start)) : nullptr;
    if (zero == nullptr) return nullptr;
    at = static_cast<char*>(zero) + 1;
    return start;
  };
  const char* const constant_text = next();
  const char* const owner_text = next();
  const char* const after_text = next();
  const char* const entry_text_text = next();
  program = next();
  cwd = next();
  const char* const telemetry_text = next();
  const unsigned long words = static_cast<unsigned long>(header->argc) + header->envc + header->hook_count + 2;
  if (telemetry_text == nullptr || words > size) return -EINVAL;
  argv = static_cast<char**>(Room::take(words * sizeof(char*)));
  if (argv == nullptr) return -ENOMEM;
  envp = argv + header->argc + 1;
  for (unsigned i = 0; i < header->argc; ++i) argv[i] = next();
  for (unsigned i = 0; i < header->envc; ++i) envp[i] = next();
  told_first = next();
  description = next();
  cgroup_parent = next();
  const char* const cgroup_text = next();
  const char* const note_text = next();
  hooks = envp + header->envc + 1;
  for (unsigned i = 0; i < header->hook_count; ++i) hooks[i] = next();
  if (note_text == nullptr || (header->hook_count > 0 && hooks[header->hook_count - 1] == nullptr)) return -EINVAL;
  const char* const identity_text = at < end ? next() : "";  // a specification of 0.2.0 ends before
  if (identity_text == nullptr) return -EINVAL;
  const std::string_view identity_view(identity_text);
  const std::string_view constant_view(constant_text), owner_view(owner_text), cgroup_view(cgroup_text),
      note_view(note_text);
  const std::string_view telemetry_view(telemetry_text, std::string_view(telemetry_text).size() + 1);  // with its NUL
  kept = static_cast<char*>(Room::take(constant_view.size() + owner_view.size() + cgroup_view.size() +
                                       note_view.size() + identity_view.size() + telemetry_view.size()));
  if (kept == nullptr) return -ENOMEM;
  char* room = kept;
  constant = copy_to(room, constant_view);
  owner = copy_to(room, owner_view);
  telemetry = copy_to(room, telemetry_view).data();
  after = after_text;
  entry_text = entry_text_text;
  cgroup = copy_to(room, cgroup_view);
  note = copy_to(room, note_view);
  identity = copy_to(room, identity_view);
  return constant.empty() ? -EINVAL : 0;
}

std::string_view Spec::variable(std::string_view name) const {
  for (unsigned i = 0; i < header->envc; ++i) {
    const std::string_view one(envp[i]);
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=') {
      return {envp[i] + name.size() + 1, one.size() - name.size() - 1};
    }
  }
  return {};
}

int Spec::add_engine_variables(char** environment) {
  const auto is_engines = [](std::string_view variable) {
    for (const char* const known : perdure::contract::kEngineVariables)
      if (variable.starts_with(known)) return true;
    return false;
  };
  unsigned long more = 0;
  for (char** one = environment; *one != nullptr; ++one) more += is_engines(*one) ? 1U : 0U;
  char** const all = static_cast<char**>(std::calloc(header->envc + more + 1, sizeof(char*)));
  if (all == nullptr) return -ENOMEM;
  unsigned long count = header->envc;
  for (unsigned i = 0; i < header->envc; ++i) all[i] = envp[i];
  for (char** one = environment; *one != nullptr; ++one) {
    const std::string_view variable(*one);
    if (!is_engines(variable)) continue;
    const std::string_view name = first(variable, variable.find('=') + 1);
    unsigned long at = 0;
    while (at < count && !std::string_view(all[at]).starts_with(name)) ++at;
    all[at] = *one;
    if (at == count) ++count;
  }
  envp = all;
  return 0;
}

void Spec::drop_command() {
  if (header->hook_count > 0) return;
  static perdure::contract::LaunchSpec copy;
  copy = *header;
  ::munmap(const_cast<perdure::contract::LaunchSpec*>(header), copy.total_bytes);
  Room::give_back(static_cast<void*>(argv));
  header = &copy;
  program = cwd = nullptr;
  after = entry_text = {};
  argv = envp = hooks = nullptr;
  told_first = description = cgroup_parent = nullptr;
}

}  // namespace runner
