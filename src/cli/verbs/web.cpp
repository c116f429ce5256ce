#include "base/error.h"
#include "base/files.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/sweep.h"
#include "cli/text/qr.h"
#include "cli/verbs/verbs.h"
#include "http/listener.h"
#include "web/service/service.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kWebOptions[] = {
    {"--listen", "ADDRESS:PORT", "there instead of a free port of 127.0.0.1, which is remembered"},
    {"--origin", "URL", "of a server in front that adds TLS: https://box.example"},
    {"--insecure", nullptr, "with --listen: an address that others can reach, without TLS"},
    {"--read-only", nullptr, "nothing can be stopped, answered or changed"},
    {"--allow-start", nullptr, "tasks can be started, written to and sent signals"},
    {"--metrics-open", nullptr, "/metrics needs no token"},
    {"--question", "ID", "print a link that shows and answers this question and nothing else, and serve nothing"},
    {"--qr", nullptr, "with --question or --link: also as a QR code; of a question on a terminal it always is"},
    {"--link", nullptr, "print a new link to log in to the server that runs, and serve nothing"},
};

// The port that this session's server used last; 0: none.
std::uint16_t remembered_port(const std::string& folder, const std::string& name) {
  auto opened = open_folder_at(AT_FDCWD, folder, folder);
  auto text = opened ? read_regular_file(opened->get(), name, 16, name) : std::unexpected(opened.error());
  const auto port = text ? parse_integer(*text, 1, 65535) : std::unexpected(text.error());
  return port ? static_cast<std::uint16_t>(*port) : std::uint16_t{0};
}

Result<> remember_port(const std::string& folder, const std::string& name, std::uint16_t port) {
  auto opened = open_folder_at(AT_FDCWD, folder, folder);
  if (!opened) return std::unexpected(opened.error());
  return replace_file(opened->get(), name, fmt::format("{}", port), folder + "/" + name);
}

Result<http::Listener> listen_on(const Call& call, std::uint16_t port) {
  http::Endpoint endpoint{.port = port};
  if (const auto where = call.value("--listen")) {
    auto parsed = http::Endpoint::parse(*where);
    if (!parsed) return fail(ErrorCode::usage, fmt::format("--listen: {}", parsed.error().message));
    endpoint = std::move(*parsed);
    if (!endpoint.is_loopback() && !call.has("--insecure") && !call.has("--origin"))
      return fail(ErrorCode::usage,
                  fmt::format("--listen: others can reach {}: put a server with TLS in front and name it "
                              "by --origin, or say --insecure",
                              endpoint.text()));
    return http::Listener::open(endpoint);
  }
  auto listener = http::Listener::open(endpoint);
  // Another program uses it now: any other port will do.
  return listener || port == 0 ? std::move(listener) : http::Listener::open(http::Endpoint{});
}

std::string link_to(const Call& call, const std::string& authority, const web::Keys& keys) {
  return fmt::format("{}/#t={}", call.value("--origin").value_or("http://" + authority), keys.make_link_token());
}

// A link for a phone (V43).
Result<std::string> answer_link(const Call& call, const TaskManager& manager, const std::string& authority,
                                const std::string& word, const web::Keys& keys) {
  auto id = TaskId::parse(word);
  auto asked = id ? manager.questions().get(*id) : std::unexpected(id.error());
  if (!asked) return std::unexpected(asked.error());
  if (is_terminal(asked->task.status))
    return fail(ErrorCode::question_closed, fmt::format("{} is no longer open", id->str()));
  const std::string session = web::session_id(manager.session());
  return fmt::format("{}/#a={}/{}/{}", call.value("--origin").value_or("http://" + authority), session, id->str(),
                     keys.make_answer_token(session, id->str()));
}

// For a phone's camera. Programs that read the link get nothing but the link.
void show_link(const Call& call, const std::string& link, bool is_for_phone) {
  put_line(link);
  const bool on_terminal = ::isatty(STDOUT_FILENO) == 1;
  if (!call.has("--qr") && !(is_for_phone && on_terminal)) return;
  const auto lines = qr_lines(link, on_terminal);
  if (!lines) return note("perdure: the link is too long for a QR code");
  for (const auto& line : *lines) put_line(line);
}

Result<int> run_web(Call& call) {
  if (!call.arguments.empty())
    return fail(ErrorCode::usage, fmt::format("web: '{}' is not expected here", harmless_line(call.arguments.front())));
  if (call.has("--read-only") && call.has("--allow-start"))
    return fail(ErrorCode::usage, "--read-only and --allow-start exclude each other");
  if (call.has("--qr") && !call.has("--link") && !call.value("--question"))
    return fail(ErrorCode::usage, "--qr: only with --question or --link");
  if (const auto origin = call.value("--origin");
      origin && (!origin->starts_with("https://") || origin->ends_with('/')))
    return fail(ErrorCode::usage, fmt::format("--origin: expected https://NAME, got '{}'", harmless_line(*origin)));
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto folder = Call::state_folder();
  if (!folder) return std::unexpected(folder.error());
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto keys = web::Keys::open(*folder);
  if (!keys) return std::unexpected(keys.error());
  const std::string session = (*manager)->session();
  const std::string port_file = "web-port-" + web::session_id(session);
  const std::uint16_t port = remembered_port(*folder, port_file);
  const auto question = call.value("--question");
  if (call.has("--link") || question) {
    if (port == 0)
      return fail(ErrorCode::usage, fmt::format("{}: no server has served this session: see `perdure web`",
                                                question ? "--question" : "--link"));
    if (question) {
      auto link = answer_link(call, **manager, http::Endpoint{.port = port}.text(), *question, *keys);
      if (!link) return std::unexpected(link.error());
      show_link(call, *link, true);
      return 0;
    }
    show_link(call, link_to(call, http::Endpoint{.port = port}.text(), *keys), false);
    return 0;
  }
  auto listener = listen_on(call, port);
  if (!listener) return std::unexpected(listener.error());
  const auto endpoint = listener->endpoint();
  if (auto kept = remember_port(*folder, port_file, endpoint.port); !kept) return std::unexpected(kept.error());
  // Before any thread is created: all of them inherit the mask.
  const Interrupts interrupts;
  web::Options options{.rpc = {.session = session,
                               .state_folder = *folder,
                               .sessions = (*config)->rpc_sessions.value,
                               .foreign = Call::foreign_folders(),
                               .on_start =
                                   [](TaskManager& tasks, const Config& its_config) {
                                     if (its_config.retention_auto.value) sweep_in_background(tasks);
                                   }},
                       .address = endpoint.address,
                       .origin = call.value("--origin"),
                       .read_only = call.has("--read-only"),
                       .allow_start = call.has("--allow-start"),
                       .metrics_open = call.has("--metrics-open")};
  put_line(link_to(call, endpoint.text(), *keys));
  note(fmt::format("perdure: serving session {} at http://{}; for programs the token is in {}/web-token",
                   web::session_id(session), endpoint.text(), *folder));
  web::Service service(std::move(options), std::move(*keys));
  listener->serve(service, {}, interrupts.fd());
  return 0;
}

}  // namespace

const Verb kWebVerb{"web", "", "serve a page, REST and events of sessions over HTTP on this machine", kWebOptions,
                    run_web};

}  // namespace perdure::cli
