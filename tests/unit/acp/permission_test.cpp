#include "acp/requests/permission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace perdure::acp {
namespace {

const std::vector<PermissionOption> kAll = {{"1", "Always", "allow_always"},
                                            {"2", "Yes", "allow_once"},
                                            {"3", "Never", "reject_always"},
                                            {"4", "No", "reject_once"}};

std::string id_of(const std::optional<PermissionOption>& option) {
  return option ? option->id : "none";
}

TEST(Choose, OnceGoesBeforeAlways) {
  EXPECT_EQ(id_of(choose(kAll, true)), "2");
  EXPECT_EQ(id_of(choose(kAll, false)), "4");
  EXPECT_EQ(id_of(choose({kAll[0], kAll[2]}, true)), "1");
  EXPECT_EQ(id_of(choose({kAll[0], kAll[2]}, false)), "3");
}

TEST(Choose, WhatIsNotOfferedIsNotChosen) {
  EXPECT_EQ(id_of(choose({kAll[0]}, false)), "none");
  EXPECT_EQ(id_of(choose({}, true)), "none");
  EXPECT_EQ(id_of(choose({{"x", "Yes", "unheard_of"}}, true)), "none");
}

TEST(AsChoices, LabelsAreUniqueAlsoWhereNamesAndKindsAreNot) {
  const std::vector<PermissionOption> same = {{"1", "Allow", "allow_once"},
                                              {"2", "Allow", "allow_once"},
                                              {"3", "Allow", "allow_once"},
                                              {"4", "", "reject_once"}};
  std::set<std::string> labels;
  for (const auto& choice : as_choices(same)) labels.insert(choice.label);
  EXPECT_EQ(labels.size(), 4U);
}

TEST(AsChoices, OfManyTheFirstOfEachKindAreShown) {
  std::vector<PermissionOption> many;
  for (int i = 0; i < 6; ++i) many.push_back({std::to_string(i), "Allow", "allow_once"});
  many.push_back({"no", "No", "reject_once"});
  const auto choices = as_choices(many);
  EXPECT_EQ(choices.size(), 4U);
  EXPECT_TRUE(std::ranges::any_of(choices, [](const Choice& c) { return c.label == "No"; }));
}

TEST(ChooseAsSaid, LabelsNamesKindsAndPlainWords) {
  const auto offered = as_choices(kAll);
  for (const auto& [said, id] : std::vector<std::pair<std::string, std::string>>{{offered[0].label, "1"},
                                                                                 {"Never", "3"},
                                                                                 {"never", "3"},
                                                                                 {"reject_once", "4"},
                                                                                 {"yes", "2"},
                                                                                 {"OK", "2"},
                                                                                 {"no", "4"},
                                                                                 {"rather not", "4"},
                                                                                 {"", "4"}})
    EXPECT_EQ(id_of(choose_as_said(kAll, offered, said)), id) << said;
}

TEST(ChooseAsSaid, ALabelMeansTheOptionThatItWasMadeOf) {
  const std::vector<PermissionOption> same = {
      {"1", "Allow", "allow_once"}, {"2", "Allow", "allow_once"}, {"3", "No", "reject_once"}};
  const auto offered = as_choices(same);
  EXPECT_EQ(id_of(choose_as_said(same, offered, offered[0].label)), "1");
  EXPECT_EQ(id_of(choose_as_said(same, offered, offered[1].label)), "2");
}

TEST(Shown, A1TextChangesAndPathsOfACall) {
  const auto content = json::parse(R"([
    {"type": "content", "content": {"type": "text", "text": "Requesting approval to Running: rm -rf build"}},
    {"type": "diff", "path": "/w/a.c", "oldText": "one\ntwo\nthree\n", "newText": "one\n2\n2b\nthree\n"},
    {"type": "diff", "path": "/w/new", "newText": "x\n"},
    {"type": "terminal", "terminalId": "t"}, 7, {}])");
  EXPECT_EQ(content_text(content.get_array()),
            "Requesting approval to Running: rm -rf build\n/w/a.c, from line 2:\n- two\n+ 2\n+ 2b\n/w/new, from line "
            "1:\n+ x\n");
  EXPECT_EQ(location_text(json::parse(R"([{"path": "/w/a.c", "line": 3}, {"path": "/w/b"}, {}])").get_array()),
            "in /w/a.c:3\nand /w/b\n");
  EXPECT_EQ(content_text({}), "");
}

}  // namespace
}  // namespace perdure::acp
