"""Tasks as jobs of a real Slurm: the rows of the failure matrix that need a cluster."""
import json
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import COMMAND  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402
from slurm_cluster import Cluster, need  # noqa: E402

CLUSTER = None
# A partition whose jobs take the place of all others.
PREEMPTION = """PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF State=UP"""


def setUpModule():
    global CLUSTER
    need()
    CLUSTER = Cluster(EXTRA_CONF=PREEMPTION)


def tearDownModule():
    if CLUSTER is not None:
        CLUSTER.close()


class SlurmTest(SessionTest):
    more = ''

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.config_home, 'perdure'))
        self.configure(self.more)

    def configure(self, more=''):
        with open(os.path.join(self.config_home, 'perdure', 'config.toml'), 'w', encoding='utf-8') as f:
            f.write(f'[executors.c]\ntype = "slurm"\nfolder = "{CLUSTER.shared}"\n{more}')

    def perdure(self, *args, env=None, **kw):
        return super().perdure(*args, env={'SLURM_CONF': CLUSTER.conf, **(env or {})}, **kw)

    def job(self, line, *options, **kw):
        return self.run_task('--on', 'c', '--cwd', '/', *options, '-c', line, **kw)

    def popen(self, *args):
        return subprocess.Popen([PERDURE, '--session', self.session, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, 'XDG_CONFIG_HOME': self.config_home, 'SLURM_CONF': CLUSTER.conf})

    def running(self, task):
        """Waits until it has started on its node, and gives what its record says of its place."""
        def started():
            self.perdure('list', '--refresh')
            return os.path.exists(self.path(task)) and self.record(task)['executor']
        return eventually(started, 'it has started')

    def far_record(self, task):
        with open(os.path.join(CLUSTER.shared, 'tasks', task + '.json'), encoding='utf-8') as f:
            return json.load(f)


class Outcome(SlurmTest):
    def test_the_exit_code_and_the_output_come_back(self):
        task = self.job('echo from $(uname -n) job $SLURM_JOB_ID; exit 7')
        self.perdure('wait', task, check=7)
        record = self.record(task)
        executor = record['executor']
        self.assertEqual((record['status'], record['exitCode'], executor['type']), ('failed', 7, 'slurm'))
        self.assertEqual(self.log(task).decode(), f"from {executor['node']} job {executor['place']}\n")
        self.assertNotIn('runner', record)
        self.assertIn('FAILED', self.slurm_state(executor['place']))

    def slurm_state(self, job):
        return eventually(lambda: [s for s in [CLUSTER.slurm('squeue', '-h', '-t', 'all', '-j', f'{job},{job}', '-o', '%T')]
                                   if 'COMPLETING' not in s and 'RUNNING' not in s], 'the job is over')[0]

    def test_success_is_completed_on_both_sides(self):
        task = self.job('true')
        self.perdure('wait', task, check=0)
        self.assertIn('COMPLETED', self.slurm_state(self.record(task)['executor']['place']))

    def test_a_deadline_of_the_task_comes_before_that_of_the_job(self):
        task = self.job('sleep 60', '--timeout', '1s')
        self.perdure('wait', task, check=124)
        self.assertNotIn('timedOutBy', self.record(task))

    def test_a_command_that_the_node_does_not_have_failed_with_its_code(self):
        task = self.run_task('--on', 'c', '--cwd', '/', '--', 'no-such-tool', 'x')
        self.perdure('wait', task, check=127)
        self.assertIn(b'no-such-tool', self.log(task))

    def test_a_folder_that_the_node_does_not_have_failed_with_a_reason(self):
        task = self.run_task('--on', 'c', '--cwd', '/no/such/folder', '--', '/bin/true')
        self.perdure('wait', task, check=126)
        self.assertIn('No such file', self.record(task)['stopReason'])

    def test_what_slurm_refuses_leaves_nothing(self):
        done = self.perdure('run', '--on', 'c', '--partition', 'nowhere', '-c', 'true', check=126)
        self.assertIn('Slurm refused', done.stderr)
        self.assertEqual(self.json('list', '--all'), [])
        done = self.perdure('run', '--on', 'c', '--executor-option', '--requeue', '-c', 'true', check=2)
        self.assertIn('--requeue', done.stderr)

    def test_resources_are_the_jobs(self):
        task = self.job('sleep 30', '--cpus', '2', '--memory-max', '300MiB', '--time-limit', '10m')
        place = self.running(task)['place']
        shown = CLUSTER.slurm('scontrol', '-o', 'show', 'job', place)
        self.assertIn('NumCPUs=2', shown)
        self.assertIn('TimeLimit=00:10:00', shown)
        self.assertIn('MinMemoryNode=300M', shown)
        self.perdure('stop', task, check=0)

    def test_the_check_says_what_is_there(self):
        self.assertIn('slurm', self.perdure('executors', '--check', 'c', check=0).stdout)

    def test_remove_removes_it_there(self):
        task = self.job('echo x')
        self.finished(task)
        self.perdure('remove', task, check=0)
        self.assertFalse(os.path.exists(os.path.join(CLUSTER.shared, 'tasks', task)))
        self.assertFalse(os.path.exists(os.path.join(CLUSTER.shared, 'tasks', task + '.json')))

    def test_the_launch_with_the_environment_does_not_stay(self):
        task = self.job('true', env={'SECRET': 'x'})
        self.finished(task)
        self.assertFalse(os.path.exists(os.path.join(CLUSTER.shared, 'tasks', task, 'launch')))
        self.assertNotIn('SECRET', CLUSTER.slurm('scontrol', 'show', 'job', self.record(task)['executor']['place']))


class Queue(SlurmTest):
    def test_one_that_waits_is_queued_with_the_engines_reason(self):
        task = self.job('true', '--executor-option', '--hold')
        self.perdure('list', '--refresh')
        shown = self.json('show', task)
        self.assertEqual((shown['status'], shown['executor']['state']), ('queued', 'PENDING'))
        self.assertEqual(shown['executor']['reason'], 'JobHeldUser')
        self.assertIn('JobHeldUser', self.perdure('show', task).stdout)
        self.assertFalse(os.path.exists(self.path(task)))
        self.perdure('stop', task, '--reason', 'not needed', check=0)
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'not needed'))

    def test_cancelled_before_it_started_is_killed(self):
        task = self.job('true', '--executor-option', '--hold')
        CLUSTER.slurm('scancel', self.json('show', task)['executor']['place'])
        self.perdure('wait', task, check=143)
        self.assertEqual(self.record(task)['stopReason'], 'Cancelled in Slurm before it started')


class After(SlurmTest):
    """Rule 4.7 of executors.md: a job that follows others."""

    def dependency(self, task):
        shown = CLUSTER.slurm('scontrol', '-o', 'show', 'job', self.json('show', task)['executor']['place'])
        return shown.split('Dependency=')[1].split()[0]

    def test_47_slurm_waits_for_a_job_that_it_has(self):
        mark = os.path.join(CLUSTER.shared, 'order')
        first = self.job(f'sleep 3; echo first >> {mark}')
        second = self.job(f'echo second >> {mark}', '--after', first)
        third = self.job(f'echo third >> {mark}', '--after-any', second)
        place = self.json('show', first)['executor']['place']
        self.assertIn(f'afterok:{place}', self.dependency(second))
        self.assertIn('afterany:', self.dependency(third))
        eventually(lambda: (self.perdure('list', '--refresh'), self.json('show', second)['executor'].get('reason'))[1] == 'Dependency',
                   'the reason is shown')
        # No process of this host has a part in it.
        def stamps():
            if not os.path.exists(mark):
                return []
            with open(mark, encoding='utf-8') as f:
                return f.read().split()
        eventually(lambda: len(stamps()) == 3, 'all ran', 60)
        self.assertEqual(stamps(), ['first', 'second', 'third'])
        self.perdure('wait', second, third, check=0)

    def test_47_a_job_that_does_not_complete_keeps_its_follower_from_starting_and_is_named(self):
        mark = os.path.join(CLUSTER.shared, 'never')
        first = self.job('sleep 2; exit 3')
        second = self.job(f'echo x >> {mark}', '--after', first)
        third = self.job('echo went on', '--after-any', first)
        self.perdure('wait', second, check=143)
        record = self.record(second)
        self.assertEqual((record['status'], record['stopReason']),
                         ('killed', f'Task {first}, which it was to follow, ended as failed'))
        self.perdure('wait', third, check=0)
        self.assertFalse(os.path.exists(mark))

    def test_47_one_of_this_host_is_waited_for_here(self):
        first = self.sh('sleep 1')
        second = self.job('echo after', '--after', first)
        self.assertNotIn('place', self.json('show', second)['executor'])
        self.perdure('wait', second, check=0)
        self.assertEqual(self.log(second), b'after\n')
        failed = self.sh('exit 1')
        self.perdure('wait', failed)
        third = self.job('true', '--after', failed)
        self.assertEqual(self.record(third)['stopReason'], f'Task {failed}, which it was to follow, ended as failed')

    def test_47_an_ended_job_is_no_dependency(self):
        first = self.job('true')
        self.perdure('wait', first, check=0)
        second = self.job('sleep 1', '--after', first)
        self.assertEqual(self.dependency(second), '(null)')
        self.perdure('wait', second, check=0)


class Agent(SlurmTest):
    """Rule 4.7 of executors.md: a subagent that is a job."""

    def setUp(self):
        super().setUp()
        with open(os.path.join(self.config_home, 'perdure', 'config.toml'), 'a', encoding='utf-8') as f:
            f.write(f'[agents.mock]\ncommand = {json.dumps(COMMAND)}\n'
                    f'env = {{ ACP_STORE = {json.dumps(os.path.join(CLUSTER.shared, "conversations"))} }}\n')

    def agent(self, prompt, *options):
        return self.perdure('agent', '--on', 'c', '--permission', 'allow', '--cwd', CLUSTER.shared, *options, prompt,
                            check=0).stdout.strip()

    def test_47_an_agent_works_on_a_node_and_goes_on_there(self):
        task = self.agent('say done on a node', '--agent', 'mock', '--cpus', '1')
        self.perdure('wait', task, check=0)
        record = self.record(task)
        self.assertEqual((record['kind'], record['status'], record['subagentType']), ('agent', 'completed', 'mock'))
        self.assertEqual(self.log(task), b'done on a node\n')
        self.assertIn(record['executor']['node'], ('n1', 'n2'))
        again = self.agent('say again', '--resume', record['agentId'])
        self.perdure('wait', again, check=0)
        self.assertEqual((self.record(again)['agentId'], self.log(again)), (record['agentId'], b'again\n'))

    def test_47_a_failure_and_a_stop_are_as_for_one_here(self):
        failed = self.agent('refuse', '--agent', 'mock')
        self.perdure('wait', failed, check=1)
        self.assertEqual(self.record(failed)['status'], 'failed')
        stopped = self.agent('sleep 60', '--agent', 'mock')
        self.running(stopped)
        self.perdure('stop', stopped, '--reason', 'enough', check=0)
        self.assertEqual((self.record(stopped)['status'], self.record(stopped)['stopReason']), ('killed', 'enough'))


class Control(SlurmTest):
    def test_stop_reaches_the_node_and_keeps_the_reason(self):
        task = self.job('sleep 100 & setsid sleep 100 & wait')
        self.running(task)
        self.perdure('stop', task, '--reason', 'enough', check=0)
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'enough'))

    def test_extend_moves_the_deadline(self):
        task = self.job('sleep 3; exit 5', '--timeout', '2500ms')
        self.running(task)
        self.perdure('extend', task, '--timeout', '30s', check=0)
        self.perdure('wait', task, check=5)


    def test_more_time_than_the_job_has_is_refused_with_the_limit(self):
        task = self.job('sleep 100', '--time-limit', '10m')
        self.running(task)
        done = self.perdure('extend', task, '--timeout', '30m', check=2)
        self.assertRegex(done.stderr, r'Slurm ends job \d+ in \d')
        self.perdure('extend', task, '--timeout', '5m', check=0)
        self.perdure('stop', task, check=0)


class Faults(SlurmTest):
    def test_scancel_is_told_as_such(self):
        task = self.job('trap "echo bye; exit 5" TERM; echo up; sleep 100 & wait')
        place = self.running(task)['place']
        CLUSTER.slurm('scancel', place)
        self.perdure('wait', task, check=143)
        self.assertEqual(self.record(task)['stopReason'], 'Cancelled in Slurm')
        self.assertIn(b'bye', self.log(task))

    def test_a_requeue_by_an_admin_runs_nothing_twice(self):
        mark = os.path.join(CLUSTER.shared, 'marks')
        task = self.job(f'echo x >> {mark}; sleep 100')
        place = self.running(task)['place']
        CLUSTER.slurm('scontrol', 'update', f'JobId={place}', 'Requeue=1')
        CLUSTER.slurm('scontrol', 'requeue', place)
        self.perdure('wait', task, check=143)
        CLUSTER.slurm('scontrol', 'update', f'JobId={place}', 'StartTime=now')
        eventually(lambda: 'claimed already' in self.engine_log(task), 'the second copy has met the claim', 60)
        with open(mark, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'x\n')

    def engine_log(self, task):
        with open(os.path.join(CLUSTER.shared, 'tasks', task, 'engine.log'), encoding='utf-8') as f:
            return f.read()

    def test_a_runner_that_is_killed_there_is_lost(self):
        task = self.job('sleep 100')
        self.running(task)
        place = self.record(task)['executor']['place']
        CLUSTER.slurm('scancel', '-b', '-s', 'KILL', place)
        self.perdure('wait', task, check=125)
        self.assertEqual(self.record(task)['lostEvidence'], 'runner_killed')

    def test_a_dead_controller_changes_nothing(self):
        task = self.job('sleep 8; exit 4')
        self.running(task)
        time.sleep(5.5)  # its state is saved
        os.kill(CLUSTER.daemon('slurmctld'), signal.SIGKILL)
        try:
            self.perdure('wait', task, check=4)
            began = time.monotonic()
            done = self.perdure('run', '--on', 'c', '-c', 'exit 3')
            self.assertLess(time.monotonic() - began, 35)
            later = done.stdout.strip()
        finally:
            CLUSTER.start_controller()
        self.assertEqual(self.record(task)['status'], 'failed')
        if later:
            self.perdure('wait', later, check=3)

    def test_munge_that_is_gone_changes_nothing(self):
        task = self.job('sleep 3; exit 6')
        self.running(task)
        os.kill(CLUSTER.daemon('munged'), signal.SIGTERM)
        try:
            self.perdure('wait', task, check=6)
        finally:
            CLUSTER.start_munge()

    def test_a_copy_of_the_job_by_hand_runs_nothing(self):
        mark = os.path.join(CLUSTER.shared, 'by-hand')
        task = self.job(f'echo x >> {mark}; sleep 1')
        self.running(task)
        CLUSTER.slurm('sbatch', '-o', '/dev/null', os.path.join(CLUSTER.shared, 'tasks', task, 'job.sh'))
        self.perdure('wait', task, check=0)
        eventually(lambda: not CLUSTER.slurm('squeue', '-h', '-o', '%i').strip(), 'all jobs are over', 60)
        with open(mark, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'x\n')

    def test_a_killed_run_is_settled_by_the_next_contact(self):
        for i in range(8):
            mark = os.path.join(CLUSTER.shared, f'killed-{i}')
            run = self.popen('run', '--on', 'c', '--cwd', '/', '-c', f'echo x >> {mark}')
            time.sleep(0.01 * i)
            run.send_signal(signal.SIGKILL)
            out, _ = run.communicate()
            self.perdure('wait', '--timeout', '60s')
            listed = [t for t in self.json('list', '--all') if mark in t['command']]
            ran = 0
            if os.path.exists(mark):
                with open(mark, encoding='utf-8') as f:
                    ran = len(f.read().split())
            self.assertLessEqual(ran, 1)
            self.assertEqual(len(listed), ran, f'{mark}: {listed}')
            if out.strip():
                self.assertEqual([t['taskId'] for t in listed], [out.strip()])

    def test_all_local_processes_killed_the_next_contact_mirrors_it(self):
        task = self.job('sleep 2; echo done; exit 6')
        waiter = self.popen('wait', task)
        time.sleep(1)
        waiter.send_signal(signal.SIGKILL)
        waiter.communicate()
        self.perdure('wait', task, check=6)
        self.assertEqual(self.log(task), b'done\n')

    def test_a_folder_that_is_away_changes_no_status(self):
        task = self.job('sleep 2; exit 2')
        self.running(task)
        os.rename(CLUSTER.shared, CLUSTER.shared + '.away')
        try:
            self.assertEqual(self.perdure('wait', task, '--timeout', '1s').returncode, 75)
            self.assertEqual(self.record(task)['status'], 'running')
            self.assertTrue(self.json('show', task)['unverified'])
        finally:
            os.rename(CLUSTER.shared + '.away', CLUSTER.shared)
        self.perdure('wait', task, check=2)


class Preemption(SlurmTest):
    """Rule 4.8 of executors.md: a job that has to make room for another."""

    def setUp(self):
        super().setUp()
        self.urgent = None

    def tearDown(self):
        if self.urgent:
            CLUSTER.slurm('scancel', self.urgent)
        super().tearDown()

    def preempt(self):
        script = os.path.join(CLUSTER.shared, 'urgent.sh')
        with open(script, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\nsleep 100\n')
        self.urgent = CLUSTER.slurm('sbatch', '--parsable', '--partition=urgent', '--exclusive', '--nodelist=n1',
                                    '-o', '/dev/null', script).strip()

    def test_48_a_preempted_job_is_killed_and_says_so(self):
        task = self.job('trap "echo bye; exit 5" TERM; echo up; sleep 100 & wait', '--executor-option', '--nodelist=n1')
        self.assertEqual(self.running(task)['node'], 'n1')
        self.preempt()
        self.perdure('wait', task, check=143)
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'Preempted in Slurm'))
        self.assertEqual(self.log(task), b'up\nbye\n')

    def test_48_a_preempted_job_that_ignores_it_is_killed_and_says_so(self):
        task = self.job('trap "" TERM; echo up; while :; do sleep 0.2; done', '--executor-option', '--nodelist=n1', '--grace', '60s')
        self.running(task)
        self.preempt()
        self.perdure('wait', task, check=143)
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'Preempted in Slurm'))

    def test_48_a_preempted_job_that_slurm_queues_again_runs_nothing_twice(self):
        mark = os.path.join(CLUSTER.shared, 'preempted')
        task = self.job(f'echo x >> {mark}; sleep 100', '--executor-option', '--nodelist=n1')
        place = self.running(task)['place']
        CLUSTER.slurm('scontrol', 'update', f'JobId={place}', 'Requeue=1')
        self.preempt()
        self.perdure('wait', task, check=143)
        self.assertEqual(self.record(task)['status'], 'killed')
        CLUSTER.slurm('scancel', self.urgent)
        engine_log = os.path.join(CLUSTER.shared, 'tasks', task, 'engine.log')

        def met():
            time.sleep(1)  # Slurm begins its wait anew at each of these
            CLUSTER.slurm('scontrol', 'update', f'JobId={place}', 'StartTime=now')
            with open(engine_log, encoding='utf-8') as f:
                return 'claimed already' in f.read()
        eventually(met, 'the second copy has met the claim', 90)
        with open(mark, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'x\n')
        self.assertEqual(self.record(task)['status'], 'killed')


class NodeOff(SlurmTest):
    more = 'lost_after = "5m"\n'

    def test_a_node_that_is_off_is_lost_once_slurm_has_proof(self):
        task = self.job('sleep 300', '--executor-option', '--nodelist=n2')
        self.assertEqual(self.running(task)['node'], 'n2')
        CLUSTER.machine('off', 2)
        self.assertEqual(self.perdure('wait', task, '--timeout', '3s').returncode, 75)
        self.assertEqual(self.record(task)['status'], 'running')
        try:
            eventually(lambda: (self.perdure('list', '--refresh'), self.record(task)['executor'].get('state'))[1] == 'NODE_FAIL',
                       'Slurm says so', 90)
            self.assertEqual(self.record(task)['status'], 'running')
        finally:
            CLUSTER.machine('boot', 2)
        self.perdure('wait', task, check=125)
        self.assertEqual(self.record(task)['lostEvidence'], 'node_fail')


class TimeLimit(SlurmTest):
    more = 'margin = "0s"\n'

    def test_the_jobs_own_limit_is_a_timeout_by_the_executor(self):
        task = self.job('trap "" TERM; while :; do sleep 0.2; done', '--executor-option', '--time=1', '--grace', '500ms')
        self.perdure('wait', task, check=124)
        self.assertEqual(self.record(task)['timedOutBy'], 'executor')


class Sweep(SlurmTest):
    more = 'max_submitted = 100\n'

    def test_many_with_every_local_process_killed_twice_are_each_told_once(self):
        many = int(os.environ.get('PERDURE_FAR_SWEEP', '60'))
        began = time.monotonic()
        tasks = [self.job(f'echo {i}; exit {i % 5}', '--queue', '--owner', 'main') for i in range(many)]
        submitted = time.monotonic()
        for pause in (2, 4):
            processes = [self.popen('wait'), self.popen('events', '--follow'), self.popen('notifications', '--owner', 'nobody', '--wait')]
            time.sleep(pause)
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        self.perdure('wait', '--timeout', '110s')
        while any(t['status'] in ('queued', 'running') for t in self.json('list')):
            self.perdure('wait', '--timeout', '110s')
        ended = time.monotonic()
        for i, task in enumerate(tasks):
            record = self.record(task)
            self.assertEqual((record['status'], record['exitCode'], self.log(task)),
                             ('failed' if i % 5 else 'completed', i % 5, f'{i}\n'.encode()))
        told = [n['source_id'] for n in self.json('notifications', '--owner', 'main')]
        self.assertEqual(sorted(told), sorted(tasks))
        print(f'{many} tasks: {submitted - began:.1f} s to start, {ended - submitted:.1f} s to the last end', flush=True)


if __name__ == '__main__':
    unittest.main()
