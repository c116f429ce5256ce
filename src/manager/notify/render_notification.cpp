#include "base/json_writer.h"
#include "base/readable.h"
#include "base/utf8.h"
#include <perdure/notification.h>

#include <fmt/format.h>

#include <algorithm>

// A notification as text, JSON and XML. Text from other programs in it (output, reasons, paths) is escaped here, as the
// last step, even if it was checked before (L26).
namespace perdure {
namespace {

// JSON requires escapes for ASCII controls only. DEL and C1 are escaped too, since a terminal may interpret them.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  const std::string escaped = json_escaped(text);
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    const auto c = static_cast<unsigned char>(escaped[i]);
    if (c == 0x7F) {
      out += "\\u007f";
    } else if (c == 0xC2 && static_cast<unsigned char>(escaped[i + 1]) < 0xA0) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(escaped[++i])));
    } else {
      out += escaped[i];
    }
  }
  return out + "\"";
}

std::string json_or_null(const std::optional<std::string>& text) {
  return text ? json_string(*text) : "null";
}

template <class T>
std::string json_or_null(const std::optional<T>& number) {
  return number ? fmt::to_string(*number) : "null";
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : to_plain_text(text, true)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string xml_attribute(std::string_view name, std::string_view value) {
  std::string out = fmt::format(" {}=\"", name);
  for (const char c : xml_text(value)) {
    switch (c) {
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default: out += c;
    }
  }
  return out + "\"";
}

constexpr std::size_t kMostOfXml = 700, kMostOfTitle = 100, kMostOfLastLines = 220, kFailureInXml = 160;

// Escaped, and cut at the end to at most `most` bytes; never within a character or an entity.
std::string xml_within(std::string_view text, std::size_t most) {
  constexpr std::string_view kCut = "...";
  std::string whole = xml_text(text);
  if (whole.size() <= most) return whole;
  if (most < kCut.size()) return {};
  std::string out = whole.substr(0, most - kCut.size());
  out.resize(out.size() - incomplete_suffix(out));
  const auto entity = out.rfind('&');
  if (entity != std::string::npos && out.find(';', entity) == std::string::npos) out.resize(entity);
  return out += kCut;
}

// The last whole lines of an output for a model, escaped, at most `most` bytes.
std::string last_lines_of(std::string_view output, std::size_t most) {
  const std::string readable = make_readable(output).text;
  for (std::size_t raw = most; raw >= 16; raw = raw * 3 / 4) {
    std::string_view end = end_of(readable, raw);
    if (end.ends_with('\n')) end.remove_suffix(1);
    std::string escaped = xml_text(end);
    if (escaped.size() <= most) return escaped;
  }
  return {};
}

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "";
}

std::string notification_text(const Notification& n) {
  const std::string body = to_plain_text(n.body, true);
  std::string text = to_plain_text(n.title, false) + "\n";
  for (std::string_view rest = body; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    text += fmt::format("  {}\n", rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return text + fmt::format("  ({})\n", to_plain_text(n.id, false));
}

std::string notification_json(const Notification& n) {
  std::string tasks;
  for (const auto& id : n.tasks) tasks += (tasks.empty() ? "" : ",") + json_string(id.str());
  return fmt::format(
      R"({{"id":{},"type":{},"source_kind":{},"source_id":{},"agentId":{},"owner":{},"status":{},"exitCode":{},)"
      R"("signal":{},"reason":{},"title":{},"severity":{},"body":{},"outputPath":{},"outputBytes":{},"preview":{},)"
      R"("tasks":[{}]}})",
      json_string(n.id), json_string(n.type), json_string(n.source_kind), json_string(n.source_id),
      json_or_null(n.agent_id ? std::optional(n.agent_id->text) : std::nullopt), json_or_null(n.owner),
      json_string(name_of(n.status)), json_or_null(n.exit_code), json_or_null(n.signal), json_or_null(n.reason),
      json_string(n.title), json_string(name_of(n.severity)), json_string(n.body), json_or_null(n.output_path),
      n.output_bytes, json_string(n.preview), tasks);
}

std::string notification_xml(const Notification& n) {
  std::string head = "<notification" + xml_attribute("id", n.id) + xml_attribute("category", "task") +
                     xml_attribute("type", n.type) + xml_attribute("source_kind", n.source_kind) +
                     xml_attribute("source_id", n.source_id);
  if (n.agent_id) head += xml_attribute("agent_id", n.agent_id->text);
  head += ">\n<title>" + xml_within(n.title, kMostOfTitle) +
          fmt::format("</title>\n<severity>{}</severity>\n<body>", name_of(n.severity));
  std::string middle = "</body>\n", tail = "</output-preview>\n</notification>";
  if (n.output_path) {
    middle += "<output-file" + xml_attribute("path", *n.output_path) +
              xml_attribute("bytes", fmt::to_string(n.output_bytes)) + ">";
    tail = "</output-file>\n</notification>";
  } else {
    middle += "<output-preview>";
  }
  std::size_t room = kMostOfXml - std::min(kMostOfXml, head.size() + middle.size() + tail.size());
  std::string body = xml_within(n.brief.empty() ? n.body : n.brief, room);
  room -= std::min(room, body.size());
  std::string lines = last_lines_of(n.preview, std::min(room, kMostOfLastLines));
  // If the end of the output does not contain the cause, the cause is shown instead.
  if (!n.failure_line.empty() && !lines.contains(xml_text(n.failure_line))) {
    constexpr std::string_view kFailure = "\nFailure: ";
    body += std::string(kFailure) + xml_within(n.failure_line, std::min(kFailureInXml, room / 2));
    room = kMostOfXml - std::min(kMostOfXml, head.size() + body.size() + middle.size() + tail.size());
    lines = last_lines_of(n.preview, std::min(room, kMostOfLastLines));
  }
  return head + body + middle + lines + tail;
}

}  // namespace perdure
