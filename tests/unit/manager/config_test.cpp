#include "config/config_keys.h"
#include "config/config_tables.h"
#include "unit/hand_made_session.h"
#include <perdure/config.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace perdure {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// Environment variables for one test; CTest runs each in a process of its own.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    ::setenv("XDG_CONFIG_HOME", (disk.path() + "-config").c_str(), 1);
    for (const auto& key : manager::config_keys()) ::unsetenv(manager::variable_of(key).c_str());
  }
  ConfigTest(const ConfigTest&) = delete;
  ConfigTest& operator=(const ConfigTest&) = delete;
  ~ConfigTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(disk.path() + "-config", ignored);
  }

  [[nodiscard]] std::string own_file() const { return disk.path() + "-config/perdure/config.toml"; }
  [[nodiscard]] std::string session_file() const { return disk.path() + "/perdure.toml"; }
  void own(const std::string& text) const { disk.write(own_file(), text); }
  void of_session(const std::string& text) const { disk.write(session_file(), text); }
  void trusted_of_session(const std::string& text) const {
    of_session(text);
    EXPECT_TRUE(trust_config(disk.path()).has_value());
  }
  [[nodiscard]] Config load() const {
    auto config = load_config(disk.path());
    EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().message);
    return config.value_or(Config());
  }
  [[nodiscard]] Error refused() const {
    auto config = load_config(disk.path());
    EXPECT_FALSE(config.has_value());
    return config ? Error() : config.error();
  }

  testing::HandMadeSession disk;
};

TEST_F(ConfigTest, WithoutFilesEveryValueIsItsDefault) {
  const Config config = load();
  EXPECT_EQ(config.max_running_tasks.value, std::nullopt);
  EXPECT_TRUE(config.keep_alive_on_exit.value);
  EXPECT_TRUE(config.bash_auto_background_on_timeout.value);
  EXPECT_EQ(config.bash_task_timeout.value, 600s);
  EXPECT_EQ(config.kill_grace_period.value, 5000ms);
  for (const auto& key : manager::config_keys()) EXPECT_EQ(key.from(config), "default") << manager::name_of(key);
  EXPECT_FALSE(testing::HandMadeSession::exists(disk.path())) << "looking makes nothing";
}

TEST_F(ConfigTest, L04_TheSessionBeatsThePersonAndTheEnvironmentBeatsBoth) {
  own("[task]\nmax_running_tasks = 1\nkill_grace_period_ms = 1\nbash_task_timeout_s = 1\n");
  of_session("[task]\nmax_running_tasks = 2\nkill_grace_period_ms = 2\n");
  ::setenv("PERDURE_MAX_RUNNING_TASKS", "3", 1);
  const Config config = load();
  EXPECT_EQ(config.max_running_tasks.value, 3);
  EXPECT_EQ(config.max_running_tasks.from, "PERDURE_MAX_RUNNING_TASKS");
  EXPECT_EQ(config.kill_grace_period.value, 2ms);
  EXPECT_EQ(config.kill_grace_period.from, session_file() + ":3");
  EXPECT_EQ(config.bash_task_timeout.value, 1s);
  EXPECT_EQ(config.bash_task_timeout.from, own_file() + ":4");
}

TEST_F(ConfigTest, TaskBeatsBackgroundWhereverTheyStand) {
  own("[task]\nkill_grace_period_ms = 1\n[background]\nkill_grace_period_ms = 2\nkeep_alive_on_exit = false\n");
  EXPECT_EQ(load().kill_grace_period.value, 1ms);
  EXPECT_FALSE(load().keep_alive_on_exit.value);
}

TEST_F(ConfigTest, ALaterFileMayTakeAValueAway) {
  own("[task]\nmax_running_tasks = 1\n");
  of_session("[task]\nmax_running_tasks = \"none\"\n");
  EXPECT_EQ(load().max_running_tasks.value, std::nullopt);
}

TEST_F(ConfigTest, WhatIsForAnAgentsOwnLoopIsAcceptedAndMarked) {
  own("[background]\nprint_background_mode = \"steer\"\nprint_wait_ceiling_s = 60\nprint_max_turns = 5\n"
      "[subagent]\ntimeout_ms = 7\n");
  const Config config = load();
  EXPECT_EQ(config.print_background_mode.value, "steer");
  EXPECT_EQ(config.subagent_timeout_ms.value, 7);
  std::vector<std::string> unused;
  for (const auto& key : manager::config_keys())
    if (!key.used_here) unused.push_back(manager::name_of(key));
  EXPECT_THAT(unused,
              ElementsAre("print_background_mode", "print_wait_ceiling_s", "print_max_turns", "subagent.timeout_ms"));
}

TEST_F(ConfigTest, EveryKeyCanBeSetInAFileAndByItsVariable) {
  for (const auto& key : manager::config_keys()) {
    const std::string takes = key.takes();
    std::string text;
    for (const std::string candidate : {"1", "true", "/bin/dash", "ctrl-a", "1h", "1MiB", "stop", "keep", "exit"}) {
      Config scratch;
      const manager::TomlValue value{.content = candidate};
      if (key.read(scratch, {.value = value, .is_text = true}, "x").has_value()) text = candidate;
    }
    ASSERT_FALSE(text.empty()) << manager::name_of(key);
    ::setenv(manager::variable_of(key).c_str(), text.c_str(), 1);
    EXPECT_EQ(key.from(load()), manager::variable_of(key));
    ::setenv(manager::variable_of(key).c_str(), "@nonsense@", 1);
    const Error error = refused();
    EXPECT_EQ(error.code, ErrorCode::config_invalid);
    EXPECT_THAT(error.message, HasSubstr(manager::variable_of(key)));
    EXPECT_THAT(error.message, HasSubstr(takes));
    ::unsetenv(manager::variable_of(key).c_str());
    own(fmt::format("\n[{}]\n{} = {{}}\n", key.section, key.name));
    const Error wrong = refused();
    EXPECT_EQ(wrong.details.at("line"), "3") << manager::name_of(key);
    EXPECT_EQ(wrong.details.at("key"), key.name);
    std::filesystem::remove(own_file());
  }
}

TEST_F(ConfigTest, WhatIsWrongIsNamedWithFileLineAndKey) {
  const struct {
    const char* text;
    const char* line;
    const char* said;
  } cases[] = {
      {"\n[task]\nmax_runing_tasks = 1\n", "3", "did you mean 'max_running_tasks'?"},
      {"[task]\nkeep = 4\n", "2", "it stands in [retention]"},
      {"[tsk]\n", "1", "did you mean 'task'?"},
      {"max_running_tasks = 4\n", "1", "it belongs in [task]"},
      {"[task]\nmax_running_tasks = 0\n", "2", "0 is not allowed"},
      {"[task]\nmax_running_tasks = \"4\"\n", "2", "'4' is not allowed"},
      {"[task]\nmax_running_tasks = 1\nmax_running_tasks = 1\n", "3", "is not valid TOML"},
      {"[retention]\nolder_than = 0\n", "2", "or \"none\""},
      {"[task]\nshell = \"sh\"\n", "2", "an absolute path"},
      {"[task\n", "1", "is not valid TOML"},
      {"hooks = 1\n", "1", "[[hooks]]"},
      {"[[hooks]]\nmatcher = \"(\"\ncommand = \"true\"\n", "2", "not a valid regular expression"},
      {"[[hooks]]\ntimeout = 5\n", "1", "has no command"},
      {"[[hooks]]\ncommand = \"true\"\ntimeout = 601\n", "3", "from 1s to 10m"},
      {"[[hooks]]\ncomand = \"true\"\n", "2", "did you mean 'command'?"},
      {"[agents.a]\nmdl = \"x\"\n", "2", "did you mean 'mode'?"},
      {"[agents.a]\npermission = \"maybe\"\n", "2", "\"allow\", \"deny\" or \"ask\""},
      {"[agents.a]\ncommand = []\n", "2", "is empty"},
      {"[agents.\"a b\"]\n", "1", "is not a valid name"},
      {"[agents]\nclaude = 1\n", "2", "[agents.NAME]"},
  };
  for (const auto& one : cases) {
    own(one.text);
    const Error error = refused();
    EXPECT_EQ(error.code, ErrorCode::config_invalid) << one.text;
    EXPECT_EQ(error.details.at("file"), own_file()) << one.text;
    EXPECT_EQ(error.details.at("line"), one.line) << one.text;
    EXPECT_THAT(error.message, HasSubstr(one.said)) << one.text;
    EXPECT_THAT(error.message, HasSubstr(own_file() + ":" + one.line)) << one.text;
  }
}

TEST_F(ConfigTest, HooksOfBothFilesCountThePersonsFirst) {
  own("[[hooks]]\nmatcher = \"lost\"\ncommand = \"a\"\ntimeout = \"2m\"\n[[hooks]]\ncommand = \"b\"\n");
  trusted_of_session("[[hooks]]\ncommand = \"c\"\ntimeout = 5\n");
  const Config config = load();
  ASSERT_EQ(config.hooks.size(), 3U);
  EXPECT_EQ(config.hooks[0].matcher, "lost");
  EXPECT_EQ(config.hooks[0].timeout, 120s);
  EXPECT_EQ(config.hooks[1].command, "b");
  EXPECT_EQ(config.hooks[1].timeout, 30s);
  EXPECT_EQ(config.hooks[1].from, own_file() + ":5");
  EXPECT_EQ(config.hooks[2].timeout, 5s);
}

TEST_F(ConfigTest, AnAgentsKeysAreReplacedOneByOne) {
  own("[agents.claude]\ncommand = [\"claude\", \"--acp\"]\nmodel = \"a\"\nenv = { A = \"1\", B = \"1\" }\n"
      "permission = \"ask\"\ntimeout = \"1h\"\nauth = \"key\"\n");
  trusted_of_session("[agents.claude]\nmodel = \"b\"\nenv = { B = \"2\" }\n[agents.mine]\ncommand = \"exec mine\"\n");
  const Config config = load();
  const ConfiguredAgent& claude = config.agents.at("claude");
  EXPECT_THAT(claude.command, ElementsAre("claude", "--acp"));
  EXPECT_EQ(claude.model, "b");
  EXPECT_THAT(claude.env, ElementsAre(Pair("A", "1"), Pair("B", "2")));
  EXPECT_EQ(claude.permission, PermissionPolicy::ask);
  EXPECT_EQ(claude.timeout, 1h);
  EXPECT_EQ(claude.from.at("model"), session_file() + ":2");
  EXPECT_EQ(claude.from.at("auth"), own_file() + ":7");
  EXPECT_THAT(config.agents.at("mine").command, ElementsAre("/bin/sh", "-c", "exec mine"));
}

TEST_F(ConfigTest, L51_WhatRunsProgramsInASessionsFileHasNoEffectUntilItIsTrusted) {
  const std::string text =
      "[task]\nshell = \"/bin/false\"\nkill_grace_period_ms = 7\n[[hooks]]\ncommand = \"c\"\n[agents.mine]\ncommand = "
      "\"x\"\n";
  of_session(text);
  Config config = load();
  EXPECT_TRUE(config.hooks.empty());
  EXPECT_TRUE(config.agents.empty());
  EXPECT_EQ(config.shell.value, "/bin/sh");
  EXPECT_EQ(config.kill_grace_period.value, 7ms) << "what runs nothing holds";
  ASSERT_EQ(config.untrusted.size(), 3U);
  EXPECT_EQ(config.untrusted[0].name, "[[hooks]]");
  EXPECT_EQ(config.untrusted[0].from, session_file() + ":4");
  EXPECT_EQ(config.untrusted[1].name, "[agents]");
  EXPECT_EQ(config.untrusted[2].name, "shell in [task]");

  trusted_of_session(text);
  config = load();
  EXPECT_EQ(config.hooks.size(), 1U);
  EXPECT_EQ(config.agents.size(), 1U);
  EXPECT_EQ(config.shell.value, "/bin/false");
  EXPECT_TRUE(config.untrusted.empty());

  of_session(text + "[[hooks]]\ncommand = \"another\"\n");
  config = load();
  EXPECT_TRUE(config.hooks.empty()) << "another file than the trusted one";
  EXPECT_EQ(config.untrusted.size(), 3U);
}

TEST_F(ConfigTest, L51_AFileThatIsNotAllowedIsNotTrusted) {
  of_session("[[hooks]]\nmatcher = \"(\"\ncommand = \"true\"\n");
  const auto trusted = trust_config(disk.path());
  ASSERT_FALSE(trusted.has_value());
  EXPECT_THAT(trusted.error().message, HasSubstr("matcher"));
}

TEST_F(ConfigTest, TheBuiltInAgentsNeedNoConfiguration) {
  const auto agents = agent_definitions(load());
  std::vector<std::string> names;
  for (const auto& [name, agent] : agents) {
    names.push_back(name);
    EXPECT_EQ(agent.name, name);
    EXPECT_EQ(agent.permission, PermissionPolicy::ask) << name;
    EXPECT_EQ(agent.timeout, 0ms) << name;
  }
  EXPECT_THAT(names, ElementsAre("claude", "codex", "copilot", "gemini", "goose", "kimi", "opencode", "qwen"));
  EXPECT_THAT(
      agents.at("claude").commands,
      ElementsAre(ElementsAre("claude-agent-acp"), ElementsAre("npx", "-y", "@agentclientprotocol/claude-agent-acp")));
}

TEST_F(ConfigTest, AConfiguredKeyChangesABuiltInAgentAndLeavesTheRest) {
  own("[agents.claude]\nmodel = \"a\"\nmode = \"plan\"\npermission = \"deny\"\ncwd = \"/w\"\nauth = \"key\"\n");
  const auto agents = agent_definitions(load());
  const AgentDefinition& claude = agents.at("claude");
  EXPECT_EQ(claude.model, "a");
  EXPECT_EQ(claude.mode, "plan");
  EXPECT_EQ(claude.permission, PermissionPolicy::deny);
  EXPECT_EQ(claude.cwd, "/w");
  EXPECT_EQ(claude.auth, "key");
  EXPECT_EQ(claude.commands.size(), 2U);
  EXPECT_EQ(agents.at("codex").model, std::nullopt);
}

TEST_F(ConfigTest, AConfiguredCommandReplacesEveryAlternative) {
  own("[agents.claude]\ncommand = [\"mine\", \"--acp\"]\n");
  EXPECT_THAT(agent_definitions(load()).at("claude").commands, ElementsAre(ElementsAre("mine", "--acp")));
}

TEST_F(ConfigTest, ANewNameJoinsTheBuiltInAgents) {
  own("[agents.mine]\ncommand = \"exec mine\"\n");
  const auto agents = agent_definitions(load());
  EXPECT_EQ(agents.size(), built_in_agents().size() + 1);
  EXPECT_EQ(agents.at("mine").name, "mine");
  EXPECT_THAT(agents.at("mine").commands, ElementsAre(ElementsAre("/bin/sh", "-c", "exec mine")));
}

TEST_F(ConfigTest, AnAgentsVariablesAreMergedOneByOne) {
  own("[agents.kimi]\nenv = { A = \"1\", B = \"1\" }\n");
  trusted_of_session("[agents.kimi]\nenv = { B = \"2\", C = \"2\" }\n");
  const auto agents = agent_definitions(load());
  EXPECT_THAT(agents.at("kimi").env, ElementsAre(Pair("A", "1"), Pair("B", "2"), Pair("C", "2")));
  EXPECT_THAT(agents.at("kimi").commands, ElementsAre(ElementsAre("kimi", "acp")));
}

TEST_F(ConfigTest, AnAgentWithoutADeadlineOfItsOwnHasTheDefault) {
  own("[task]\nagent_task_timeout_s = 60\n[agents.claude]\ntimeout = \"1h\"\n[agents.codex]\ntimeout = 0\n"
      "[agents.mine]\ncommand = \"exec mine\"\n");
  const auto agents = agent_definitions(load());
  EXPECT_EQ(agents.at("claude").timeout, 1h);
  EXPECT_EQ(agents.at("codex").timeout, 0ms) << "none, by its own word";
  EXPECT_EQ(agents.at("gemini").timeout, 60s);
  EXPECT_EQ(agents.at("mine").timeout, 60s);
}

TEST_F(ConfigTest, AManagerKnowsTheConfiguredAgents) {
  own("[agents.mine]\ncommand = \"exec mine\"\n");
  const ManagerOptions options = manager_options(load(), "/s");
  ASSERT_NE(options.agents, nullptr);
  EXPECT_TRUE(options.agents->contains("mine"));
  EXPECT_TRUE(options.agents->contains("claude"));
}

TEST_F(ConfigTest, AFileThatIsThereButCannotBeReadIsAnError) {
  testing::HandMadeSession::make(own_file());
  EXPECT_THAT(refused().message, HasSubstr("is not a file"));
  std::filesystem::remove(own_file());
  std::filesystem::create_symlink("config.toml", own_file());
  EXPECT_EQ(load().hooks.size(), 0U) << "a link that leads nowhere is no file";
}

TEST_F(ConfigTest, AFileThatAnybodyMayWriteIsNotTrusted) {
  own("[task]\n");
  std::filesystem::permissions(own_file(), std::filesystem::perms(0666));
  EXPECT_THAT(refused().message, HasSubstr("chmod o-w"));
}

TEST_F(ConfigTest, AFileMayBeALink) {
  disk.write(disk.path() + "-config/elsewhere", "[task]\nkill_grace_period_ms = 9\n");
  testing::HandMadeSession::make(disk.path() + "-config/perdure");
  std::filesystem::create_symlink("../elsewhere", own_file());
  EXPECT_EQ(load().kill_grace_period.value, 9ms);
}

TEST_F(ConfigTest, AFileLargerThanOneMebibyteIsRefused) {
  own("#" + std::string(1 << 20, 'x'));
  EXPECT_THAT(refused().message, HasSubstr("larger than 1 MiB"));
}

TEST_F(ConfigTest, AStartTakesWhatIsConfigured) {
  own("[task]\noutput_limit = \"1MiB\"\non_output_limit = \"stop\"\nleftovers = \"kill\"\nshell = \"/bin/dash\"\n"
      "kill_grace_period_ms = 7\nmax_running_tasks = 4\n");
  const Config config = load();
  const StartOptions start = default_start(config);
  EXPECT_EQ(start.output_limit, 1 << 20);
  EXPECT_EQ(start.on_output_limit, OnOutputLimit::stop);
  EXPECT_EQ(start.leftovers, Leftovers::kill);
  EXPECT_EQ(start.shell, "/bin/dash");
  EXPECT_EQ(start.grace, 7ms);
  const ManagerOptions options = manager_options(config, "/s");
  EXPECT_EQ(options.max_running_tasks, 4);
  EXPECT_EQ(options.kill_grace, 7ms);
}

// The rows of docs/reference/configuration.md, as the program has them: a failure shows the row that is to be there.
TEST_F(ConfigTest, TheDocumentationHasEveryKeyWithWhatItTakesAndItsDefault) {
  std::ifstream file(std::string(PERDURE_TESTS_DIR) + "/../docs/reference/configuration.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Config defaults;
  for (const auto& key : manager::config_keys()) {
    const std::string row =
        fmt::format("| `[{}] {}` | `{}` | {}{} | {} | `{}` |\n", key.section, key.name, key.shown(defaults).text,
                    key.meaning, key.used_here ? "" : "; not used here", key.takes(), manager::variable_of(key));
    EXPECT_TRUE(text.contains(row)) << row;
  }
  for (const auto& key : manager::kHookKeys)
    EXPECT_TRUE(text.contains(fmt::format("| `[[hooks]] {}` | {} |", key.name, key.meaning))) << key.name;
  for (const auto& key : manager::kExecutorKeys)
    EXPECT_TRUE(text.contains(fmt::format("| `[executors.NAME] {}` | {} |", key.name, key.meaning))) << key.name;
  for (const auto& key : manager::kAgentKeys)
    EXPECT_TRUE(text.contains(fmt::format("| `[agents.NAME] {}` | {} |", key.name, key.meaning))) << key.name;
}

}  // namespace
}  // namespace perdure
