#pragma once

#include "codec/json.h"
#include <perdure/task.h>

#include <fmt/format.h>

// How the decoders of all formats read keys of an object: each call names the expected type, and the first mismatch is
// the reason with which the record is refused.
namespace perdure::codec {

enum class Need { required, optional };

class Fields {
 public:
  explicit Fields(const std::vector<Member>& members) : members_(members) {
    for (const auto& member : members) shapes_ |= shape_of(member.key);
  }

  [[nodiscard]] const Member* find(std::string_view key) const {
    if ((shapes_ & shape_of(key)) == 0) return nullptr;  // most of the optional keys are absent
    for (const auto& member : members_)
      if (member.key == key) return &member;
    return nullptr;
  }

  /// The first error; "" if there was none.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  void refuse(std::string_view key, std::string_view what) {
    if (problem_.empty()) problem_ = fmt::format("{}: {}", key, what);
  }

  [[nodiscard]] std::optional<std::string> text(std::string_view key, Need need) {
    const Member* const member = get(key, need, JsonType::string);
    return member == nullptr ? std::nullopt : std::optional(string_of(*member));
  }
  [[nodiscard]] std::optional<bool> boolean(std::string_view key, Need need = Need::optional) {
    const Member* const member = get(key, need, JsonType::boolean);
    return member == nullptr ? std::nullopt : std::optional(member->raw == "true");
  }
  /// With `null_is_fine` null counts as absent; a required key must exist all the same.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, Need need, std::int64_t least,
                                                    std::int64_t most, bool null_is_fine = false) {
    const Member* const found = find(key);
    if (found != nullptr && null_is_fine && found->type == JsonType::null) return std::nullopt;
    const Member* const member = get(key, need, JsonType::integer);
    if (member == nullptr) return std::nullopt;
    const auto value = integer_of(*member);
    if (!value || *value < least || *value > most) {
      refuse(key, fmt::format("is {}, not from {} to {}", member->raw.substr(0, 40), least, most));
      return std::nullopt;
    }
    return value;
  }

 private:
  // One bit of 64, from a key's length and ends: a quick check that rules out most absent keys.
  static std::uint64_t shape_of(std::string_view key) {
    if (key.empty()) return 1;
    const auto first = std::size_t{static_cast<unsigned char>(key.front())};
    const auto last = std::size_t{static_cast<unsigned char>(key.back())};
    return std::uint64_t{1} << ((key.size() * 7 + first * 3 + last) % 64);
  }
  const Member* get(std::string_view key, Need need, JsonType type) {
    const Member* const member = find(key);
    if (member == nullptr) {
      if (need == Need::required) refuse(key, "is missing");
      return nullptr;
    }
    if (member->type == type) return member;
    refuse(key, fmt::format("is {}, not {}", name_of(member->type), name_of(type)));
    return nullptr;
  }

  const std::vector<Member>& members_;
  std::uint64_t shapes_ = 0;
  std::string problem_;
};

inline constexpr std::int64_t kMostTime = 8'640'000'000'000'000;  // the last date in JavaScript
inline constexpr std::int64_t kMostInt = INT64_MAX;
inline constexpr std::int64_t kMostPid = INT32_MAX;

/// Null exactly while the task runs.
void check_end(Fields& fields, std::string_view key, bool terminal, const std::optional<std::int64_t>& ended);

/// The id in the record, which must equal the file's stem and have the form of a record's id.
[[nodiscard]] Result<TaskId> checked_id(Fields& fields, std::string_view key, std::string_view stem);

[[nodiscard]] Result<Task> decode_legacy(const std::vector<Member>& members, std::string_view stem);

}  // namespace perdure::codec
