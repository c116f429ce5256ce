"""Hooks, through the program: the commands of `run --on-end`, told by the runner or by whoever settles a task."""
import json
import os
import shlex
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402


class HookTest(SessionTest):
    def tearDown(self):
        for pid in processes_with('PERDURE_SESSION=' + self.session):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended by itself
        super().tearDown()

    def file(self, name):
        return os.path.join(self.scratch, name)

    def keep(self, name='told'):
        path = shlex.quote(self.file(name))
        return f'cat > {path}.part; mv {path}.part {path}'

    def told(self, name='told'):
        path = self.file(name)
        eventually(lambda: os.path.exists(path), f'the hook wrote {name}')
        with open(path, encoding='utf-8') as f:
            return json.load(f)

    def log(self, task):
        try:
            with open(os.path.join(self.tasks, task, 'hooks.log'), encoding='utf-8') as f:
                return f.read()
        except FileNotFoundError:
            return ''


class OnEnd(HookTest):
    def test_L34_every_command_is_told_with_no_manager_alive(self):
        manager = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--wait', '--on-end', self.keep('a'), '--on-end',
                                    self.keep('b'), '-c', 'sleep 0.3; exit 5'], stdout=subprocess.PIPE, text=True)
        task = manager.stdout.readline().strip()
        manager.kill()
        manager.wait()
        manager.stdout.close()
        for name in 'ab':
            told = self.told(name)
            self.assertEqual((told['event'], told['task']['taskId'], told['task']['exitCode']), ('task.failed', task, 5))
        self.assertEqual(told['task'], self.record(task))
        self.assertEqual(self.record(task)['onEnd'], [self.keep('a'), self.keep('b')])

    def test_equal_commands_run_once(self):
        task = self.sh('true', '--on-end', 'echo told', '--on-end', 'echo told')
        eventually(lambda: 'told\n' in self.log(task), 'it was told')
        eventually(lambda: not processes_with('@' + self.session), 'all is over')
        self.assertEqual(self.log(task).count('echo told]'), 1)

    def test_text_of_any_kind_arrives(self):
        folder = self.file('a "quoted" ☃ folder')
        os.mkdir(folder)
        self.sh('true', '--cwd', folder, '--description', 'say "☃"\\', '--on-end', self.keep(),
                session=os.path.join(folder, 'session'))
        told = self.told()
        self.assertEqual((told['cwd'], told['session']), (folder, os.path.join(folder, 'session')))
        self.assertEqual(told['notification']['title'], 'say "☃"\\: completed')
        eventually(lambda: not processes_with('@' + folder), 'all is over')

    def test_an_empty_command_is_bad_usage_and_starts_nothing(self):
        self.perdure('run', '--on-end', '', '-c', 'true', check=2)
        self.assertFalse(os.path.exists(self.session))

    def test_a_task_that_a_hook_starts_is_a_task_of_its_own(self):
        started = shlex.quote(self.file('started'))
        line = f'{shlex.quote(PERDURE)} run -c "sleep 300" > {started}.part; mv {started}.part {started}'
        task = self.sh('true', '--on-end', line)
        eventually(lambda: os.path.exists(self.file('started')), 'the hook started a task')
        eventually(lambda: 'exit 0 after' in self.log(task), 'the hook has ended')
        with open(self.file('started'), encoding='utf-8') as f:
            other = f.read().strip()
        self.assertEqual(self.json('show', other)['status'], 'running')
        self.perdure('stop', other, check=0)

    def test_an_ended_task_can_be_removed_while_its_hook_runs(self):
        go = shlex.quote(self.file('go'))
        task = self.sh('true', '--on-end', f'until [ -e {go} ]; do sleep 0.02; done; {self.keep()}')
        self.perdure('wait', task, check=0)
        # Whoever waits may see the record a moment before the runner lets go of its lock.
        eventually(lambda: self.perdure('remove', task).returncode == 0, 'the runner has let go')
        self.assertEqual(self.task_names(), [])
        open(self.file('go'), 'w', encoding='utf-8').close()
        self.assertEqual(self.told()['task']['taskId'], task)
        eventually(lambda: not processes_with('@' + self.session), 'all is over')
        self.assertEqual(self.task_names(), [])


class Configured(HookTest):
    def configure(self, text):
        os.makedirs(self.session, 0o700, exist_ok=True)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write(text)
        self.perdure('config', 'trust', check=0)

    def test_hooks_of_the_session_are_told_of_what_their_matcher_wants(self):
        self.configure(f"""
[[hooks]]
matcher = "^task\\\\.started$"
command = '''{self.keep('started')}'''
[[hooks]]
matcher = "failed|lost"
command = '''{self.keep('failed')}'''
timeout = 5
[[hooks]]
matcher = "completed"
command = '''{self.keep('completed')}'''
""")
        task = self.sh('exit 3')
        self.assertEqual(self.told('started')['task']['status'], 'running')
        self.assertEqual(self.told('failed')['task'], self.finished(task))
        eventually(lambda: not processes_with('@' + self.session), 'all is over')
        self.assertFalse(os.path.exists(self.file('completed')))

    def test_of_a_task_that_is_lost_whoever_settles_it_tells_the_hooks_configured_there(self):
        task = self.sh('sleep 300')
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        self.configure(f"""
[[hooks]]
matcher = "lost"
command = '''{self.keep()}'''
""")
        self.perdure('wait', task, check=125)
        self.assertEqual(self.told()['task'], self.record(task))

    def test_a_matcher_that_is_none_is_named(self):
        os.makedirs(self.session, 0o700)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write('[[hooks]]\nmatcher = "("\ncommand = "true"\n')
        done = self.perdure('config', 'trust', check=2)
        self.assertIn('matcher', done.stderr)


class Settled(HookTest):
    """The runner was killed before it could tell: whoever commits the outcome has it told."""

    def kill_runner(self, task):
        runner = self.record(task)['runner']['pid']
        os.kill(runner, signal.SIGKILL)
        eventually(lambda: not is_alive(runner), 'the runner is dead')

    def test_L34_lost_is_told_by_whoever_commits_it_and_once(self):
        told = shlex.quote(self.file('count'))
        task = self.sh('sleep 300', '--on-end', self.keep(), '--on-end', f'echo told >> {told}')
        self.kill_runner(task)
        # The first two may both find the task's processes still alive.
        for _ in range(3):
            self.perdure('reconcile', check=0)
        news = self.told()
        self.assertEqual((news['event'], news['task']['status'], news['task']['lostEvidence']), ('task.lost', 'lost', 'runner_killed'))
        self.assertEqual(news['task'], self.record(task))
        self.assertEqual((news['notification']['id'], news['notification']['severity']), (f'task:{task}:lost', 'error'))
        eventually(lambda: self.log(task).count('exit 0 after') == 2, 'both are noted')
        with open(self.file('count'), encoding='utf-8') as f:
            self.assertEqual(f.read(), 'told\n')

    def test_L34_an_end_found_in_the_runners_notes_is_told(self):
        task = self.sh('sleep 300 & exit 6', '--leftovers', 'wait', '--on-end', self.keep())
        page = os.path.join(self.tasks, task, 'runner.lock')

        def noted():
            with open(page, 'rb') as f:
                return b'exit 6 ' in f.read()
        eventually(noted, 'the runner has noted the end')
        self.kill_runner(task)
        self.assertEqual(self.perdure('wait', task).returncode, 6)
        news = self.told()
        self.assertEqual((news['event'], news['task']['recovered'], news['task']['exitCode']), ('task.failed', True, 6))
        for pid in processes_with('PERDURE_TASK_ID=' + task):
            os.kill(pid, signal.SIGKILL)

    def test_L34_a_hook_that_hangs_does_not_delay_whoever_settles(self):
        task = self.sh('sleep 300', '--on-end', 'exec sleep 300')
        self.kill_runner(task)
        self.perdure('wait', task, check=125)
        hook = eventually(lambda: processes_with('PERDURE_EVENT_TASK=' + task), 'the hook hangs')
        self.assertEqual(self.json('show', task)['status'], 'lost')
        for pid in hook:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: 'signal 9 after' in self.log(task), 'its end is noted')


if __name__ == '__main__':
    unittest.main()
