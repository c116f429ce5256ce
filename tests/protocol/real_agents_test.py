"""Real agents as subagents, with a model on loopback: whole turns, permission, deadlines, SIGKILL, resume."""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
sys.path.insert(0, HERE)
import node_tools  # noqa: E402
from agent_case import AgentTest, eventually  # noqa: E402
from mcp_client import McpClient  # noqa: E402
from mock_llm import SENTENCE, MockModel  # noqa: E402
from session import PERDURE, processes_with  # noqa: E402

MODULES = os.path.join(node_tools.BUILD, 'agents', 'node_modules')


def setUpModule():
    node_tools.install()  # Node itself
    try:
        node_tools.install('agents')
    except node_tools.CannotInstall as error:
        print(f'the agents can not be had: {error}')
        sys.exit(77)


class RealAgent:
    """The same for each agent; `command`, `variables` and `config` make the difference."""
    config = ''

    def setUp(self):
        super().setUp()
        self.model = MockModel().__enter__()
        self.addCleanup(self.model.__exit__)
        home = os.path.join(self.scratch, 'home')
        os.makedirs(home)
        folders = {name: os.path.join(home, name) for name in ('XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_STATE_HOME')}
        path = os.path.dirname(node_tools.NODE) + ':' + os.environ['PATH']
        self.configure(real={'command': self.command(), 'HOME': home, **folders, 'PATH': path, **self.variables(), 'config': self.config})

    def start(self, prompt, *options, **kw):
        return self.agent(prompt, *options, agent='real', **kw)

    def completed(self, task):
        record = self.finished(task)
        self.assertEqual(record['status'], 'completed', (record, self.activity(task)))
        self.assertEqual(self.log(task).decode().strip(), SENTENCE)
        return record

    def made(self):
        with open(os.path.join(self.work, 'made.txt'), encoding='ascii') as f:
            return f.read()

    def test_a_turn_with_a_tool_call_and_a_question_of_permission(self):
        task = self.start('RUN_SHELL please', '--owner', 'me')
        question = eventually(lambda: self.json('list', '--kind', 'question'), 'it asks', 90)[0]['taskId']
        shown = self.json('show', question)
        self.assertIn('made.txt', shown['questions'][0]['question'])
        self.assertFalse(os.path.exists(os.path.join(self.work, 'made.txt')), 'it ran before it was allowed to')
        self.perdure('answer', question, shown['questions'][0]['options'][0]['label'], check=0)
        record = self.completed(task)
        self.assertEqual(self.made(), 'from-tool\n')
        self.assertEqual([e['outcome'] for e in self.activity(task, 'permission')], ['allow_once'])
        self.assertIn('tool_call', [e['type'] for e in self.activity(task)])
        self.assertNotEqual(record['agentId'], task)
        eventually(lambda: not processes_with('@' + self.session), 'nothing of it stays, runners included')

    def test_a_policy_decides_too(self):
        self.completed(self.start('RUN_SHELL please', '--permission', 'allow'))
        self.assertEqual(self.made(), 'from-tool\n')

    def test_a_deadline_in_mid_turn_and_resuming_in_a_new_process(self):
        task = self.start('BE_SLOW_120')
        self.await_activity(task, 'prompt')
        agent_id = self.agent_id(task)
        self.perdure('extend', task, '--timeout', '1s', check=0)
        record = self.finished(task)
        self.assertEqual((record['status'], record['agentId']), ('timed_out', agent_id))
        self.assertEqual(processes_with(f'PERDURE_TASK_ID={task}'), [])
        again = self.agent('BE_QUICK', '--resume', agent_id, agent=None)
        self.assertEqual(self.completed(again)['agentId'], agent_id)

    def test_the_turn_is_recorded_when_the_perdure_that_started_it_was_killed(self):
        starter = subprocess.Popen([PERDURE, '--session', self.session, 'agent', '--agent', 'real', '--cwd', self.work, '--wait', 'BE_SLOW_3'],
                                   stdout=subprocess.PIPE, text=True)
        task = starter.stdout.readline().strip()
        self.await_activity(task, 'prompt')
        starter.kill()
        starter.communicate()
        agent_id = self.completed(task)['agentId']
        again = self.agent('BE_QUICK', '--resume', agent_id, agent=None)
        self.assertEqual(self.completed(again)['agentId'], agent_id)

    def test_the_turn_is_recorded_when_the_mcp_server_that_waits_for_it_was_killed(self):
        with McpClient(self.session, '--owner', 'me', cwd=self.work) as client:
            client.initialize()
            client.begin('tools/call', {'name': 'Agent', 'arguments': {'prompt': 'BE_SLOW_5', 'description': 'x', 'subagent_type': 'real'}})
            task = eventually(lambda: self.json('list', '--kind', 'agent'), 'it runs')[0]['taskId']
            self.await_activity(task, 'prompt')
            client.process.kill()
        self.completed(task)
        self.assertEqual([n['source_id'] for n in self.json('notifications', '--owner', 'me', '--format', 'json')], [task])


class Claude(RealAgent, AgentTest):
    config = 'mode = "default"'

    def command(self):
        return [node_tools.NODE, os.path.join(MODULES, '@agentclientprotocol', 'claude-agent-acp', 'dist', 'index.js')]

    def variables(self):
        return {'IS_SANDBOX': '1', 'ANTHROPIC_BASE_URL': self.model.url, 'ANTHROPIC_API_KEY': 'dummy'}


class Qwen(RealAgent, AgentTest):
    def command(self):
        return [node_tools.NODE, os.path.join(MODULES, '@qwen-code', 'qwen-code', 'cli.js'), '--acp', '--auth-type=openai']

    def variables(self):
        return {'OPENAI_API_KEY': 'dummy', 'OPENAI_BASE_URL': self.model.url + '/v1', 'OPENAI_MODEL': 'm'}


class OpenCode(RealAgent, AgentTest):
    def command(self):
        return [os.path.join(MODULES, 'opencode-linux-x64', 'bin', 'opencode'), 'acp']

    def variables(self):
        path = os.path.join(self.scratch, 'opencode.json')
        provider = {'npm': '@ai-sdk/openai-compatible', 'name': 'Mock', 'options': {'baseURL': self.model.url + '/v1', 'apiKey': 'dummy'},
                    'models': {'m': {'name': 'm'}}}
        with open(path, 'w', encoding='utf-8') as f:
            json.dump({'provider': {'mock': provider}, 'model': 'mock/m', 'permission': {'bash': 'ask'}, 'autoupdate': False}, f)
        return {'OPENCODE_CONFIG': path}

    def test_what_it_starts_in_the_background_is_a_task_of_its_own_and_ends_with_it(self):
        task = self.start('RUN_PERDURE please', '--permission', 'allow')
        record = self.completed(task)
        commands = self.json('list', '--all', '--kind', 'process')
        self.assertEqual([c['owner'] for c in commands], [record['agentId']])
        self.assertEqual(self.finished(commands[0]['taskId'])['status'], 'killed')
        eventually(lambda: not processes_with('@' + self.session), 'nothing of it stays, runners included')


if __name__ == '__main__':
    unittest.main()
