#!/usr/bin/env python3
"""Configuration, as a person meets it: files, variables, options, and what is wrong with them.

PERDURE_BIN=build/dev/bin python3 tests/e2e/config_test.py
"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import SessionTest, eventually  # noqa: E402


class ConfigTest(SessionTest):
    def own_file(self):
        return os.path.join(self.config_home, 'perdure', 'config.toml')

    def own(self, text):
        os.makedirs(os.path.dirname(self.own_file()), exist_ok=True)
        with open(self.own_file(), 'w', encoding='utf-8') as f:
            f.write(text)

    def of_session(self, text):
        os.makedirs(self.session, 0o700, exist_ok=True)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write(text)


class Precedence(ConfigTest):
    def grace(self, **env):
        shown = self.json('config', env=env)['kill_grace_period_ms']
        return shown['value'], shown['source']

    def test_file_session_environment_each_beats_what_is_before_it(self):
        self.assertEqual(self.grace(), (5000, 'default'))
        self.own('[background]\nkill_grace_period_ms = 1\n')
        self.assertEqual(self.grace(), (1, self.own_file() + ':2'))
        self.own('[background]\nkill_grace_period_ms = 1\n[task]\nkill_grace_period_ms = 2\n')
        self.assertEqual(self.grace(), (2, self.own_file() + ':4'))
        self.of_session('\n[background]\nkill_grace_period_ms = 3\n')
        self.assertEqual(self.grace(), (3, os.path.join(self.session, 'perdure.toml:3')))
        self.assertEqual(self.grace(PERDURE_KILL_GRACE_PERIOD_MS='4'), (4, 'PERDURE_KILL_GRACE_PERIOD_MS'))

    def test_an_option_beats_the_environment(self):
        env = {'PERDURE_OUTPUT_LIMIT': '4KiB', 'PERDURE_ON_OUTPUT_LIMIT': 'stop'}
        stopped = self.sh('while :; do echo line; done', env=env)
        self.assertEqual(self.finished(stopped)['status'], 'killed')
        self.assertEqual(len(self.log(stopped)), 4096)
        whole = self.sh('seq 5000', '--output-limit', '1MiB', '--on-output-limit', 'truncate', env=env)
        self.assertEqual(self.finished(whole)['status'], 'completed')
        self.assertEqual(len(self.log(whole).splitlines()), 5000)

    def test_looking_at_the_configuration_makes_nothing(self):
        self.perdure('config', check=0)
        self.assertFalse(os.path.exists(self.session))
        self.assertFalse(os.path.exists(self.config_home))

    def test_what_only_an_agents_own_loop_uses_is_shown_as_not_used(self):
        self.own('[background]\nprint_background_mode = "drain"\n[subagent]\ntimeout_ms = 5\n')
        shown = self.json('config')
        for name in ('print_background_mode', 'print_wait_ceiling_s', 'print_max_turns', 'subagent.timeout_ms'):
            self.assertIs(shown[name]['used'], False, name)
        self.assertEqual(shown['subagent.timeout_ms']['value'], 5)
        self.assertIn('not used here', self.perdure('config', check=0).stdout)

    def test_hooks_and_agents_are_shown_but_not_what_their_variables_hold(self):
        self.own('[[hooks]]\ncommand = "echo"\n[agents.mine]\ncommand = ["mine", "a b"]\nenv = { KEY = "secret" }\n')
        shown = self.json('config')
        self.assertEqual(shown['hooks.1.command']['value'], 'echo')
        self.assertEqual(shown['agents.mine.command'], {'value': "mine 'a b'", 'source': self.own_file() + ':4', 'used': True})
        self.assertIn('agents.mine.env.KEY', shown)
        self.assertNotIn('secret', json.dumps(shown) + self.perdure('config').stdout)


class InForce(ConfigTest):
    def test_L04_a_cap_from_a_file_is_enforced_and_the_environment_beats_it(self):
        self.of_session('[task]\nmax_running_tasks = 1\n')
        self.sh('sleep 300')
        refused = self.perdure('--json', 'run', '-c', 'true', check=1)
        self.assertEqual(json.loads(refused.stdout)['error']['code'], 'task.limit_exceeded')
        self.sh('true', env={'PERDURE_MAX_RUNNING_TASKS': '2'})
        self.sh('true', env={'PERDURE_MAX_RUNNING_TASKS': 'none'})
        self.perdure('stop', '--all', check=0)

    def test_L12_the_grace_of_a_file_is_the_tasks(self):
        self.own('[task]\nkill_grace_period_ms = 0\n')
        task = self.sh("trap '' TERM; echo ready; while :; do sleep 0.1; done")
        self.perdure('wait', task, '--match', 'ready', check=0)
        self.perdure('stop', task, check=0)
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_L36_telemetry_is_written_where_a_file_says(self):
        told = os.path.join(self.scratch, 'telemetry')
        self.own(f'[telemetry]\nfile = "{told}"\n')
        self.sh('true')

        def written():
            with open(told, encoding='utf-8') as f:
                return 'background_task_completed' in f.read()
        # The runner tells it after its commit, which is what a wait waits for.
        eventually(lambda: os.path.exists(told) and written(), 'the end is told')

    def test_the_shell_and_the_leftovers_of_a_file_are_the_tasks(self):
        shell = os.path.join(self.scratch, 'shell')
        with open(shell, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\necho "mine: $2"\nsleep 300 &\n')
        os.chmod(shell, 0o755)
        self.own(f'[task]\nshell = "{shell}"\nleftovers = "kill"\nkill_grace_period_ms = 0\n')
        task = self.sh('a line')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(self.log(task), b'mine: a line\n')


class Wrong(ConfigTest):
    def test_a_key_that_is_not_known_starts_nothing_and_is_named_with_file_and_line(self):
        self.own('\n[task]\nmax_runing_tasks = 1\n')
        done = self.perdure('--json', 'run', '-c', 'true', check=2)
        error = json.loads(done.stdout)['error']
        self.assertEqual(error['code'], 'config.invalid')
        self.assertEqual(error['details'], {'file': self.own_file(), 'line': '3', 'key': 'max_runing_tasks'})
        self.assertIn(self.own_file() + ':3: max_runing_tasks', done.stderr)
        self.assertIn("did you mean 'max_running_tasks'", done.stderr)
        self.assertFalse(os.path.exists(self.session))
        self.perdure('config', check=2)

    def test_a_variable_that_is_not_allowed_is_named(self):
        for name, text in (('PERDURE_KILL_GRACE_PERIOD_MS', '-1'), ('PERDURE_KEEP_ALIVE_ON_EXIT', 'perhaps'),
                           ('PERDURE_RETENTION_KEEP', '0'), ('PERDURE_OUTPUT_LIMIT', 'much'), ('PERDURE_SHELL', 'sh')):
            done = self.perdure('--json', 'config', env={name: text}, check=2)
            error = json.loads(done.stdout)['error']
            self.assertEqual(error['code'], 'config.invalid')
            self.assertIn(name, error['message'])
            self.perdure('config', env={name: ''}, check=0)

    def test_a_slip_in_a_file_keeps_nobody_from_ending_a_task(self):
        task = self.sh('sleep 300')
        self.of_session('[task]\nmax_running_tasks = maybe\n')
        self.perdure('list', check=2)
        doctor = self.json('doctor', check=1)
        self.assertEqual([(f['level'], f['what']) for f in doctor][0], ('problem', 'configuration'))
        self.assertIn('perdure.toml:2', doctor[0]['text'])
        done = self.perdure('stop', task, check=0)
        self.assertIn('perdure.toml:2', done.stderr)
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_what_a_file_says_does_nothing_to_a_terminal(self):
        self.own('[task]\n"\\u001b[31mred" = 1\n')
        done = self.perdure('config', check=2)
        self.assertNotIn('\x1b', done.stderr)


if __name__ == '__main__':
    unittest.main()
