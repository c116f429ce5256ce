#include "runner/hooks/hooks.h"

#include "contract/names.h"
#include "runner/hooks/hook_process.h"
#include "runner/os/text.h"

#include <cstdlib>
#include <cstring>

namespace runner {

using namespace perdure::contract;

namespace {

constexpr int kLogFd = 3;

const char* name_of(HookEvent event) {
  for (const auto& known : kHookEvents)
    if (known.event == event) return known.name;
  return "";
}

std::string_view status_in(std::string_view event) {
  return behind(event, std::string_view("task.").size());
}

const char* severity_of(HookEvent event) {
  switch (event) {
    case hook_failed:
    case hook_lost: return "error";
    case hook_timed_out:
    case hook_killed: return "warning";
    default: return "info";
  }
}

// One hook in the specification: "EVENTS TIMEOUT_MS COMMAND".
struct Hook {
  explicit Hook(const char* text) {
    std::string_view rest(text);
    events = take_number(rest);
    timeout_ms = take_number(rest);
    command = rest.data();
  }
  [[nodiscard]] bool wants(HookEvent event) const { return (events & event) != 0; }
  long events, timeout_ms;
  const char* command;
};

void put(int file, std::string_view text) {
  sys::write(file, text.data(), text.size());
}

// The event in a sentence or two; escaped as in JSON.
void put_body(int file, HookEvent event, const Facts& facts, std::string_view task_id) {
  Text<192> text;
  if (event == hook_started) return put(file, (text << "It runs as process " << facts.pid << ".").view());
  if (event == hook_timed_out) {
    text << (facts.timed_out_by_idle ? "No output for too long, ended" : "Its time was over");
  } else if (facts.signal > 0) {
    text << "Ended by signal " << facts.signal;
  } else if (facts.exit_code >= 0) {
    text << "Exit code " << facts.exit_code;
  } else {
    text << "It is not known how it ended";
  }
  const std::int64_t ms = facts.ended_ms - facts.started_ms;
  text << " after " << (ms < 10'000 ? ms : ms / 1000) << (ms < 10'000 ? " ms." : " s.");
  put(file, text.view());
  if (!facts.reason.empty()) {
    put(file, " Reason: ");
    put(file, facts.reason);
    put(file, ".");
  }
  put(file, " See: perdure output ");
  put(file, task_id);
}

char* variable(std::string_view name, std::string_view value) {
  auto* const text = static_cast<char*>(std::calloc(name.size() + value.size() + 2, 1));
  if (text == nullptr) return nullptr;
  std::memcpy(text, name.data(), name.size());
  text[name.size()] = '=';
  std::memcpy(text + name.size() + 1, value.data(), value.size());
  return text;
}

// The task's environment without the variables that make a process a part of the task. Absent: out of memory.
char** environment_of_hooks(const Spec& spec, char* const (&own)[3]) {
  auto** const all = static_cast<char**>(std::calloc(spec.header->envc + 4UL, sizeof(char*)));
  if (all == nullptr) return nullptr;
  constexpr std::string_view kReplaced[] = {kTaskVariable, kSessionVariable, kKeyVariable, kEventVariable,
                                            kEventTaskVariable};
  unsigned used = 0;
  for (unsigned i = 0; i < spec.header->envc; ++i) {
    std::string_view name(spec.envp[i]);
    name = first(name, name.find('='));
    bool is_replaced = false;
    for (const std::string_view replaced : kReplaced) is_replaced |= name == replaced;
    if (!is_replaced) all[used++] = spec.envp[i];
  }
  for (char* const variable : own)
    if (variable != nullptr) all[used++] = variable;
  return all;
}

}  // namespace

HookEvent hook_event_of(std::string_view status) {
  for (const auto& known : kHookEvents)
    if (status_in(known.name) == status) return known.event;
  return hook_lost;
}

bool Hooks::wants(HookEvent event) const {
  for (unsigned i = 0; i < spec_.header->hook_count; ++i)
    if (Hook(spec_.hooks[i]).wants(event)) return true;
  return false;
}

void Hooks::prepare(HookEvent event) {
  if (!log_ && wants(event))
    log_ = Fd(sys::open_at(folder_->get(), kHooksLog, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW));
}

void Hooks::note_failure(HookEvent event, const char* doing, int error) const {
  const auto line = Text<160>() << "[" << name_of(event) << ": a hook could not be run: " << doing << ": error "
                                << -error << "]\n";
  if (log_) sys::write(log_.get(), line.c_str(), line.view().size());
}

int Hooks::tell(HookEvent event, const Facts& facts) {
  if (!wants(event)) return 0;
  prepare(event);
  const int keeper = sys::fork();
  if (keeper < 0) note_failure(event, "making a process", keeper);
  if (keeper != 0) return keeper < 0 ? 0 : keeper;
  let_go_of_everything();
  run_all(event, write_news(event, facts));
  sys::exit(0);
}

void Hooks::tell_here() {
  const auto event = static_cast<HookEvent>(spec_.header->only_event);
  let_go_of_everything();
  const int news = sys::make_memory_file("perdure-event");
  if (news >= 0) sys::write(news, spec_.constant.data(), spec_.constant.size());
  run_all(event, news);
}

// An inherited lock, or a client's connection, would stay open and keep other processes waiting.
void Hooks::let_go_of_everything() {
  if (log_ && log_.get() != kLogFd) ::dup3(log_.get(), kLogFd, O_CLOEXEC);
  ::syscall(SYS_close_range, log_ ? kLogFd + 1 : kLogFd, ~0U, 0);
  if (log_) log_ = Fd(kLogFd);
}

int Hooks::write_news(HookEvent event, const Facts& facts) const {
  const int file = sys::make_memory_file("perdure-event");
  if (file < 0) return file;
  const std::string_view name = name_of(event);
  put(file, (Text<64>() << R"({"event":")" << name << "\",").view());
  put(file, spec_.told_first);
  put(file, ",\"task\":{");
  put(file, spec_.constant);
  put(file, Record::committed_members());
  put(file, (Text<384>() << R"(,"notification":{"id":"task:)" << task_id_ << ":" << status_in(name) << R"(","type":")"
                         << name << R"(","source_kind":")" << kSourceKind << R"(","source_id":")" << task_id_
                         << R"(","severity":")" << severity_of(event) << R"(","title":")")
                .view());
  put(file, spec_.description);
  put(file, ": ");
  put(file, event == hook_timed_out ? "timed out" : status_in(name));
  put(file, R"(","body":")");
  put_body(file, event, facts, task_id_);
  put(file, "\"}}\n");
  return file;
}

void Hooks::run_all(HookEvent event, int news) {
  char* const own[3] = {variable(kEventVariable, name_of(event)), variable(kEventTaskVariable, task_id_),
                        variable(kSessionVariable, session_)};
  char** const environment = environment_of_hooks(spec_, own);
  if (news < 0 || environment == nullptr) return note_failure(event, "memory", news < 0 ? news : -ENOMEM);
  for (unsigned i = 0; i < spec_.header->hook_count; ++i) {
    const Hook hook(spec_.hooks[i]);
    if (!hook.wants(event)) continue;
    // A process for each hook: one that hangs must not delay the others, and its process tree is its own.
    const int pid = sys::fork();
    if (pid < 0) note_failure(event, "making a process", pid);
    if (pid != 0) continue;
    run_hook({hook.command, name_of(event), spec_.cwd, environment, hook.timeout_ms, news, log_.get()}, inherited_);
    sys::exit(0);
  }
  while (::wait(nullptr) > 0 || errno == EINTR) {
  }
}

}  // namespace runner
