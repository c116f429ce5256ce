"""`perdure agents`: which there are, which are installed, and what those answer."""
import os
import shlex
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import COMMAND, AgentTest  # noqa: E402
from session import processes_with  # noqa: E402

BUILT_IN = {'claude', 'codex', 'gemini', 'kimi', 'opencode', 'qwen', 'copilot', 'goose'}


class Agents(AgentTest):
    def setUp(self):
        super().setUp()
        self.bin = os.path.join(self.scratch, 'bin')
        os.makedirs(self.bin)

    def agents(self, *options):
        """By name; of what is installed on this machine nothing is found."""
        listed = self.json('agents', *options, env={'PATH': self.bin})
        return {agent['name']: agent for agent in listed}

    def program(self, name, script):
        path = os.path.join(self.bin, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(f'#!/bin/sh\n{script}\n')
        os.chmod(path, 0o755)

    def test_every_one_is_there_with_what_it_answers(self):
        self.configure(mock={}, loads={'ACP_CAPS': 'load'}, locked={'ACP_AUTH': 'key', 'config': 'permission = "deny"'})
        agents = self.agents()
        self.assertEqual(set(agents), BUILT_IN | {'mock', 'loads', 'locked'})
        self.assertEqual([agents['goose'][key] for key in ('installed', 'program', 'answers', 'command')], [False, None, None, 'goose acp'])
        mock = agents['mock']
        self.assertEqual([mock[key] for key in ('installed', 'answers', 'protocolVersion', 'agentName', 'agentVersion', 'resume', 'load')],
                         [True, True, 1, 'scripted', '1.0', True, True])
        self.assertEqual((mock['program'], mock['throughNpx'], mock['authMethods']), (sys.executable, False, []))
        self.assertEqual((agents['loads']['resume'], agents['loads']['load']), (False, True))
        self.assertEqual(agents['locked']['authMethods'], ['key'])
        table = self.perdure('agents', check=0, env={'PATH': self.bin}).stdout.splitlines()
        self.assertEqual(table[0].split(), ['NAME', 'INSTALLED', 'RESUMES', 'PERMISSION', 'COMMAND', 'ANSWERS'])
        rows = {row.split()[0]: row.split()[1:4] for row in table[1:]}
        self.assertEqual([rows[name] for name in ('mock', 'loads', 'locked', 'kimi')],
                         [['yes', 'resume', 'ask'], ['yes', 'load', 'ask'], ['yes', 'resume', 'deny'], ['no', '-', 'ask']])
        self.assertEqual(os.listdir(self.session), ['perdure.toml'], 'looking makes nothing')

    def test_nothing_is_started_where_that_is_not_wanted(self):
        mock = self.agents('--no-ask')['mock']
        self.assertEqual((mock['installed'], mock['answers']), (True, None))
        self.assertFalse(os.path.exists(self.marker))

    def test_nothing_is_downloaded_by_looking(self):
        said = os.path.join(self.scratch, 'npx-arguments')
        self.program('npx', f'echo "$@" >> {said}; exit 1')
        claude = self.agents()['claude']
        self.assertEqual((claude['installed'], claude['throughNpx'], claude['answers']), (True, True, False))
        self.assertEqual(claude['command'], 'npx -y @agentclientprotocol/claude-agent-acp')
        with open(said, encoding='utf-8') as f:
            self.assertEqual(set(f.read().splitlines()), {'--no @agentclientprotocol/claude-agent-acp', '--no @agentclientprotocol/codex-acp'})

    def test_one_that_is_installed_goes_before_one_that_would_be_fetched(self):
        self.program('npx', 'exit 1')
        self.program('claude-agent-acp', 'exec ' + shlex.join(COMMAND))
        claude = self.agents()['claude']
        self.assertEqual((claude['command'], claude['throughNpx'], claude['answers']), ('claude-agent-acp', False, True))

    def test_what_is_wrong_with_one_is_said_and_keeps_no_other_waiting(self):
        self.configure(mock={}, old={'ACP_VERSION': '7'}, hangs={'ACP_HANG': 'initialize'}, hangs_too={'ACP_HANG': 'initialize'},
                       crashes={'command': ['/bin/sh', '-c', 'echo no such key >&2; exit 3']}, talks={'command': ['/bin/echo', 'Hello!']})
        begun = time.monotonic()
        agents = self.agents()
        self.assertLess(time.monotonic() - begun, 34, 'they are asked at the same time')
        self.assertTrue(agents['mock']['answers'])
        for name, said in (('old', 'version 7'), ('hangs', 'within 21 s'), ('hangs_too', 'within 21 s'), ('crashes', 'no such key'), ('talks', 'Hello!')):
            self.assertFalse(agents[name]['answers'], agents[name])
            self.assertIn(said, agents[name]['error'])
        self.assertEqual(processes_with(self.store), [], 'nobody stays')

    def test_A12_three_are_asked_at_a_time(self):
        log = os.path.join(self.scratch, 'asked')
        pause = shutil.which('sleep')
        script = f'echo + >> {log}; {pause} 0.4; echo - >> {log}; exec ' + shlex.join(COMMAND)
        names = [f'mock{n}' for n in range(8)]
        self.configure(**{name: {'command': ['/bin/sh', '-c', script]} for name in names})
        agents = self.agents()
        self.assertEqual([agents[name]['answers'] for name in names], [True] * 8)
        with open(log, encoding='ascii') as f:
            marks = f.read().split()
        together = [marks[:n].count('+') - marks[:n].count('-') for n in range(len(marks) + 1)]
        self.assertEqual(max(together), 3, marks)

    def test_what_one_leaves_with_its_streams_open_keeps_nobody_waiting(self):
        left = os.path.join(self.scratch, 'left')
        script = f'{shutil.which("setsid")} {shutil.which("sleep")} 100 & echo $! > {left}; exec ' + shlex.join(COMMAND)
        self.configure(mock={'command': ['/bin/sh', '-c', script]})
        begun = time.monotonic()
        mock = self.agents()['mock']
        took = time.monotonic() - begun
        with open(left, encoding='ascii') as f:
            os.kill(int(f.read()), signal.SIGKILL)
        self.assertTrue(mock['answers'], mock)
        self.assertLess(took, 20)


if __name__ == '__main__':
    unittest.main()
