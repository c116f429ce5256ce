"""SIGKILL to the manager at each of its system calls: while it starts, stops, reconciles and removes a task.

Whatever the instant, the task is whole or was never there, the same command again finishes the work, and nothing but
the task itself is left. PERDURE_CRASH_ROUNDS below 100 takes fewer of the calls.
"""
import collections
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import eventually, processes_with  # noqa: E402
from traced_perdure import TracedPerdure  # noqa: E402
from traced_runner import main  # noqa: E402


class EachManagerCall(TracedPerdure):
    def settled(self):
        self.perdure('wait')
        self.perdure('reconcile', check=0)
        eventually(lambda: not processes_with('@' + self.session + '\0'), 'nobody is left', 5)
        self.assertEqual(self.perdure('doctor').returncode, 0, self.perdure('doctor').stdout)
        records = {}
        for name in self.task_names() if os.path.isdir(self.tasks) else []:
            if name.endswith('.json') and not name.startswith('.'):
                with open(os.path.join(self.tasks, name), encoding='utf-8') as f:
                    records[name[:-5]] = json.load(f)
        return records

    def each(self, args, most, prepare, judge):
        self.fresh('dry')
        wrong = []
        for n, (call, which) in enumerate(self.instants(args(prepare()), most)):
            self.fresh(n)
            try:
                task = prepare()
                self.traced(args(task), f'{call}:signal=SIGKILL:when={which}')
                judge(task)
            except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as e:
                wrong.append(f'{call} {which}: {e}')
        self.fresh('dry')
        self.perdure('stop', '--all')
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def test_while_it_starts_a_task(self):
        args = ['run', '--idempotency-key', 'k', '-c', 'echo x >> $PERDURE_SESSION.ran; exit 3']
        recorded = collections.Counter()
        def judge(_):
            ran = self.session + '.ran'
            records = self.settled()
            recorded[len(records)] += 1
            self.assertLessEqual(len(records), 1)
            self.assertEqual(os.path.exists(ran), len(records) == 1, 'it runs exactly if it is recorded')
            # L06: again, with the same key; it runs once in all.
            task = self.run_task(*args[1:])
            if records:
                self.assertEqual([task], list(records))
            self.perdure('wait', task, check=3)
            with open(ran, encoding='utf-8') as f:
                self.assertEqual(f.read(), 'x\n')
            self.assertEqual([(r['status'], r['exitCode']) for r in self.settled().values()], [('failed', 3)])
        self.each(lambda _: args, 120, lambda: None, judge)
        print(f'recorded by then: {recorded[1]}, not: {recorded[0]}', flush=True)

    def test_while_it_stops_a_task(self):
        def judge(task):
            self.perdure('stop', task, '--reason', 'second', check=0)
            record = self.settled()[task]
            self.assertEqual(record['status'], 'killed')
            self.assertIn(record['stopReason'], ('first', 'second'))
        self.each(lambda task: ['stop', task, '--reason', 'first'], 50, lambda: self.sh('sleep 300 & sleep 301'), judge)

    def test_while_it_reconciles(self):
        def prepare():
            task = self.sh('setsid sleep 300 & sleep 301')
            eventually(lambda: len(processes_with('PERDURE_TASK_ID=' + task)) >= 3, 'it runs')
            os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
            eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), 'the runner is gone')
            return task
        def judge(task):
            before = self.record(task)
            self.assertIn(before['status'], ('running', 'lost'))
            record = self.settled()[task]
            self.assertEqual((record['status'], record['exitCode'], record['lostEvidence']), ('lost', None, 'runner_killed'))
        self.each(lambda _: ['reconcile'], 80, prepare, judge)

    def test_while_it_removes_a_task(self):
        def prepare():
            task = self.sh('echo out; exit 3')
            self.perdure('wait', task, check=3)
            return task
        def judge(task):
            records = self.settled()
            if task in records:
                self.assertEqual(records[task]['exitCode'], 3)
                self.perdure('remove', task, check=0)
            else:
                self.perdure('show', task, check=1)
            for folder, _, names in os.walk(self.tasks, topdown=False):  # litter is what nobody has touched for a minute
                for name in ['.', *names]:
                    os.utime(os.path.join(folder, name), times=(time.time() - 120,) * 2)
            self.perdure('gc', '--keep', '0', check=0)
            self.assertEqual(self.settled(), {})
            self.assertEqual(self.task_names(), [])
        self.each(lambda task: ['remove', task], 50, prepare, judge)


if __name__ == '__main__':
    main()
