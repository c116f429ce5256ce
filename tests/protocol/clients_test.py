"""The official clients list and call every tool: both SDKs, the Inspector in both eras."""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
sys.path.insert(0, HERE)
import node_tools  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402

TOOLS = {'Bash', 'Agent', 'TaskList', 'TaskOutput', 'TaskStop', 'WaitFor', 'TaskDetach', 'TaskWrite', 'AskUserQuestion'}


def setUpModule():
    node_tools.install()


class Clients(SessionTest):
    def server(self):
        return [PERDURE, '--session', self.session, 'mcp', '--owner', 'clients']

    def sdk(self, name, calls, *more):
        done = node_tools.node(node_tools.script(f'{name}.mjs'), json.dumps(self.server()), json.dumps(calls), *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def every_tool(self, call):
        """call(tool, arguments) -> result, for each tool."""
        done = call('Bash', {'command': 'echo hi'})
        self.assertEqual(done['structuredContent']['output'], 'hi\n')
        task = self.sh('echo out; sleep 300', '--owner', 'clients')
        self.assertEqual(call('TaskList', {})['structuredContent']['tasks'][0]['task_id'], task)
        waited = call('WaitFor', {'timeout': 60, 'task_id': task, 'match': 'out'})
        self.assertTrue(waited['structuredContent']['matched'])
        self.assertEqual(call('TaskOutput', {'task_id': task})['structuredContent']['output'], 'out\n')
        self.assertTrue(call('TaskDetach', {'task_id': task})['structuredContent']['detached'])
        self.assertTrue(call('TaskWrite', {'task_id': task, 'text': 'x'})['isError'], 'it has no input')
        self.assertEqual(call('TaskStop', {'task_id': task})['structuredContent']['status'], 'killed')
        self.assertTrue(call('TaskOutput', {'task_id': 'bash-00000000'})['isError'])

    def test_sdk_v1(self):
        self.assertLessEqual(TOOLS, {tool['name'] for tool in self.sdk('sdk_v1', [])['tools']})
        self.every_tool(lambda tool, arguments: self.sdk('sdk_v1', [[tool, arguments]])['results'][0])

    def test_sdk_v1_runs_a_call_as_a_task(self):
        messages = self.sdk('sdk_v1', [], 'echo task')['task']
        self.assertEqual(messages[0]['type'], 'taskCreated')
        self.assertEqual(messages[-1]['type'], 'result')
        self.assertEqual(messages[-1]['result']['structuredContent']['output'], 'task\n')

    def test_sdk_v2_in_both_eras(self):
        for mode, version in (('legacy', '2025-11-25'), ('auto', '2026-07-28')):
            with self.subTest(mode):
                listed = self.sdk('sdk_v2', [], mode)
                self.assertLessEqual(TOOLS, {tool['name'] for tool in listed['tools']})
                self.assertEqual(listed['era'], version)
                self.every_tool(lambda tool, arguments, m=mode: self.sdk('sdk_v2', [[tool, arguments]], m)['results'][0])

    def inspector(self, era, *options):
        command, *args = self.server()
        config = os.path.join(self.scratch, 'inspector.json')
        with open(config, 'w', encoding='utf-8') as f:
            json.dump({'mcpServers': {'perdure': {'command': command, 'args': args}}}, f)
        done = node_tools.node(os.path.join(node_tools.MODULES, '.bin', 'mcp-inspector'), '--cli', '--protocol-era', era,
                               '--format', 'json', '--config', config, '--server', 'perdure', *options,
                               env={'HOME': self.scratch, 'MCP_INSPECTOR_SECRET_STORE': 'memory'})
        answer = json.loads(done.stdout)
        return answer.get('result', answer)

    def test_inspector_in_both_eras(self):
        for era in ('legacy', 'modern'):
            with self.subTest(era):
                listed = self.inspector(era, '--method', 'tools/list', '--strict')
                self.assertLessEqual(TOOLS, {tool['name'] for tool in listed['tools']})
                self.every_tool(lambda tool, arguments, e=era: self.inspector(
                    e, '--method', 'tools/call', '--tool-name', tool, '--tool-args-json', json.dumps(arguments)))

    def test_inspector_runs_a_task_of_the_extension_to_its_end(self):
        result = self.inspector('modern', '--method', 'tools/call', '--tool-name', 'Bash', '--tool-args-json', json.dumps(
            {'command': 'echo task', 'run_in_background': True, 'description': 'x'}))
        self.assertEqual(result['structuredContent']['output'], 'task\n')

    def test_a_task_of_one_client_is_read_to_its_end_by_another_after_its_server_was_killed(self):
        go = os.path.join(self.scratch, 'go')
        script = node_tools.script('hold.mjs')
        line = f'echo one; until test -e {go}; do sleep 0.01; done; echo two'
        with subprocess.Popen([node_tools.NODE, script, json.dumps(self.server()), line], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, cwd=node_tools.FOLDER) as holder:
            told = json.loads(holder.stdout.readline())
            os.kill(told['server'], 9)
            holder.kill()
        with open(go, 'w', encoding='ascii'):
            pass
        result = self.sdk('sdk_v2', [['WaitFor', {'timeout': 60, 'task_id': told['task']}]], 'auto')['results'][0]
        self.assertEqual(result['structuredContent']['finished'][0]['output'], 'one\ntwo\n')
        eventually(lambda: self.record(told['task'])['status'] == 'completed', 'it is committed')


if __name__ == '__main__':
    unittest.main()
