"""Callers of foreground tasks, and runners of theirs, SIGKILLed at random instants.

Without its caller a task goes on in the background with its whole output, or it had not begun, or it was over: nothing in
between, no process without a record, no byte missing.
"""
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, processes_with, started_with  # noqa: E402

ROUNDS = int(os.environ.get('PERDURE_CRASH_ROUNDS', '100'))
LINES = 40


class Callers(SessionTest):
    def caller(self, n):
        """A task that prints its lines slowly, and says in a file of its own that it has begun, and that it has ended."""
        began, ended = self.marks(n)
        line = f': > {began}; for i in $(seq {LINES}); do echo $i; sleep 0.002; done; : > {ended}; exit 3'
        return subprocess.Popen([PERDURE, '--session', self.session, 'run', '--foreground', '-c', line], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def wait_for_an_instant(self, n, caller, began):
        """Of every two instants one is counted from the start of the program, and one from the start of the command: a slow
        program must not keep all of them before the command."""
        if n % 2:
            eventually(lambda: os.path.exists(began) or caller.poll() is not None, 'the command has begun')
        time.sleep(random.uniform(0, 0.06 if n % 2 else 0.15))

    def marks(self, n):
        return os.path.join(self.scratch, f'began-{n}'), os.path.join(self.scratch, f'ended-{n}')

    def records(self):
        return {name.removesuffix('.json') for name in self.task_names() if name.endswith('.json')} if os.path.exists(self.tasks) else set()

    def test_L27_a_killed_caller_loses_nothing(self):
        counts = {'not begun': 0, 'detached': 0, 'was over': 0}
        expected = ''.join(f'{i}\n' for i in range(1, LINES + 1)).encode()
        for n in range(ROUNDS):
            before = self.records()
            caller = self.caller(n)
            began, ended = self.marks(n)
            self.wait_for_an_instant(n, caller, began)
            caller.kill()
            caller.wait()
            eventually(lambda: not started_with(self.session) and not processes_with(f'@{self.session}'), 'everything has ended')
            new = self.records() - before
            if not os.path.exists(began):
                counts['not begun'] += 1
                self.assertEqual(new, set())
                continue
            # It ran to its end, whoever was killed.
            self.assertTrue(os.path.exists(ended), n)
            if not new:
                counts['was over'] += 1
                continue
            counts['detached'] += 1
            task = new.pop()
            record = self.record(task)
            self.assertEqual((record['status'], record['exitCode'], record['detached'], record['outputBytes']),
                             ('failed', 3, True, len(expected)))
            self.assertEqual(self.log(task), expected)
        print(f'{ROUNDS} callers killed: {counts}')
        self.assertGreater(counts['detached'], 0)
        # Whoever was killed before its runner was there leaves a folder at most.
        for name in set(self.task_names()) - {t + '.json' for t in self.records()} - self.records():
            self.assertEqual(os.listdir(os.path.join(self.tasks, name)), [], name)

    def test_L39_a_killed_runner_leaves_no_process_and_its_caller_is_told(self):
        told = {}
        for n in range(ROUNDS // 2):
            caller = self.caller(f'r{n}')
            self.wait_for_an_instant(n, caller, self.marks(f'r{n}')[0])
            for pid in processes_with(f'@{self.session}'):
                with contextlib.suppress(OSError):  # it has gone meanwhile
                    with open(f'/proc/{pid}/comm', encoding='utf-8') as f:
                        is_runner = f.read().startswith('perdure-runner')
                    if is_runner:
                        os.kill(pid, signal.SIGKILL)
            status = caller.wait(60)
            told[status] = told.get(status, 0) + 1
            # 3: it was over, or its end was noted; 125: lost; 126: the runner was killed before it could answer.
            self.assertIn(status, (3, 125, 126))
            eventually(lambda: not processes_with(f'@{self.session}'), 'nobody is left')
        print(f'{ROUNDS // 2} runners killed, callers were told: {told}')
        self.assertGreater(told.get(125, 0), 0)
        self.assertEqual(self.records(), set())


if __name__ == '__main__':
    unittest.main()
