"""Limits in a real cgroup. Skipped where none with controllers can be made: it takes root, or a delegated cgroup that is
named by PERDURE_CGROUP, and a cgroup v2 hierarchy that has the controllers."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import SessionTest, eventually, processes_with  # noqa: E402

CONTROLLERS = {'memory', 'cpu', 'pids'}


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


def switch(parent, sign, names):
    if names:
        with open(os.path.join(parent, 'cgroup.subtree_control'), 'w', encoding='utf-8') as f:
            f.write(' '.join(sign + name for name in names))


def make_group():
    """A folder in which tasks can have cgroups with all controllers, and how to take it away again; or None."""
    if given := os.environ.get('PERDURE_CGROUP'):
        parent = given
    else:
        with open('/proc/self/mountinfo', encoding='utf-8') as f:
            mounts = [line.split()[4] for line in f if ' - cgroup2 ' in line]
        parent = mounts[0] if mounts else None
    try:
        missing = CONTROLLERS - set(read(parent, 'cgroup.subtree_control').split())
        if not missing <= set(read(parent, 'cgroup.controllers').split()):
            return None
        switch(parent, '+', missing)
        group = os.path.join(parent, f'perdure-test-{os.getpid()}')
        os.mkdir(group)
    except (OSError, TypeError):
        return None

    def remove():
        os.rmdir(group)
        switch(parent, '-', missing)
    return group, remove


class RealCgroup(SessionTest):
    group = None

    def run_limited(self, line, *options):
        return self.sh(line, *options, env={'PERDURE_CGROUP': self.group})

    def tearDown(self):
        super().tearDown()
        left = [name for name in os.listdir(self.group) if name.startswith('perdure-')]
        self.assertEqual(left, [], 'cgroups were left behind')

    def gone(self):
        eventually(lambda: not processes_with('@' + self.session), 'all runners have left')

    def test_out_of_memory_is_its_own_reason(self):
        line = f'exec {sys.executable} -c "x = bytearray(400 << 20)"'
        ended = self.finished(self.run_limited(line, '--memory-max', '64MiB'))
        self.assertEqual((ended['status'], ended['signal'], ended['exitCode'], ended['stopReason']),
                         ('failed', 9, None, f'Out of memory (limit {64 << 20} bytes)'))
        self.assertTrue(ended['cgroup'].startswith(self.group + '/perdure-bash-'))
        self.gone()

    def test_all_together_may_have_so_many_processes(self):
        line = 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3 & done; wait'
        task = self.run_limited(line, '--pids-max', '5')
        self.finished(task)
        self.assertRegex(self.log(task), b'(?i)fork')
        self.gone()

    def test_all_together_have_so_much_of_the_processors(self):
        task = self.run_limited('timeout 2 sh -c "while :; do :; done"', '--cpu-max', '0.2')
        cgroup = self.record(task)['cgroup']
        until = time.monotonic() + 1
        while time.monotonic() < until:
            usage = dict(line.split() for line in read(cgroup, 'cpu.stat').splitlines())
        self.finished(task)
        self.assertGreater(int(usage['nr_throttled']), 0)
        self.assertIn('0.2 processors', self.perdure('show', task).stdout)
        self.gone()

    def test_what_a_killed_runner_leaves_is_taken_away(self):
        task = self.run_limited('sleep 300', '--memory-max', '64MiB')
        os.kill(self.record(task)['runner']['pid'], 9)
        self.perdure('wait', task, check=125)
        self.assertEqual(os.listdir(self.group).count(f'perdure-{task}'), 0)


class WithoutOne(SessionTest):
    """Everywhere: what is asked for is in the record, and show says how it is kept."""

    def test_limits_of_each_process_are_told_as_such(self):
        nowhere = {'PERDURE_CGROUP': self.scratch}
        task = self.sh('ulimit -v', '--memory-max', '512MiB', '--cpu-max', '1.5', '--pids-max', '100', env=nowhere)
        record = self.finished(task)
        self.assertEqual([record[k] for k in ('status', 'memoryMax', 'cpuMaxMilli', 'pidsMax')], ['completed', 512 << 20, 1500, 100])
        self.assertEqual(self.log(task), b'524288\n')
        shown = self.perdure('show', task).stdout
        self.assertIn('memory 512.0 MiB, 1.5 processors, 100 processes (by limits of each process', shown)

    def test_wrong_usage(self):
        for option in (('--memory-max', 'much'), ('--memory-max', '-1'), ('--cpu-max', 'x'), ('--cpu-max', '-1'), ('--cpu-max', '0.001'),
                       ('--cpu-max', '1x'), ('--pids-max', '1.5'), ('--pids-max', '-1')):
            self.perdure('run', *option, '-c', 'true', check=2)
        self.assertFalse(os.path.exists(self.session))


if __name__ == '__main__':
    if sys.argv[1:] == ['real']:
        made = make_group()
        if not made:
            print('skipped: no cgroup v2 with memory, cpu and pids can be made here')
            sys.exit(77)
        del WithoutOne, sys.argv[1]
        RealCgroup.group, take_away = made
        try:
            unittest.main()
        finally:
            take_away()
    else:
        del RealCgroup
        unittest.main()
