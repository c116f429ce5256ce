"""SIGKILL at random instants: of whatever started, waits for or reconciles tasks, and of the runners themselves.

PERDURE_CRASH_ROUNDS scales it (100: 300 managers and 100 runners), PERDURE_CRASH_SEED repeats a run.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402

ROUNDS = int(os.environ.get('PERDURE_CRASH_ROUNDS', '100'))
SEED = int(os.environ.get('PERDURE_CRASH_SEED', str(random.randrange(1 << 32))))
TERMINAL = {'completed', 'failed', 'timed_out', 'killed', 'lost'}
EVIDENCE = {'runner_killed', 'rebooted', 'never_started', 'process_gone', 'adopted'}
# What each line must end as, when nobody interferes with its runner.
LINES = [('exit 0', 'completed', 0), ('exit 7', 'failed', 7), ('echo out; exit 3', 'failed', 3), ('sleep 0.02', 'completed', 0),
         ('kill -9 $$', 'failed', None)]


class Crash(SessionTest):
    @classmethod
    def setUpClass(cls):
        print(f'PERDURE_CRASH_SEED={SEED} PERDURE_CRASH_ROUNDS={ROUNDS}', flush=True)

    def setUp(self):
        super().setUp()
        self.random = random.Random(f'{SEED}/{self.id()}')

    def spawn(self, *args):
        return subprocess.Popen([PERDURE, '--session', self.session, *args], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_at_random(self, process, within):
        time.sleep(self.random.uniform(0, within))  # the instant is the point of the test
        process.send_signal(signal.SIGKILL)
        process.wait()

    def records(self):
        """Every record, parsed without Perdure: a torn one fails here."""
        found = {}
        for name in self.task_names() if os.path.isdir(self.tasks) else []:
            if name.endswith('.json') and not name.startswith('.'):
                with open(os.path.join(self.tasks, name), encoding='utf-8') as f:
                    record = json.load(f)
                self.assertEqual(record['taskId'] + '.json', name)
                found[record['taskId']] = record
        return found

    def settle(self):
        """Everything ends, whoever was killed; afterwards nothing of the session runs."""
        self.perdure('wait', check=None)
        self.perdure('reconcile', check=0)
        eventually(lambda: not processes_with('@' + self.session), 'all processes of the session gone')
        records = self.records()
        for record in records.values():
            self.assertIn(record['status'], TERMINAL, record)
            self.assertEqual(record['status'] == 'lost', 'lostEvidence' in record, record)
            if record['status'] == 'lost':
                self.assertIn(record['lostEvidence'], EVIDENCE)
        self.assertEqual(self.perdure('doctor').returncode, 0, self.perdure('doctor').stdout)
        active = os.path.join(self.session, 'active')
        left = set(os.listdir(active)) & set(records) if os.path.isdir(active) else set()
        self.assertFalse(left, 'D08: entries of tasks that have ended')
        return records

    def expect_outcome(self, record):
        expected = {line: (status, code) for line, status, code in LINES}[record['command']]
        self.assertEqual((record['status'], record['exitCode']), expected, record)

    def test_a_manager_killed_while_it_launches(self):
        for n in range(ROUNDS):
            self.kill_at_random(self.spawn('run', '-c', LINES[n % len(LINES)][0]), 0.012)
        records = self.settle()
        print(f'{ROUNDS} managers killed while launching: {len(records)} tasks had got so far that they ran', flush=True)
        for record in records.values():
            self.expect_outcome(record)

    def test_a_manager_killed_while_it_waits(self):
        tasks = {}
        for n in range(ROUNDS):
            line, status, code = LINES[n % len(LINES)]
            task = self.sh(line)
            tasks[task] = (status, code)
            self.kill_at_random(self.spawn('wait', task), 0.008)
        records = self.settle()
        self.assertEqual(set(records), set(tasks))
        for task, record in records.items():
            self.assertEqual((record['status'], record['exitCode']), tasks[task], record)

    def test_a_manager_killed_while_it_reconciles(self):
        killed = set()
        for _ in range(ROUNDS):
            task = self.sh('sleep 100')
            os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
            killed.add(task)
            self.kill_at_random(self.spawn('reconcile'), 0.012)
        records = self.settle()
        self.assertEqual(set(records), killed)
        for record in records.values():
            self.assertEqual((record['status'], record['lostEvidence'], record['exitCode']), ('lost', 'runner_killed', None))

    def test_a_runner_killed_at_any_instant(self):
        outcomes = {}
        for n in range(ROUNDS):
            line, status, code = LINES[n % len(LINES)]
            if n % 3 == 0:
                line, status, code = 'sleep 100', None, None
            task = self.sh(line)
            runner = self.record(task)['runner']['pid']
            time.sleep(self.random.uniform(0, 0.01))
            # Only while it is certain that the pid is still this runner's.
            if any(p == runner for p in processes_with('PERDURE_RUNNER=' + task)):
                try:
                    os.kill(runner, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            outcomes[task] = (status, code)
        records = self.settle()
        self.assertEqual(set(records), set(outcomes), 'no record may be missing')
        lost = 0
        for task, record in records.items():
            if record['status'] == 'lost':
                lost += 1
                continue
            self.assertEqual((record['status'], record['exitCode']), outcomes[task], record)
        print(f'{ROUNDS} runners killed: {lost} lost with evidence, {sum("recovered" in r for r in records.values())} '
              f'recovered from their notes, {len(records) - lost} with their outcome', flush=True)

    def test_a_runner_killed_while_it_stops_its_task(self):
        for _ in range(max(1, ROUNDS // 4)):
            task = self.sh("trap '' TERM; sleep 100 & sleep 100; wait")
            runner = self.record(task)['runner']['pid']
            stop = self.spawn('stop', task, '--grace', '0.02', '--reason', 'enough')
            time.sleep(self.random.uniform(0, 0.04))
            if is_alive(runner) and processes_with('PERDURE_RUNNER=' + task):
                try:
                    os.kill(runner, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            stop.wait()
        for record in self.settle().values():
            # Decided, or not heard of the wish: never a made-up outcome.
            self.assertIn((record['status'], record.get('stopReason')), {('killed', 'enough'), ('lost', None)}, record)


if __name__ == '__main__':
    unittest.main()
