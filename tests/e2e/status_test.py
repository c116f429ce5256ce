"""Exit statuses as docs/reference/cli.md has them, and what following a large output costs."""
import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, processes_with  # noqa: E402


class ExitStatus(SessionTest):
    def lost(self):
        task = self.sh('sleep 300')
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        self.perdure('reconcile', check=0)
        return task

    def test_run_wait_exits_as_the_task_did(self):
        for line, options, status in (('exit 0', [], 0), ('exit 3', [], 3), ('exit 255', [], 255), ('kill -9 $$', [], 137),
                                      ('sleep 300', ['--timeout', '50ms'], 124), ('exit 75', [], 75),
                                      ('yes', ['--output-limit', '10', '--on-output-limit', 'stop'], 143)):
            done = self.perdure('run', '--wait', *options, '-c', line, check=status)
            self.assertRegex(done.stdout, r'^bash-[0-9a-z]{8}\n')

    def test_wait_for_a_task_that_was_stopped_is_143(self):
        task = self.sh('sleep 300')
        self.perdure('stop', task, check=0)
        self.perdure('wait', task, check=143)

    def test_wait_for_a_lost_task_is_125(self):
        self.perdure('wait', self.lost(), check=125)

    def test_wait_for_a_task_whose_runner_is_killed_meanwhile_is_125(self):
        task = self.sh('sleep 300')
        with subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as waiter:
            runner = self.record(task)['runner']['pid']
            eventually(lambda: any(os.readlink(f'/proc/{waiter.pid}/fd/{n}').startswith('socket:') for n in os.listdir(f'/proc/{waiter.pid}/fd')),
                       'it is connected')
            os.kill(runner, signal.SIGKILL)
            self.assertEqual(waiter.wait(timeout=30), 125)
        self.assertEqual(self.record(task)['lostEvidence'], 'runner_killed')
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])

    def test_several_are_0_if_all_completed_else_1(self):
        good, also_good, bad = self.sh('exit 0'), self.sh('exit 0'), self.sh('exit 9')
        self.perdure('wait', good, also_good, check=0)
        self.perdure('wait', good, bad, also_good, check=1)

    def test_wrong_usage_is_2_and_starts_nothing(self):
        for args in (['nonsense'], ['run'], ['run', '--no-such-option', '--', 'true'], ['run', '--timeout', 'soon', '--', 'true'],
                     ['run', '--timeout', '-1', '--', 'true'], ['run', '--output-limit', '5 apples', '--', 'true'], ['run', '-c', 'true', '--', 'true'],
                     ['run', '--env', 'novalue', '--', 'true'], ['run', '--on-output-limit', 'maybe', '--', 'true'],
                     ['run', '--idempotency-key', 'k' * 121, '--', 'true'], ['show'], ['wait', '--any', '--all', 'bash-00000000'], ['output'], ['stop']):
            done = self.perdure(*args, check=2)
            self.assertTrue(done.stderr.startswith('perdure: '), done.stderr)
            self.assertEqual(done.stdout, '')
            self.assertIn(json.loads(self.perdure('--json', *args, check=2).stdout)['error']['code'], ('usage', 'task.id_empty'), args)
        self.assertEqual(self.task_names() if os.path.exists(self.tasks) else [], [])

    def test_a_signal_to_an_ended_task_is_an_error(self):
        task = self.sh('exit 0')
        self.finished(task)
        error = json.loads(self.perdure('--json', 'signal', task, 'HUP', check=1).stdout)['error']
        self.assertEqual(error['code'], 'task.not_running')

    def test_what_cannot_be_printed_is_an_error(self):
        self.sh('true')
        with open('/dev/full', 'w', encoding='utf-8') as full:
            done = subprocess.run([PERDURE, '--session', self.session, 'list', '--all'], stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                  text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith('perdure: '), done.stderr)


class Following(SessionTest):
    def test_following_a_gigabyte_leaves_the_follower_as_small_as_it_was(self):
        task = self.sh('until [ -e go ]; do sleep 0.02; done; head -c 1073741824 /dev/zero', '--output-limit', '64MiB', '--cwd', self.scratch)
        with subprocess.Popen([PERDURE, '--session', self.session, 'output', task, '--follow'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as follower:
            open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
            most = 0
            while follower.poll() is None:
                try:
                    with open(f'/proc/{follower.pid}/status', encoding='utf-8') as f:
                        most = max([most, *(int(line.split()[1]) for line in f if line.startswith('VmHWM'))])
                except OSError:
                    pass
            self.assertEqual(follower.returncode, 0)
        self.perdure('wait', task, check=0)
        print(f'peak resident memory of output --follow while 1 GiB went by: {most} KiB')
        self.assertLess(most, 32768)
        self.assertEqual(self.record(task)['outputBytes'], 1 << 30)


if __name__ == '__main__':
    unittest.main()
