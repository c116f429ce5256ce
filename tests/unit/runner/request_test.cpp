#include "runner/control/request.h"

#include "runner/os/text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace runner::request {
namespace {

template <class Kind>
Kind as(std::string_view line) {
  const Request request = parse(line);
  const Kind* const found = std::get_if<Kind>(&request);
  EXPECT_NE(found, nullptr) << line << " is of kind " << request.index();
  return found != nullptr ? *found : Kind{};
}

std::string error_of(std::string_view line) {
  const Request request = parse(line);
  const Bad* const bad = std::get_if<Bad>(&request);
  if (bad == nullptr) return "no error";
  Text<128> text;
  write_error(text, *bad);
  return std::string(text.view());
}

TEST(Request, EachPlainWordIsOneOfItsOwnKind) {
  as<Waiters>("waiters");
  as<Started>("started");
  as<Release>("release");
  as<Look>("look");
  as<Input>("input");
  as<CloseInput>("close-input");
  as<Figures>("output");
}

TEST(Request, V50_TypeNamesItsWriteAndItsPlace) {
  const std::string id(32, 'a'), sum(16, '0');
  const std::string line = "type " + id + " " + sum + " 7 6a00ff";
  const Type type = as<Type>(line);
  EXPECT_EQ(type.id, id);
  EXPECT_EQ(type.sum, sum);
  EXPECT_EQ(type.offset, 7);
  EXPECT_EQ(type.hex, "6a00ff");
  for (const std::string& bad :
       {"type " + id + " " + sum + " 7 6a0", "type " + id + " " + sum + " -1 6a", "type " + id + " " + sum + " 0 6A",
        "type " + id + " " + sum + " 0 ", "type " + std::string(32, 'g') + " " + sum + " 0 6a"})
    EXPECT_EQ(error_of(bad), "error 22") << bad;
  for (const std::string& bad : {std::string("type"), "type " + id, "type " + id + " " + sum,
                                 "type " + id + "a " + sum + " 0 6a", "type " + id + " " + sum.substr(1) + " 0 6a"})
    EXPECT_EQ(error_of(bad), "error 22 expected: type ID SUM OFFSET HEX") << bad;
  EXPECT_EQ(error_of("type " + id + " " + sum + " 0 " + std::string(2 * 3073, 'a')), "error 22");
}

TEST(Request, WaitNamesTheTaskOfTheWaiterOrNone) {
  EXPECT_EQ(as<Wait>("wait").inside, "");
  EXPECT_EQ(as<Wait>("wait bash-0a1b2c3d").inside, "bash-0a1b2c3d");
  EXPECT_EQ(as<Wait>("wait ../etc").inside, "");  // no id, so nobody's
}

TEST(Request, L45_StopSaysWhetherTheOwnerAsked) {
  const Stop loud = as<Stop>("stop 5000 it is \\\"enough\\\"");
  EXPECT_EQ(loud.cause, Cause::stop);
  EXPECT_EQ(loud.grace_ms, 5000);
  EXPECT_EQ(loud.reason, "it is \\\"enough\\\"");
  const Stop quiet = as<Stop>("stop-quietly -1 ");
  EXPECT_EQ(quiet.cause, Cause::stop_quietly);
  EXPECT_EQ(quiet.grace_ms, -1);
  EXPECT_EQ(quiet.reason, "");
  EXPECT_EQ(as<Stop>("stop 0").reason, "");
}

TEST(Request, AReasonThatWouldBreakTheRecordIsRefused) {
  for (const std::string& bad :
       {std::string("stop 0 \"quoted\""), std::string("stop 0 half \\"), std::string("stop 0 \\u12"),
        std::string("stop 0 \xC3\xA9"), std::string("stop 0 \x01"), "stop 0 " + std::string(3401, 'x'),
        std::string("outcome failed \""), std::string("note agentId"), std::string("note \"a\":}"),
        "note \"a\":\"" + std::string(4096, 'x') + "\""})
    EXPECT_EQ(error_of(bad), "error 22") << bad;
  EXPECT_EQ(error_of("stop 0 " + std::string(3400, 'x')), "no error");
}

TEST(Request, L14_ATurnEndsInOneOfThreeWays) {
  using How = TurnEnded::How;
  EXPECT_EQ(as<TurnEnded>("outcome completed ").how, How::completed);
  EXPECT_EQ(as<TurnEnded>("outcome failed it refused").how, How::failed);
  EXPECT_EQ(as<TurnEnded>("outcome broke connection lost").how, How::broke);
  EXPECT_EQ(as<TurnEnded>("outcome broke connection lost").reason, "connection lost");
  for (const std::string_view bad : {"outcome completed but why", "outcome failed ", "outcome broke "})
    EXPECT_EQ(error_of(bad), "error 22") << bad;
  EXPECT_EQ(error_of("outcome wonderful"), "error 22 expected: outcome completed|failed|broke REASON");
}

TEST(Request, NumbersAreTakenWhole) {
  EXPECT_EQ(as<Detach>("detach -1").timeout_ms, -1);
  EXPECT_EQ(as<Extend>("extend 60000").timeout_ms, 60'000);
  EXPECT_EQ(as<EndLeftovers>("end-leftovers 50").grace_ms, 50);
  EXPECT_EQ(as<Signal>("signal 10").number, 10);
  EXPECT_EQ(as<StopOwned>("stop-owned 20 agent-me").owner, "agent-me");
  EXPECT_EQ(as<StopOwned>("stop-owned 20 agent-me").grace_ms, 20);
  EXPECT_EQ(as<StopOwned>("stop-owned 0 ").owner, "");
  for (const std::string_view bad :
       {"extend", "extend ", "extend soon", "extend 5s", "extend 5 6", "extend 99999999999999999999"})
    EXPECT_EQ(error_of(bad), "error 22 expected: extend TIMEOUT_MS") << bad;
  EXPECT_EQ(error_of("stop"), "error 22 expected: stop GRACE_MS REASON");
  EXPECT_EQ(error_of("stop enough"), "error 22 expected: stop GRACE_MS REASON");
}

TEST(Request, ANumberThatIsNoSignalReachesNoProcess) {
  for (const std::string_view bad : {"signal -1", "signal 65", "signal 99999999999", "signal 4294967305"})
    EXPECT_EQ(error_of(bad), "error 22") << bad;
}

TEST(Request, ADraftIsANameInTheFolder) {
  EXPECT_EQ(as<Settle>("settle answered answer.draft.17").draft, "answer.draft.17");
  EXPECT_FALSE(as<Settle>("settle answered answer.draft.17").dismissed);
  EXPECT_TRUE(as<Settle>("settle dismissed answer.draft.17").dismissed);
  for (const std::string& bad :
       {std::string("settle answered ../output.log"), std::string("settle answered answer./../x"),
        std::string("settle answered "), "settle answered answer." + std::string(64, 'x')})
    EXPECT_EQ(error_of(bad), "error 22") << bad;
  EXPECT_EQ(error_of("settle maybe answer.x"), "error 22 expected: settle answered|dismissed FILE");
}

TEST(Request, WhatIsNoRequestIsSaidToBeNone) {
  using namespace std::string_view_literals;
  for (const std::string_view bad : {""sv, " "sv, "nonsense"sv, "STOP 0 x"sv, "wait-no"sv, "\0"sv, "output\0"sv})
    EXPECT_EQ(error_of(bad), "error 38 unknown request") << bad;
  EXPECT_EQ(error_of("output now"), "error 22 expected: output");
}

TEST(Request, L53_AStopThatWasLeftInTheFolder) {
  Stop wish;
  EXPECT_TRUE(parse_stop_wish("250 1\nenough\n", wish));
  EXPECT_EQ(wish.cause, Cause::stop_quietly);
  EXPECT_EQ(wish.grace_ms, 250);
  EXPECT_EQ(wish.reason, "enough");
  EXPECT_TRUE(parse_stop_wish("-1 0\n\n", wish));
  EXPECT_EQ(wish.cause, Cause::stop);
  EXPECT_EQ(wish.grace_ms, -1);
  EXPECT_EQ(wish.reason, "");
  EXPECT_FALSE(parse_stop_wish("", wish));
  EXPECT_FALSE(parse_stop_wish("5 0\n\"\n", wish));
}

}  // namespace
}  // namespace runner::request
