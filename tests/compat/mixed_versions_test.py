#!/usr/bin/env python3
"""A session that 0.1.0 left running is taken over, and the other way round.

A recorded session of 0.1.0 (tests/fixtures/perdure-0.1.0) is always tried. PERDURE_OLD_BIN names the folder of the programs of
0.1.0 (revision aa6ed0c): with it, living tasks of either version are managed by the other one.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SOURCE, SessionTest, eventually, is_alive  # noqa: E402

OLD_BIN = os.environ.get('PERDURE_OLD_BIN', '')
OLD = os.path.join(os.path.abspath(OLD_BIN), 'perdure')
PAIRS = ((OLD, PERDURE), (PERDURE, OLD))  # who runs it, who manages it
RECORDED = os.path.join(SOURCE, 'tests', 'fixtures', 'perdure-0.1.0')


class Recorded(SessionTest):
    """What 0.1.0 wrote before its machine went down, read by today's program on another boot."""

    def setUp(self):
        super().setUp()
        shutil.copytree(RECORDED, self.session, symlinks=True)
        for where, folders, files in os.walk(self.session):
            for name in folders:
                os.chmod(os.path.join(where, name), 0o700)
            for name in files:
                os.chmod(os.path.join(where, name), 0o600)
        os.chmod(self.session, 0o700)
        self.ids = {}
        for name in os.listdir(self.tasks):
            if name.endswith('.json'):
                record = self.record(name[:-5])
                self.ids[record.get('labels', {}).get('case', name)] = record['taskId']

    def snapshot(self):
        found = {}
        for where, _, files in os.walk(self.session):
            for name in files:
                with open(os.path.join(where, name), 'rb') as f:
                    found[os.path.join(where, name)] = f.read()
        return found

    def test_every_record_reads_as_it_was_written_and_reading_changes_nothing(self):
        before = self.snapshot()
        shown = {t['labels']['case']: t for t in self.json('list', '--all') if 'case' in t.get('labels', {})}
        for case, status, code in (('completed', 'completed', 0), ('failed', 'failed', 7), ('killed', 'killed', None), ('timed_out', 'timed_out', None)):
            self.assertEqual((shown[case]['status'], shown[case]['exitCode']), (status, code), case)
        self.assertEqual(self.perdure('output', self.ids['completed'], check=0).stdout, 'hello of 0.1.0\n')
        self.assertEqual(self.json('show', self.ids['killed'])['stopReason'], 'no more')
        pending = {n['source_id'] for n in self.json('notifications', '--owner', 'o1')}
        self.assertIn(self.ids['failed'], pending)
        self.assertNotIn(self.ids['completed'], pending, 'that was acknowledged')
        self.perdure('doctor')
        self.assertEqual(self.snapshot(), before)

    def test_what_ran_when_the_machine_went_down_is_lost_and_told_once(self):
        self.perdure('reconcile', check=0)
        record = self.record(self.ids['running'])
        self.assertEqual((record['status'], record['lostEvidence']), ('lost', 'rebooted'))
        told = [n['source_id'] for n in self.json('notifications', '--owner', 'o1', '--ack')]
        self.assertEqual(told.count(self.ids['running']), 1)
        self.assertEqual(self.json('notifications', '--owner', 'o1'), [])

    def test_what_had_been_decided_before_is_recovered_as_that(self):
        self.perdure('reconcile', check=0)
        record = self.record(self.ids['decided'])
        self.assertEqual((record['status'], record['exitCode'], record['recovered']), ('failed', 5, True))

    def test_its_queue_waits_for_trust_and_then_runs(self):
        queued = [t for t in self.json('list', '--all') if t['status'] == 'queued']
        self.assertEqual(len(queued), 1)
        self.perdure('reconcile', check=0)
        self.perdure('run', '--wait', '-c', 'true', check=0)
        self.assertEqual([t['taskId'] for t in self.json('list', '--status', 'queued')], [queued[0]['taskId']])
        self.assertTrue([f for f in self.json('doctor', check=None) if f['what'] == queued[0]['taskId']])

    def test_new_tasks_run_beside_the_old_ones(self):
        task = self.sh('exit 4')
        self.assertEqual(self.finished(task)['exitCode'], 4)
        self.perdure('gc', '--older-than', '0s', check=0)


@unittest.skipUnless(os.access(OLD, os.X_OK), 'PERDURE_OLD_BIN does not name the programs of 0.1.0')
class Mixed(SessionTest):
    @staticmethod
    def environment(more=None):
        return {**{k: v for k, v in os.environ.items() if not k.startswith('PERDURE_')}, **(more or {})}

    def by(self, program, *words, check=None, env=None):
        done = subprocess.run([program, '--session', self.session, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              check=False, env=self.environment({'XDG_CONFIG_HOME': self.config_home, **(env or {})}))
        if check is not None:
            self.assertEqual(done.returncode, check, f'{words}: {done.stdout} {done.stderr}')
        return done.stdout.strip()

    def shown(self, manager, task):
        return json.loads(self.by(manager, '--json', 'show', task, check=0))

    def test_a_running_task_is_seen_waited_for_and_ends_as_it_does(self):
        for runner, manager in PAIRS:
            task = self.by(runner, 'run', '--owner', 'me', '-c', 'echo one; sleep 0.7; echo two; exit 3', check=0)
            self.assertEqual(self.shown(manager, task)['status'], 'running')
            self.assertIn(task, self.by(manager, 'list', check=0))
            self.by(manager, 'wait', task, check=3)
            self.assertEqual(self.by(manager, 'output', task, check=0), 'one\ntwo')
            self.assertEqual([n['source_id'] for n in json.loads(self.by(manager, '--json', 'notifications', '--owner', 'me', '--ack'))], [task])
            self.assertEqual(json.loads(self.by(runner, '--json', 'notifications', '--owner', 'me')), [])
            self.assertEqual(self.shown(runner, task)['exitCode'], 3)

    def test_a_stop_ends_the_tree_and_keeps_the_reason(self):
        for runner, manager in PAIRS:
            task = self.by(runner, 'run', '-c', "trap '' TERM; (setsid sleep 301 &); sleep 300", check=0)
            pid = self.record(task)['pid']
            self.by(manager, 'stop', task, '--grace', '200ms', '--reason', 'enough', check=0)
            record = self.record(task)
            self.assertEqual((record['status'], record['stopReason']), ('killed', 'enough'))
            self.assertFalse(is_alive(pid))

    def test_extend_signal_write_and_detach_are_understood(self):
        for runner, manager in PAIRS:
            task = self.by(runner, 'run', '--stdin', 'pipe', '--timeout', '1m', '-c', "trap 'echo usr' USR1; read x; echo got $x; exit 2", check=0)
            self.by(manager, 'extend', task, '--timeout', '2m', check=0)
            self.assertEqual(self.record(task)['timeoutMs'], 120000)
            done = subprocess.run([manager, '--session', self.session, 'write', task], input='hello\n', text=True, capture_output=True, check=False,
                                  env=self.environment())
            self.assertEqual(done.returncode, 0, done.stderr)
            self.by(manager, 'wait', task, check=2)
            self.assertEqual(self.by(manager, 'output', task), 'got hello')

    def test_a_killed_runner_of_0_1_0_is_evidence_only_when_nothing_of_the_task_is_left(self):
        # Not the other way round: 0.1.0 looks for marks that today's tasks do not have (CHANGELOG).
        task = self.by(OLD, 'run', '-c', 'sleep 300', check=0)
        record = self.record(task)
        os.kill(record['runner']['pid'], signal.SIGKILL)
        eventually(lambda: not is_alive(record['runner']['pid']), 'its runner is dead')
        self.assertTrue(self.shown(PERDURE, task)['runnerGone'])
        self.by(PERDURE, 'reconcile', check=0)
        self.assertFalse(is_alive(record['pid']))
        ended = self.record(task)
        self.assertEqual((ended['status'], ended['lostEvidence']), ('lost', 'runner_killed'))

    def test_a_runner_that_was_killed_after_the_end_was_noted_loses_nothing(self):
        for runner, manager in PAIRS:
            task = self.by(runner, 'run', '--leftovers', 'wait', '-c', 'sleep 300 & echo $!; exit 5', check=0)
            lock = os.path.join(self.tasks, task, 'runner.lock')

            def has_noted(path):
                with open(path, 'rb') as f:
                    f.seek(256)
                    return f.read(4) == b'exit'
            eventually(lambda: has_noted(lock), 'its exit is noted')  # pylint: disable=cell-var-from-loop
            os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
            self.by(manager, 'wait', task, check=5)
            record = self.record(task)
            self.assertEqual((record['status'], record['exitCode'], record['recovered']), ('failed', 5, True))
            os.kill(int(self.log(task)), signal.SIGKILL)  # what a natural end leaves may live on

    def test_a_queue_of_both_runs_in_order_one_at_a_time(self):
        said = os.path.join(self.scratch, 'said')
        gate = os.path.join(self.scratch, 'go')
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        self.by(OLD, 'run', '-c', f'until [ -e {gate} ]; do sleep 0.02; done', check=0, env=cap)
        tasks = [self.by(program, 'run', '--queue', '-c', f'echo s{i} >> {said}; sleep 0.05; echo e{i} >> {said}', check=0, env=cap)
                 for i, program in enumerate((PERDURE, OLD, PERDURE, OLD))]
        for program in (OLD, PERDURE):
            self.assertEqual([t['taskId'] for t in json.loads(self.by(program, '--json', 'list', '--status', 'queued'))], tasks)
        with open(gate, 'w', encoding='utf-8'):
            pass
        self.by(PERDURE, 'wait', '--drain')
        with open(said, encoding='utf-8') as f:
            self.assertEqual(f.read().split(), [w + str(i) for i in range(4) for w in 'se'])

    def test_a_queued_task_of_0_1_0_whose_runner_was_killed_waits_for_trust(self):
        ran = os.path.join(self.scratch, 'ran')
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        holder = self.by(OLD, 'run', '-c', 'sleep 300', check=0, env=cap)
        queued = self.by(OLD, 'run', '--queue', '-c', f'echo ran >> {ran}', check=0, env=cap)
        done = subprocess.run(['pgrep', '-f', f'perdure-runner {self.session} {queued}'], capture_output=True, text=True, check=True)
        os.kill(int(done.stdout), signal.SIGKILL)
        eventually(lambda: not is_alive(int(done.stdout)), 'its runner is dead')
        self.by(PERDURE, 'stop', holder, check=0)
        self.by(PERDURE, 'reconcile', check=0)
        self.assertFalse(os.path.exists(ran))
        self.by(PERDURE, 'reconcile', '--trust', '--yes')
        shown = self.by(PERDURE, '--json', 'list', '--all')
        self.assertIn(queued, shown)
        if not os.path.exists(ran):  # its launch is in words that only 0.1.0 knows: that is said, and it can be stopped
            self.assertTrue(re.search(r'another version', self.by(PERDURE, 'doctor')))
            self.by(PERDURE, 'stop', queued, check=0)
        self.by(PERDURE, 'wait', '--drain')

    def test_leftovers_are_found_and_stopped(self):
        for runner, manager in PAIRS:
            task = self.by(runner, 'run', '-c', 'sleep 300 & echo $!; exit 0', check=0)
            self.by(manager, 'wait', task, check=0)
            pid = int(self.by(manager, 'output', task))
            self.assertTrue(is_alive(pid))
            self.by(manager, 'stop', task, check=0)
            self.assertFalse(is_alive(pid))

    def test_a_question_is_answered(self):
        for runner, manager in PAIRS:
            task = self.by(runner, 'ask', '--choice', 'a', '--choice', 'b', 'Which?', check=0)
            self.assertEqual(self.shown(manager, task)['status'], 'running')
            self.by(manager, 'answer', task, 'b', check=0)
            self.assertEqual(self.shown(runner, task)['status'], 'completed')

    def test_a_runner_of_the_other_version_is_refused_in_words(self):
        for program, other in ((PERDURE, OLD), (OLD, PERDURE)):
            env = self.environment({'PERDURE_RUNNER_PATH': os.path.join(os.path.dirname(other), 'perdure-runner')})
            done = subprocess.run([program, '--session', self.session, 'run', '-c', 'true'], capture_output=True, text=True, check=False, env=env)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('same version', done.stderr)
            self.assertEqual(json.loads(self.by(program, '--json', 'list', '--all')), [])


if __name__ == '__main__':
    unittest.main()
