"""`perdure hook claude-code`: what the hooks of Claude Code get, and that news comes once; docs/reference/mcp.md."""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from mcp_client import McpClient, modern_meta  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402


class ClaudeCode(SessionTest):
    def setUp(self):
        super().setUp()
        self.project = os.path.join(self.scratch, 'project')
        os.makedirs(os.path.join(self.project, '.git'))
        os.makedirs(os.path.join(self.project, 'below'))

    def hook(self, *args, **env):
        """Runs it as Claude Code does: in some folder of the project, with JSON on its input."""
        told = {'session_id': 'x', 'cwd': os.path.join(self.project, 'below'), 'hook_event_name': 'x', 'stop_hook_active': False}
        environment = {name: value for name, value in os.environ.items() if name != 'CLAUDE_PROJECT_DIR'}
        done = subprocess.run([PERDURE, '--session', self.session, 'hook', 'claude-code', *args], input=json.dumps(told), text=True,
                              capture_output=True, timeout=120, check=False, env={**environment, **env})
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout

    def start(self, command):
        """A task that the client of that name started over MCP."""
        with McpClient(self.session, cwd=self.project) as client:
            client.initialize(name='claude-code')
            return client.call('Bash', command=command, run_in_background=True, description='build it')['structuredContent']['task_id']

    def ended(self, command='exit 3'):
        # Not before its start was told: an end that the tool itself tells of is no news any more (L33).
        go = os.path.join(self.scratch, 'ended')
        task = self.start(f'until test -e {go}; do sleep 0.01; done; {command}')
        with open(go, 'w', encoding='utf-8'):
            pass
        self.perdure('wait', task)
        os.unlink(go)
        return task

    def test_without_news_they_print_nothing(self):
        for event in ('stop', 'prompt', 'session-start', 'precompact'):
            self.assertEqual(self.hook(event), '')
        self.assertFalse(os.path.exists(self.session))

    def test_L32_an_ended_task_continues_a_turn_once(self):
        task = self.ended()
        told = json.loads(self.hook('stop'))
        self.assertEqual(told['decision'], 'block')
        self.assertIn(task, told['reason'])
        self.assertIn('exit code 3', told['reason'])
        self.assertEqual(self.hook('stop'), '')
        self.assertEqual(self.record(task)['notifiedVia'], 'hook')

    def test_stop_can_wait_for_the_next_end(self):
        self.assertEqual(self.hook('stop', '--wait', '50ms'), '')
        go = os.path.join(self.scratch, 'go')
        task = self.start(f'until test -e {go}; do sleep 0.01; done')
        with subprocess.Popen([PERDURE, '--session', self.session, 'hook', 'claude-code', 'stop', '--wait', '60s', '--owner',
                               f'claude-code@{self.project}'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as waiting:
            open(go, 'w').close()
            self.assertIn(task, json.loads(waiting.stdout.read())['reason'])

    def rewake(self, *args, **env):
        environment = {name: value for name, value in os.environ.items() if not name.startswith('CLAUDE_')}
        waiter = subprocess.Popen([PERDURE, '--session', self.session, 'hook', 'claude-code', 'rewake', '--owner', f'claude-code@{self.project}',
                                   *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env={**environment, **env})
        self.addCleanup(lambda: (waiter.kill(), waiter.communicate()))
        return waiter

    def test_A6_stop_and_rewake_return_at_once_when_nothing_runs(self):
        for start in (lambda: self.assertEqual(self.hook('stop', '--wait', '60s'), ''),
                      lambda: self.assertEqual(self.rewake().wait(timeout=30), 0)):
            begun = time.monotonic()
            start()
            self.assertLess(time.monotonic() - begun, 10)
        ended = self.ended()
        self.assertIn(ended, self.hook('stop', '--wait', '60s'))
        # A task of somebody else keeps nobody.
        other = self.sh('sleep 300', '--owner', 'other')
        begun = time.monotonic()
        self.assertEqual(self.hook('stop', '--wait', '60s'), '')
        self.assertLess(time.monotonic() - begun, 10)
        self.perdure('stop', other, check=0)

    def test_A7_rewake_tells_the_next_end_on_standard_error_with_status_2_once(self):
        go = os.path.join(self.scratch, 'go')
        task = self.start(f'until test -e {go}; do sleep 0.01; done; echo broken; exit 3')
        waiter = self.rewake()
        def is_waiting():
            with open('/proc/net/unix', encoding='utf-8') as f:
                return '@perdure-rewake-' in f.read()
        eventually(is_waiting, 'the first waits')
        self.assertEqual(self.rewake().wait(timeout=30), 0, 'each other one leaves')
        self.assertIsNone(waiter.poll())
        with open(go, 'w', encoding='utf-8'):
            pass
        out, err = waiter.communicate(timeout=60)
        self.assertEqual((waiter.returncode, out), (2, ''))
        self.assertIn(task, err)
        self.assertIn('exit code 3', err)
        self.assertIn('broken', err)
        self.assertIn('mcp__perdure__TaskOutput', err)
        self.assertEqual(self.record(task)['notifiedVia'], 'hook')
        self.assertEqual(self.rewake().wait(timeout=30), 0)
        self.assertEqual(self.hook('stop'), '')

    def test_A6_rewake_waits_for_nothing_where_nobody_attends_the_session(self):
        # `claude -p` does not end before its hooks have: setup's hook would hold it as long as a task runs.
        task = self.start('sleep 300')
        for unattended in ({'CLAUDE_CODE_SESSION_ATTENDED': '0'}, {'CLAUDE_CODE_ENTRYPOINT': 'sdk-cli'}):
            begun = time.monotonic()
            self.assertEqual(self.rewake(**unattended).wait(timeout=60), 0)
            self.assertLess(time.monotonic() - begun, 20)
        self.perdure('stop', task, check=0)
        self.ended()
        self.assertEqual(self.rewake(CLAUDE_CODE_SESSION_ATTENDED='0').wait(timeout=60), 2, 'news that is there is told')

    def test_A7_news_is_kept_where_the_client_of_rewake_has_gone(self):
        go, said = os.path.join(self.scratch, 'go'), os.path.join(self.scratch, 'said')
        task = self.start(f'until test -e {go}; do sleep 0.01; done; exit 3')
        client = subprocess.Popen(['/bin/sh', '-c', f'{PERDURE} --session {self.session} hook claude-code rewake --owner claude-code@{self.project} '
                                                    f'2>{said} >/dev/null </dev/null & echo $!; wait'], stdout=subprocess.PIPE, text=True)
        pid = int(client.stdout.readline())

        def is_waiting():
            with open('/proc/net/unix', encoding='utf-8') as f:
                return '@perdure-rewake-' in f.read()
        eventually(is_waiting, 'it waits')
        client.kill()
        client.communicate(timeout=60)
        with open(go, 'w', encoding='utf-8'):
            pass

        def has_ended():
            try:
                with open(f'/proc/{pid}/stat', encoding='ascii') as f:
                    return f.read().split()[2] == 'Z'
            except FileNotFoundError:
                return True
        eventually(has_ended, 'it leaves')
        self.assertEqual(os.stat(said).st_size, 0)
        self.assertIn(task, self.hook('stop'))

    def test_A8_what_the_client_hears_by_polling_is_left_to_that_for_half_a_minute(self):
        client = McpClient(self.session, cwd=self.project)
        self.addCleanup(client.__exit__)
        start = {'name': 'Bash', 'arguments': {'command': 'exit 3', 'run_in_background': True, 'description': 'x'},
                 '_meta': modern_meta(name='claude-code')}
        told, untold = (client.result('tools/call', start)['taskId'] for _ in range(2))
        for task in (told, untold):
            self.perdure('wait', task)
            self.assertEqual(self.record(task)['deliveredBy'], 'tasks')
        for event in ('stop', 'prompt', 'session-start'):
            self.assertEqual(self.hook(event), '', 'tasks/get tells it')
        client.result('tasks/get', {'taskId': told, '_meta': modern_meta(name='claude-code')})
        eventually(lambda: 'notifiedAt' in self.record(told), 'it is acknowledged')
        # Nobody has polled the other one for so long.
        record = self.record(untold)
        with open(self.path(untold), 'w', encoding='utf-8') as f:
            json.dump({**record, 'startedAt': record['startedAt'] - 40_000, 'endedAt': record['endedAt'] - 31_000}, f)
        news = self.hook('prompt')
        self.assertIn(untold, news)
        self.assertNotIn(told, news)

    def test_L32_the_prompt_carries_the_news(self):
        task = self.ended()
        told = json.loads(self.hook('prompt', CLAUDE_PROJECT_DIR=self.project))['hookSpecificOutput']
        self.assertEqual(told['hookEventName'], 'UserPromptSubmit')
        self.assertIn(task, told['additionalContext'])
        self.assertEqual(self.hook('prompt'), '')

    def test_a_start_tells_what_runs_and_what_has_ended(self):
        running, ended = self.start('sleep 300'), self.ended()
        told = json.loads(self.hook('session-start'))['hookSpecificOutput']
        self.assertEqual(told['hookEventName'], 'SessionStart')
        for text in (running, ended, 'build it'):
            self.assertIn(text, told['additionalContext'])
        again = json.loads(self.hook('session-start'))['hookSpecificOutput']['additionalContext']
        self.assertIn(running, again)
        self.assertNotIn(ended, again)
        self.assertIn(running, self.hook('precompact'))
        self.perdure('stop', running, check=0)

    def test_L43_other_projects_and_clients_hear_nothing(self):
        self.ended()
        self.assertEqual(self.hook('stop', CLAUDE_PROJECT_DIR=self.scratch), '')
        self.assertEqual(self.hook('stop', '--owner', 'other'), '')
        eventually(lambda: self.hook('stop') != '', 'its own hook hears it')

    def test_wrong_usage(self):
        for args in (['claude-code'], ['claude-code', 'no-such'], ['claude-code', 'prompt', '--wait', '1s'], ['no-such']):
            self.perdure('hook', *args, check=2)


if __name__ == '__main__':
    unittest.main()
