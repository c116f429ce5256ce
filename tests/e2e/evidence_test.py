#!/usr/bin/env python3
"""L52 and L53: `lost` and SIGKILL need evidence about processes; nothing of a task can block its runner."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402


class EvidenceTest(SessionTest):
    def runner(self, task):
        return self.record(task)['runner']['pid']

    def edit(self, task, **changes):
        record = {k: v for k, v in {**self.record(task), **changes}.items() if k not in changes or v is not None}
        with open(self.path(task), 'w', encoding='utf-8') as f:
            json.dump(record, f)

    def kill_runner(self, task):
        pid = self.runner(task)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid), 'the runner is dead')


class Identity(EvidenceTest):
    def test_L52_the_runner_records_where_it_runs(self):
        task = self.sh('exec sleep 300')
        record = self.record(task)
        with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as f:
            self.assertEqual(record['bootId'], f.read().strip())
        self.assertEqual(record['hostName'], socket.gethostname())
        self.assertEqual(record['pidNamespace'], str(os.stat('/proc/self/ns/pid').st_ino))
        self.assertEqual(record['sessionFolder']['inode'], str(os.stat(self.session).st_ino))
        self.perdure('stop', task, check=0)

    def unverified(self, task, session=None):
        shown = self.json('show', task, session=session)
        self.assertEqual((shown['status'], shown.get('unverified')), ('running', True))
        self.assertEqual(self.perdure('wait', task, session=session).returncode, 125)
        started = time.monotonic()
        done = self.perdure('stop', task, session=session)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('reach', done.stderr)
        self.assertLess(time.monotonic() - started, 3)

    def test_L52_a_copy_of_a_session_says_nothing_about_its_tasks(self):
        task = self.sh('sleep 300')
        pid = self.record(task)['pid']
        copy = os.path.join(self.scratch, 'copy')
        shutil.copytree(self.session, copy, ignore=shutil.ignore_patterns('control'))
        self.perdure('reconcile', check=0, session=copy)
        self.unverified(task, copy)
        self.assertTrue(is_alive(pid))
        self.perdure('stop', task, check=0)

    def test_L52_a_removed_folder_or_lock_of_a_live_task_is_no_proof(self):
        for gone in ('runner.lock', 'control', ''):
            task = self.sh('sleep 300')
            pid = self.record(task)['pid']
            path = os.path.join(self.tasks, task, gone)
            shutil.rmtree(path) if gone == '' else os.unlink(path)
            self.perdure('reconcile', check=0)
            self.assertEqual(self.json('show', task)['status'], 'running', gone)
            self.assertTrue(is_alive(pid), gone)
            self.perdure('stop', task, '--reason', 'second way')
            eventually(lambda: not is_alive(pid), f'stop has another way without {gone}')  # pylint: disable=cell-var-from-loop

    def test_L52_another_pid_namespace_can_not_be_judged_until_a_person_does(self):
        task = self.sh('sleep 300')
        self.kill_runner(task)
        self.edit(task, pidNamespace='4026530000')
        shown = self.json('show', task)
        self.assertEqual((shown['status'], shown.get('unverified')), ('running', True))
        self.assertEqual(self.perdure('wait', task).returncode, 125)
        self.perdure('reconcile', '--adopt', check=0)
        self.assertEqual((self.record(task)['status'], self.record(task)['lostEvidence']), ('lost', 'adopted'))
        for pid in processes_with('PERDURE_TASK_ID=' + task):
            os.kill(pid, signal.SIGKILL)

    def test_L52_the_sole_container_may_decide_by_itself(self):
        task = self.sh('sleep 300')
        self.kill_runner(task)
        self.edit(task, pidNamespace='4026530000')
        self.perdure('reconcile', check=0, env={'PERDURE_SOLE_CONTAINER': '1'})
        self.assertEqual(self.record(task)['lostEvidence'], 'adopted')
        for pid in processes_with('PERDURE_TASK_ID=' + task):
            os.kill(pid, signal.SIGKILL)

    def test_L52_another_boot_with_an_empty_or_other_machine_id(self):
        for changes in ({'machineId': None}, {'machineId': 'f' * 32}):
            task = self.sh('sleep 300')
            self.kill_runner(task)
            self.edit(task, bootId='00000000-0000-0000-0000-000000000000', **changes)
            self.perdure('reconcile', check=0)
            self.assertEqual(self.record(task)['status'], 'running', changes)
            for pid in processes_with('PERDURE_TASK_ID=' + task):
                os.kill(pid, signal.SIGKILL)

    def test_L52_adopt_is_refused_while_the_lock_is_held(self):
        task = self.sh('sleep 300')
        self.edit(task, pidNamespace='4026530000')
        self.perdure('reconcile', '--adopt', check=0)
        self.assertEqual(self.json('show', task)['status'], 'running')
        self.perdure('stop', task, check=0)

    def test_L52_forged_marks_have_no_innocent_process_killed(self):
        task = self.sh('sleep 300')
        forged = subprocess.Popen(['sleep', '300'], env={'PERDURE_RUNNER': f'{task}@{self.session}', 'PERDURE_TASK_ID': task,
                                                         'PERDURE_SESSION': self.session, 'PERDURE_TASK_KEY': '0' * 32})
        try:
            self.kill_runner(task)
            self.perdure('wait', task, check=125)
            self.assertIsNone(forged.poll(), 'it is nobody of the task')
        finally:
            forged.kill()
            forged.wait()

    def test_L52_a_zombie_runner_is_dead(self):
        # The runner's parent is a process that never waits for it.
        line = f'import os,subprocess,time;os.environ["X"]="1";libc=__import__("ctypes").CDLL(None);libc.prctl(36,1);' \
               f'print(subprocess.run([{PERDURE!r},"--session",{self.session!r},"run","-c","sleep 300"],capture_output=True,text=True).stdout,end="",flush=True);time.sleep(300)'
        keeper = subprocess.Popen([sys.executable, '-c', line], stdout=subprocess.PIPE, text=True)
        try:
            task = keeper.stdout.readline().strip()
            pid = self.runner(task)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not is_alive(pid), 'it is a zombie')
            self.assertTrue(os.path.exists(f'/proc/{pid}'))
            self.perdure('wait', task, check=125)
            self.assertEqual(self.record(task)['lostEvidence'], 'runner_killed')
        finally:
            keeper.kill()
            keeper.wait()
            keeper.stdout.close()


class Noted(EvidenceTest):
    def test_L52_a_copy_does_not_call_lost_what_ended_in_the_original(self):
        pipe = os.path.join(self.scratch, 'pipe')
        os.mkfifo(pipe)
        task = self.sh(f'read line < {pipe}; exit 0')
        copy = os.path.join(self.scratch, 'copy')
        shutil.copytree(self.session, copy, ignore=shutil.ignore_patterns('control'))
        with open(pipe, 'w', encoding='utf-8') as f:
            f.write('\n')
        self.assertEqual(self.finished(task)['status'], 'completed')
        for name in ('runner.lock', 'stop.wish'):  # its notes may be gone, too
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(copy, 'tasks', task, name))
        self.perdure('reconcile', session=copy, check=0)
        with open(os.path.join(copy, 'tasks', task + '.json'), encoding='utf-8') as f:
            self.assertEqual(json.load(f)['status'], 'running')

    def test_L55_a_noted_exit_counts_although_nothing_was_decided_yet(self):
        # With --leftovers wait the command's end is no decision: the window is as long as the leftover lives.
        task = self.sh('sleep 300 & exit 3', '--leftovers', 'wait')
        def noted():
            with open(os.path.join(self.tasks, task, 'runner.lock'), 'rb') as f:
                page = f.read()
            return page[256:].startswith(b'exit 3 ') and not page[512]
        eventually(noted, 'the end is noted, and no decision')
        self.kill_runner(task)
        self.perdure('reconcile', check=0)
        self.perdure('reconcile', check=0)
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode'], record['recovered']), ('failed', 3, True))
        self.assertNotIn('lostEvidence', record)
        for pid in processes_with('PERDURE_TASK_ID=' + task):  # what it left behind is nobody's to end by then
            os.kill(pid, signal.SIGKILL)


class NothingBlocks(EvidenceTest):
    def ends_within(self, task, seconds):
        started = time.monotonic()
        self.perdure('stop', task, '--grace', '0s', check=0)
        self.assertLess(time.monotonic() - started, seconds)

    def test_L53_a_fifo_where_an_inner_session_has_its_lock(self):
        fake = os.path.join(self.scratch, 'fake')
        os.makedirs(os.path.join(fake, 'tasks', 'a-00000000'))
        os.mkfifo(os.path.join(fake, 'tasks', 'a-00000000', 'runner.lock'))
        os.mkfifo(os.path.join(fake, 'tasks', 'a-00000000', 'control'))
        task = self.sh(f'PERDURE_RUNNER=a-00000000@{fake} sleep 300')
        self.ends_within(task, 4)

    def test_L53_a_hundred_stopped_inner_runners_cost_one_common_second(self):
        inner = os.path.join(self.scratch, 'inner')
        task = self.sh(f'for i in $(seq 100); do {PERDURE} --session {inner} run --owner "$PERDURE_TASK_ID" -- sleep 300 >/dev/null; done; '
                       f'pkill -STOP -f "[p]erdure-runner {inner}"; : > {inner}.ready; sleep 300')
        eventually(lambda: os.path.exists(inner + '.ready'), 'a hundred are there', 60)
        self.ends_within(task, 6)
        left = [p for p in processes_with('@' + inner) if is_alive(p)]
        self.assertEqual(left, [])

    def test_L53_a_stopped_runner_is_woken_by_stop(self):
        task = self.sh('sleep 300')
        os.kill(self.runner(task), signal.SIGSTOP)
        self.ends_within(task, 8)
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_L53_a_silent_runner_is_reported_within_two_seconds(self):
        task = self.sh('sleep 300', '--stdin', 'pipe')
        os.kill(self.runner(task), signal.SIGSTOP)
        started = time.monotonic()
        done = self.perdure('extend', task, '--timeout', '1m')
        self.assertLess(time.monotonic() - started, 4)
        self.assertIn('does not answer', done.stderr)
        os.kill(self.runner(task), signal.SIGCONT)
        self.perdure('stop', task, check=0)

    def test_L53_the_reason_of_a_stop_by_the_second_way_is_kept(self):
        task = self.sh('sleep 300')
        os.unlink(os.path.join(self.tasks, task, 'control'))
        self.perdure('stop', task, '--reason', 'no more of it', check=0)
        self.assertEqual(self.record(task)['stopReason'], 'no more of it')


if __name__ == '__main__':
    unittest.main()
