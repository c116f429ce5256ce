"""Nothing of the command line hangs where a scheduler's program does, or the shared folder's file system (rule 4.8 of
executors.md: controller hung, folder stale). With stand-ins for Slurm; the hung file system needs root and /dev/fuse."""
import ctypes
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import fake_engine  # noqa: E402
import mounts  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402

FOLDER_S, PROGRAM_S, CALL_S = 10, 30, 60  # after which what does not answer is given up
SLACK_S = 12  # of a busy machine


class HangTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.scratch, 'home')
        os.mkdir(self.home)
        self.shared = os.path.join(self.scratch, 'shared')
        engine = os.path.join(self.scratch, 'engine')
        programs = fake_engine.make(engine, self.home)
        self.hangs = os.path.join(engine, 'jobs', 'hang')
        os.makedirs(os.path.join(self.config_home, 'perdure'))
        with open(os.path.join(self.config_home, 'perdure', 'config.toml'), 'w', encoding='utf-8') as f:
            f.write(f'[executors.c]\ntype = "slurm"\nfolder = "{self.shared}"\n')
        self.path_kept = os.environ['PATH']
        os.environ['PATH'] = programs + ':' + self.path_kept
        self.gate = os.path.join(self.scratch, 'gate')
        os.mkfifo(self.gate)

    def tearDown(self):
        os.environ['PATH'] = self.path_kept
        super().tearDown()

    def hang(self, *programs):
        with open(self.hangs, 'w', encoding='utf-8') as f:
            f.write(' '.join(programs))

    def job(self, line, *options):
        return self.run_task('--on', 'c', '--cwd', '/', *options, '-c', line)

    def running(self, task):
        eventually(lambda: (self.perdure('list', '--refresh'), os.path.exists(self.path(task)))[1], 'it has started')

    def open_gate(self):
        with open(self.gate, 'w', encoding='utf-8'):
            pass

    def together(self, limit, **calls):
        """Runs them at the same time. Each has to end within `limit` seconds: (exit status, errors, seconds)."""
        env = {**os.environ, 'XDG_CONFIG_HOME': self.config_home}
        began = time.monotonic()
        running = {name: subprocess.Popen([PERDURE, '--session', self.session, *args], stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=env)
                   for name, args in calls.items()}
        done, hung = {}, []
        took = {}
        while len(took) < len(running):
            for name, process in running.items():
                if name not in took and process.poll() is not None:
                    took[name] = time.monotonic() - began
            if time.monotonic() - began > limit:
                break
            time.sleep(0.05)
        for name, process in running.items():
            if name not in took:
                hung.append(name)
                process.kill()
            out, errors = process.communicate()
            done[name] = (process.returncode, out + errors, took.get(name))
        self.assertEqual(hung, [], f'after {limit} s: {done}')
        return done


class Program(HangTest):
    def test_48_a_hung_squeue_holds_nobody_and_changes_no_status(self):
        task = self.job(f'cat {self.gate}; exit 5')
        self.running(task)
        self.hang('squeue', 'sinfo', 'scontrol')
        done = self.together(PROGRAM_S + SLACK_S, wait=['wait', task, '--timeout', '1s'], list=['list'], show=['show', task],
                             refresh=['list', '--refresh'], check=['executors', '--check', 'c'], doctor=['doctor'])
        self.assertEqual(done['wait'][0], 75)
        for name in ('wait', 'list', 'show'):
            self.assertLess(done[name][2], SLACK_S, done)
        self.assertEqual(done['check'][0], 1)
        self.assertIn('does not end', done['check'][1])
        self.assertEqual(self.record(task)['status'], 'running')
        # Its end is read from its record: nobody has to be asked.
        self.open_gate()
        self.assertEqual(self.together(SLACK_S, wait=['wait', task])['wait'][0], 5)

    def test_48_a_hung_sbatch_is_given_up_and_runs_nothing_twice(self):
        mark = os.path.join(self.scratch, 'mark')
        self.perdure('wait', self.job('true'), check=0)  # the programs are known and there
        self.hang('sbatch')
        done = self.together(PROGRAM_S + SLACK_S, run=['run', '--on', 'c', '--cwd', '/', '-c', f'echo x >> {mark}; exit 3'])['run']
        self.assertEqual(done[0], 0, done)
        task = done[1].strip()
        self.assertEqual(self.json('show', task)['status'], 'queued')
        self.hang()
        self.perdure('wait', task, check=3)
        with open(mark, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'x\n')

    def test_48_a_hung_srun_leaves_stop_its_second_way(self):
        task = self.job(f'cat {self.gate}')
        self.running(task)
        self.hang('srun', 'scancel')
        done = self.together(CALL_S + SLACK_S, stop=['stop', task, '--reason', 'enough'],
                             signal=['signal', task, 'USR1'])
        self.assertEqual(done['stop'][0], 1, done)
        self.assertIn('passed on at the next contact', done['stop'][1])
        self.assertNotEqual(done['signal'][0], 0)
        self.assertEqual(self.record(task)['status'], 'running')
        self.hang()
        self.perdure('wait', task, check=143)
        self.assertEqual(self.record(task)['stopReason'], 'enough')


class FileSystem(HangTest):
    """A file system over the shared folder that never answers."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or not os.path.exists('/dev/fuse'):
            self.skipTest('needs root and /dev/fuse')
        self.fd = None

    def tearDown(self):
        self.answer_again()
        super().tearDown()

    def stop_answering(self):
        self.fd = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f'fd={self.fd},rootmode=40000,user_id=0,group_id=0'
        if libc.mount(b'hung', self.shared.encode(), b'fuse', 0, options.encode()) != 0:
            self.skipTest(f'no file system can be mounted: {os.strerror(ctypes.get_errno())}')

    def answer_again(self):
        if self.fd is None:
            return
        mounts.unmount(self.shared)
        os.close(self.fd)  # which ends whoever waits for an answer
        self.fd = None

    def test_48_a_hung_folder_holds_nobody_and_changes_no_status(self):
        task, other, ended = self.job(f'cat {self.gate}; exit 5'), self.job('sleep 1000'), self.job('true')
        self.perdure('wait', ended, check=0)
        for one in (task, other):
            self.running(one)
        before = self.record(task)
        self.stop_answering()
        done = self.together(FOLDER_S + SLACK_S, wait=['wait', task, '--timeout', '1s'], list=['list'], show=['show', task],
                             output=['output', task], refresh=['list', '--refresh'], check=['executors', '--check', 'c'],
                             run=['run', '--on', 'c', '--cwd', '/', '-c', 'true'], signal=['signal', task, 'USR1'],
                             extend=['extend', task, '--timeout', '1h'], remove=['remove', ended],
                             stop=['stop', other, '--reason', 'enough'], doctor=['doctor'], events=['events'],
                             gc=['gc', '--dry-run'], reconcile=['reconcile'])
        self.assertEqual(done['wait'][0], 75)
        for name in ('wait', 'list', 'show', 'output', 'events'):
            self.assertLess(done[name][2], SLACK_S, done)
        for name in ('check', 'run', 'signal', 'extend', 'remove', 'stop'):
            self.assertEqual(done[name][0], 1, f'{name}: {done}')
        for name in ('check', 'run', 'signal', 'extend', 'remove'):
            self.assertIn('does not answer', done[name][1])
        self.assertEqual((self.record(task)['status'], self.record(other)['status']), (before['status'], 'running'))
        self.assertTrue(self.json('show', task)['unverified'])
        self.answer_again()
        self.open_gate()
        self.perdure('wait', task, check=5)
        self.perdure('wait', other, check=143)  # the stop was noted, and is passed on
        self.assertEqual(self.record(other)['stopReason'], 'enough')


if __name__ == '__main__':
    unittest.main()
