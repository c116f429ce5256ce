"""SIGKILL to `perdure run --on` at each of its system calls, with stand-ins for ssh and Slurm.

Whatever the instant: the command runs at most once, there is a record exactly if it ran or is going to, an id that was
printed is that of a task, and one `perdure wait` afterwards settles it. PERDURE_CRASH_ROUNDS below 100 takes fewer calls.
"""
import collections
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import fake_engine  # noqa: E402
from traced_perdure import TracedPerdure  # noqa: E402
from traced_runner import main  # noqa: E402


class EachCallOfTheSubmitter(TracedPerdure):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.scratch, 'home')
        os.mkdir(self.home)
        self.shared = os.path.join(self.scratch, 'shared')
        programs = fake_engine.make(os.path.join(self.scratch, 'engine'), self.home)
        os.makedirs(os.path.join(self.config_home, 'perdure'))
        with open(os.path.join(self.config_home, 'perdure', 'config.toml'), 'w', encoding='utf-8') as f:
            f.write(f'[executors.s]\ntype = "ssh"\nhost = "h"\n[executors.c]\ntype = "slurm"\nfolder = "{self.shared}"\n')
        self.kept = {name: os.environ.get(name) for name in ('PATH', 'XDG_CONFIG_HOME')}
        os.environ['PATH'] = programs + ':' + os.environ['PATH']
        os.environ['XDG_CONFIG_HOME'] = self.config_home

    def tearDown(self):
        for name, value in self.kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        super().tearDown()

    def marks(self, mark):
        try:
            with open(mark, encoding='utf-8') as f:
                return len(f.read().split())
        except FileNotFoundError:
            return 0

    def kill_at_each_call(self, executor, most):
        line = 'echo x >> "$MARK"; exit 3'

        def args(mark):
            return ['run', '--on', executor, '--cwd', '/', '--env', f'MARK={mark}', '-c', line]
        # The place is known and has the programs: what is looked at is the submit.
        self.fresh('first')
        self.perdure(*args(os.path.join(self.scratch, 'first')), check=0)
        self.perdure('wait')
        known = os.path.join(self.session, 'far', '.host-s')
        self.fresh('dry')

        def prepare():
            os.makedirs(os.path.join(self.session, 'far'), mode=0o700)
            if os.path.exists(known):
                shutil.copy(known, os.path.join(self.session, 'far', '.host-s'))
        prepare()
        seen = collections.Counter()
        wrong = []
        for n, (call, which) in enumerate(self.instants(args(os.path.join(self.scratch, 'dry')), most)):
            self.fresh(n)
            prepare()
            mark = os.path.join(self.scratch, f'mark-{n}')
            try:
                done = self.traced(args(mark), f'{call}:signal=SIGKILL:when={which}')
                self.perdure('wait', '--timeout', '60s')
                records = self.json('list', '--all')
                ran = self.marks(mark)
                seen[(len(records), ran)] += 1
                self.assertLessEqual(ran, 1, 'it ran twice')
                self.assertEqual(len(records), ran, f'{records}')
                if done.stdout.strip():
                    self.assertEqual([r['taskId'] for r in records], [done.stdout.strip()])
                for record in records:
                    self.assertEqual((record['status'], record['exitCode']), ('failed', 3))
                self.assertEqual([n for n in os.listdir(os.path.join(self.session, 'far')) if n[0] != '.'], [])
                # Nothing is left to be started later.
                self.perdure('wait', '--timeout', '1s')
                self.assertEqual(self.marks(mark), ran)
            except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as e:
                wrong.append(f'{call} {which}: {e}')
        print(f'{executor}: (records, runs) {dict(seen)}', flush=True)
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def test_over_ssh(self):
        self.kill_at_each_call('s', 60)

    def test_into_slurm(self):
        self.kill_at_each_call('c', 60)


if __name__ == '__main__':
    main()
