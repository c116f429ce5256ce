#include "base/base64.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "rpc/methods/methods.h"
#include "rpc/methods/streams.h"

#include <sys/ioctl.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

// task.attach, task.input, task.resize, task.leave (I06)
namespace perdure::rpc {
namespace {

constexpr std::size_t kMostAttachments = 64;
constexpr std::int64_t kChunkBytes = 64 << 10;
constexpr std::int64_t kMostTail = 256 << 10;

// States: made (its input is held, unless it only watches) -> started (its thread sends chunks) -> over (the task has
// ended, or the client has left: the input is free). One window of the log is in memory at a time: a client that does not
// read holds up its own connection, and the log goes on without it.
class Attachment final : public Subscription {
 public:
  Attachment(std::string name, TaskId id, Client& client, std::optional<TaskManager::HeldInput> held, std::int64_t at)
      : name_(std::move(name)), id_(std::move(id)), place_(client.place), outlet_(client.outlet), at_(at) {
    if (!held) return;
    input_ = std::make_shared<Fd>(held->input.release());
    lock_ = Fd(held->lock.release());
    is_terminal_ = held->is_terminal;
  }

  ~Attachment() override {
    stop();
    if (thread_.joinable()) thread_.join();
  }

  void start() override {
    {
      const std::lock_guard lock(mutex_);
      if (stop_.is_raised()) return;  // left before it was told that it is there
      started_ = true;
    }
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      tell_end({{"message", std::string_view(error.what())}});
    }
  }
  void stop() override { stop_.raise(); }
  [[nodiscard]] bool is_over() const override {
    const std::lock_guard lock(mutex_);
    return over_;
  }
  [[nodiscard]] bool await_end(std::chrono::steady_clock::time_point until) override {
    std::unique_lock lock(mutex_);
    return ended_.wait_until(lock, until, [this] { return over_ || !started_; });
  }

  /// False: nothing more of it comes, though its thread may still be telling so.
  [[nodiscard]] bool goes_on() const {
    const std::lock_guard lock(mutex_);
    return !released_;
  }
  [[nodiscard]] const TaskId& task() const { return id_; }
  [[nodiscard]] bool is_terminal() const { return is_terminal_; }
  /// Nothing: it only watches, or the input was closed, or the task has ended.
  [[nodiscard]] std::shared_ptr<const Fd> input() const {
    const std::lock_guard lock(mutex_);
    return input_;
  }
  void let_go_of_input() {
    const std::lock_guard lock(mutex_);
    input_.reset();
  }

 private:
  void run() {
    TaskManager& manager = place_->manager();
    while (!stop_.is_raised()) {
      auto window = read_window(manager, id_, at_, kChunkBytes);
      if (!window) return tell_end({{"message", to_valid_utf8(window.error().message)}});
      if (!window->chunk.bytes.empty() || window->gap) {
        if (!tell(*window)) return end();
        at_ = window->chunk.next_offset;
      } else if (window->chunk.eof) {
        // Its record says how it ended: read after the last of its output.
        auto task = manager.get(id_);
        if (!task) return tell_end({{"message", to_valid_utf8(task.error().message)}});
        return tell_end({{"task", task_json(*task)}});
      } else if (auto more = manager.await_output(id_, at_, std::nullopt, Cancellation::when_readable(stop_.fd()));
                 !more) {
        return tell_end({{"message", to_valid_utf8(more.error().message)}});
      }
    }
    end();
  }

  [[nodiscard]] bool tell(const Window& window) {
    json::object params{{"attachment", name_},
                        {"data", base64_of(window.chunk.bytes)},
                        {"offset", window.chunk.offset},
                        {"nextOffset", window.chunk.next_offset},
                        {"size", window.chunk.size}};
    if (window.gap) params["gap"] = json::object{{"at", window.gap->first}, {"bytes", window.gap->second}};
    return outlet_.send(jsonrpc::make_notification("task.chunk", std::move(params)));
  }

  void tell_end(json::object params) {
    params["attachment"] = name_;
    // Released before the end is sent: a client may attach again when it gets the end.
    release();
    if (!stop_.is_raised()) outlet_.send(jsonrpc::make_notification("task.attachment.ended", std::move(params)));
    end();
  }

  void release() {
    const std::lock_guard lock(mutex_);
    input_.reset();
    lock_.reset();
    released_ = true;
  }

  void end() {
    release();
    const std::lock_guard lock(mutex_);
    over_ = true;
    ended_.notify_all();
  }

  const std::string name_;
  const TaskId id_;
  const std::shared_ptr<Place> place_;
  jsonrpc::Outlet& outlet_;
  jsonrpc::Signal stop_;
  std::int64_t at_;
  bool is_terminal_ = false;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::shared_ptr<Fd> input_;  // who writes to it holds it meanwhile
  Fd lock_;
  bool started_ = false, released_ = false, over_ = false;
  std::thread thread_;
};

std::shared_ptr<Attachment> attachment_of(const Request& request) {
  const std::lock_guard lock(request.client.mutex);
  const auto found = request.client.subscriptions.find(request.text("attachment").value_or(""));
  return found == request.client.subscriptions.end() ? nullptr : std::dynamic_pointer_cast<Attachment>(found->second);
}

// Where the first chunk begins.
Result<std::int64_t> start_of_chunks(const Request& request, const TaskId& id) {
  const auto at = request.integer("at"), tail = request.integer("tailBytes");
  if (at && tail) return fail(ErrorCode::usage, "at and tailBytes exclude each other");
  if (at) return *at;
  auto end = request.manager().read_output(id, INT64_MAX, 0);
  if (!end) return std::unexpected(end.error());
  return std::max<std::int64_t>(0, end->size - tail.value_or(0));
}

Result<> set_size(int terminal, std::int64_t rows, std::int64_t columns, const TaskId& id) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  if (::ioctl(terminal, TIOCSWINSZ, &size) != 0) return fail_errno("setting the terminal's size of", id.str());
  return {};
}

Reply attach(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto& client = request.client;
  // Before anything is taken: what refuses must hold nothing.
  auto at = start_of_chunks(request, *id);
  if (!at) return failed(at.error());
  std::optional<TaskManager::HeldInput> held;
  if (!request.is_true("readOnly")) {
    auto taken = request.manager().hold_input(*id);
    if (!taken) return failed(taken.error());
    held = std::move(*taken);
  }
  const bool is_terminal = held && held->is_terminal;
  std::string name;
  std::shared_ptr<Attachment> attachment;
  {
    const std::lock_guard lock(client.mutex);
    std::erase_if(client.subscriptions, [](const auto& one) { return one.second->is_over(); });
    if (client.subscriptions.size() >= kMostAttachments)
      return refused(fmt::format("at most {} subscriptions and attachments on a connection", kMostAttachments));
    name = fmt::format("a{}", ++client.last_subscription);
    attachment = std::make_shared<Attachment>(name, *id, client, std::move(held), *at);
    client.subscriptions[name] = attachment;
  }
  request.after_answer = [attachment] { attachment->start(); };
  json::object result{{"attachment", name}, {"offset", *at}};
  result["input"] = request.is_true("readOnly") ? "none" : is_terminal ? "terminal" : "pipe";
  if (const auto size = request.manager().terminal_size(*id))
    result["terminal"] = json::object{{"rows", size->rows}, {"columns", size->columns}};
  return result;
}

Error no_attachment() {
  return {.code = ErrorCode::usage, .message = "attachment: there is none of that name: it may have ended"};
}

Reply input(Request& request) {
  const auto attachment = attachment_of(request);
  if (attachment == nullptr) return failed(no_attachment());
  const auto data = data_of(request);
  if (!data) return refused("data: expected base64");
  auto held = attachment->input();
  if (held == nullptr)
    return refused("attachment: nothing can be typed: it is read-only, its input was closed, or its task has ended");
  std::int64_t written = 0;
  // The request was cancelled while it waited for its turn.
  if (request.call.stop.is_raised()) return refused("cancelled after 0 bytes");
  auto whole = write_all_to(held->get(), *data, attachment->task(), request.call, written);
  if (!whole) return std::unexpected(fault_of_write(whole.error(), written));
  if (!*whole) return refused(fmt::format("cancelled after {} bytes", written));
  if (request.is_true("eof")) {
    held.reset();
    if (!attachment->is_terminal()) attachment->let_go_of_input();  // else it would keep the end from being read
    if (auto closed = request.manager().close_input(attachment->task()); !closed) return failed(closed.error());
  }
  return json::object{{"bytes", written}};
}

Reply resize(Request& request) {
  const auto attachment = attachment_of(request);
  if (attachment == nullptr) return failed(no_attachment());
  const auto held = attachment->input();
  if (held == nullptr || !attachment->is_terminal())
    return refused("attachment: has no terminal to resize: it is read-only or a pipe, or its task has ended");
  if (auto set = set_size(held->get(), request.integer("rows").value_or(0), request.integer("columns").value_or(0),
                          attachment->task());
      !set)
    return failed(set.error());
  return json::object();
}

Reply leave(Request& request) {
  const auto attachment = attachment_of(request);
  if (attachment != nullptr) {
    const std::lock_guard lock(request.client.mutex);
    request.client.subscriptions.erase(request.text("attachment").value_or(""));
  }
  const bool was_there = attachment != nullptr && attachment->goes_on();
  if (attachment != nullptr) {
    // Waits for what it is sending: the client takes it, since it wants the answer behind it.
    attachment->stop();
    constexpr std::chrono::hours kLong{24};
    static_cast<void>(attachment->await_end(std::chrono::steady_clock::now() + kLong));
  }
  return json::object{{"left", was_there}};
}

constexpr std::int64_t kMostCells = 65'535;
constexpr Field kAttachParams[] = {
    {"id", "string", "exact id of a task", true},
    {"readOnly", "boolean", "only watch: any number may, one may type"},
    {"at", "integer", "offset of the first byte to be sent (default: only what is printed from now on)"},
    {.name = "tailBytes",
     .type = "integer",
     .help = "instead: begin with the last bytes",
     .least = 0,
     .most = kMostTail},
};
constexpr Field kAttachResult[] = {
    {"attachment", "string", "names it in what follows", true},
    {"offset", "integer", "where the chunks begin", true},
    {"input", "terminal|pipe|none", "none: it only watches", true},
    {"terminal", "Terminal", "its size, where the task has one"},
};
constexpr Field kInputParams[] = {
    {"attachment", "string", "from task.attach", true},
    {"data", "string", "", true},
    {"encoding", "utf8|base64", "of data (default: utf8)"},
    {"eof", "boolean", "close the input afterwards; on a terminal Ctrl-D is typed"},
};
constexpr Field kInputResult[] = {{"bytes", "integer", "how many were written", true}};
constexpr Field kResizeParams[] = {
    {"attachment", "string", "from task.attach", true},
    {.name = "rows", .type = "integer", .help = "", .required = true, .least = 1, .most = kMostCells},
    {.name = "columns", .type = "integer", .help = "", .required = true, .least = 1, .most = kMostCells},
};
constexpr Field kLeaveParams[] = {{"attachment", "string", "from task.attach", true}};
constexpr Field kLeaveResult[] = {{"left", "boolean", "false: there was none of that name, or it had ended", true}};

constexpr Method kAttachMethods[] = {
    {.name = "task.attach",
     .help =
         "Has what a task prints sent as task.chunk notifications and, unless it only watches, takes its input. Ends "
         "with task.leave, with the connection, or with the task: then comes task.attachment.ended. A client that "
         "connects "
         "again attaches with `at`.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kAttachParams,
     .result = kAttachResult,
     .handle = attach},
    {.name = "task.input",
     .help = "Types into an attached task. Calls for one attachment are worked on in their order. Waits while the "
             "command does not read.",
     .writes = true,
     .repeat = Repeat::uncertain,
     .params = kInputParams,
     .result = kInputResult,
     .handle = input,
     .in_order_of = "attachment"},
    {.name = "task.resize",
     .help = "Sets the size of an attached task's terminal.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kResizeParams,
     .handle = resize},
    {.name = "task.leave",
     .help = "Ends an attachment, not the task. Nothing of it is sent after the answer.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kLeaveParams,
     .result = kLeaveResult,
     .handle = leave},
};

}  // namespace

std::span<const Method> attach_methods() {
  return kAttachMethods;
}

}  // namespace perdure::rpc
