"""Limits, seen from the runner: what it asks of a cgroup, and what it does where there is none.

The cgroup here is a folder of plain files with the kernel's names: it shows what is written to it. Real ones are in
tests/e2e/limits_test.py.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest  # noqa: E402

MIB = 1 << 20


class Cgroup(RunnerTest):
    FILES = ('memory.max', 'memory.swap.max', 'cpu.max', 'pids.max', 'cgroup.procs', 'memory.events')

    def cgroup(self, *without, oom_kills=0):
        """(id for a task, folder for its cgroup, its cgroup made already)"""
        task = self.s.new_id()
        own = os.path.join(self.scratch, 'cgroup "☃"', f'perdure-{task}')
        os.makedirs(own)
        for name in self.FILES:
            if name not in without:
                with open(os.path.join(own, name), 'w', encoding='utf-8') as f:
                    f.write(f'low 0\nmax 9\noom 3\noom_kill {oom_kills}\noom_group_kill 0\n' if name == 'memory.events' else '')
        return task, os.path.dirname(own), own

    def content(self, folder, name):
        with open(os.path.join(folder, name), encoding='utf-8') as f:
            return f.read()

    def run_in(self, line, task, parent, limits=(64 * MIB, 1500, 30, 999)):
        escaped = parent.replace('"', '\\"')
        started = self.sh(line, task=task, limits=limits, cgroup=parent, cgroup_path=f'{escaped}/perdure-{task}')
        return self.ended(started)

    def test_the_command_is_put_into_a_cgroup_of_its_own(self):
        task, parent, own = self.cgroup()
        record = self.run_in('exit 0', task, parent)
        self.assertEqual((record['status'], record['cgroup']), ('completed', own))
        self.assertEqual({name: self.content(own, name) for name in self.FILES[:5]},
                         {'memory.max': str(64 * MIB), 'memory.swap.max': '0', 'cpu.max': '150000 100000', 'pids.max': '30',
                          'cgroup.procs': '0'})

    def test_only_what_is_limited_is_written(self):
        task, parent, own = self.cgroup('memory.max', 'cpu.max', 'memory.swap.max')
        self.assertEqual(self.run_in('exit 0', task, parent, (0, 0, 7, 0))['cgroup'], own)
        self.assertEqual(self.content(own, 'pids.max'), '7')

    def test_out_of_memory_is_the_reason_and_the_signal_is_kept(self):
        task, parent, _ = self.cgroup(oom_kills=1)
        record = self.run_in('kill -9 $$', task, parent)
        self.assertEqual((record['status'], record['signal'], record['exitCode'], record['stopReason']),
                         ('failed', 9, None, f'Out of memory (limit {64 * MIB} bytes)'))

    def test_out_of_memory_below_a_command_that_fails_is_the_reason(self):
        task, parent, _ = self.cgroup(oom_kills=2)
        record = self.run_in('exit 2', task, parent)
        self.assertEqual((record['status'], record['exitCode']), ('failed', 2))
        self.assertIn('Out of memory', record['stopReason'])

    def test_L46_whoever_got_over_it_has_no_reason(self):
        task, parent, _ = self.cgroup(oom_kills=1)
        self.assertNotIn('stopReason', self.run_in('exit 0', task, parent))
        task, parent, _ = self.cgroup(oom_kills=0)
        self.assertNotIn('stopReason', self.run_in('kill -9 $$', task, parent))

    def test_a_cgroup_that_lacks_a_controller_is_none(self):
        for missing in ('memory.max', 'cpu.max', 'pids.max', 'cgroup.procs'):
            task, parent, own = self.cgroup(missing)
            record = self.run_in('ulimit -v', task, parent)
            self.assertEqual((record['status'], record.get('cgroup')), ('completed', None), missing)
            self.assertEqual(self.s.output(task), b'65536\n')
            if missing != 'cgroup.procs':
                self.assertEqual(self.content(own, 'cgroup.procs'), '', 'it was not put in')

    def test_a_cgroup_that_cannot_be_made_is_none(self):
        task = self.s.new_id()
        self.assertEqual(self.run_in('ulimit -v', task, '/proc/self')['status'], 'completed')
        self.assertEqual(self.s.output(task), b'65536\n')
        self.assertNotIn('cgroup', self.s.read(task))

    def test_a_command_that_cannot_be_put_in_does_not_run(self):
        task, parent, own = self.cgroup()
        os.unlink(os.path.join(own, 'cgroup.procs'))
        os.symlink('/dev/full', os.path.join(own, 'cgroup.procs'))
        mark = os.path.join(self.scratch, 'ran')
        _, answer = self.s.start(['/usr/bin/touch', mark], task=task, limits=(MIB, 0, 0, 0), cgroup=parent)
        self.assertEqual(answer, 'failed 28 put it under its limits')
        self.assert_nothing_of(task)
        self.assertFalse(os.path.exists(mark))

    def test_it_is_taken_away_at_the_end_and_after_a_failed_launch(self):
        parent = self.file_system_of_cgroups()
        if parent is None:
            self.skipTest('no cgroup can be made here')
        # Limits that no controller here has: the cgroup is made, found wanting and removed again.
        task, answer = self.s.start(['/bin/true'], limits=(64 * MIB, 0, 0, 0), cgroup=parent)
        self.assertTrue(answer.startswith('running '))
        self.ended(task)
        self.runner_gone(task)
        self.assertEqual([n for n in os.listdir(parent) if n.startswith('perdure-')], [])
        os.rmdir(parent)

    def file_system_of_cgroups(self):
        """A new folder in a real hierarchy, without controllers."""
        with open('/proc/self/mountinfo', encoding='utf-8') as f:
            mounts = [line.split()[4] for line in f if ' - cgroup2 ' in line]
        try:
            parent = os.path.join(mounts[0], 'test-' + self.s.new_id())
            os.mkdir(parent)
            return parent
        except (IndexError, OSError):
            return None


class EachProcess(RunnerTest):
    def test_memory_processes_and_processors(self):
        there = len(os.sched_getaffinity(0))
        task = self.sh('ulimit -v; ulimit -u; nproc', limits=(512 * MIB, 1000, 5, 12345))
        record = self.ended(task)
        self.assertNotIn('cgroup', record)
        self.assertEqual(self.s.output(task).split(), [b'524288', b'12345', b'1'])
        task = self.sh('nproc', limits=(0, (there + 3) * 1000, 0, 0))
        self.ended(task)
        self.assertEqual(int(self.s.output(task)), there)

    def test_a_command_that_wants_more_memory_is_refused_it(self):
        line = f'exec {sys.executable} -c "bytearray(400 << 20)"'
        self.assertEqual(self.outcome(self.sh(line, limits=(2 << 30, 0, 0, 0))), ('completed', 0, None))
        task = self.sh(line, limits=(200 * MIB, 0, 0, 0))
        self.assertEqual(self.outcome(task), ('failed', 1, None))
        self.assertIn(b'MemoryError', self.s.output(task))

    def test_without_limits_nothing_is_touched(self):
        task = self.sh('ulimit -v; nproc')
        self.ended(task)
        self.assertEqual(self.s.output(task), b'unlimited\n%d\n' % len(os.sched_getaffinity(0)))


if __name__ == '__main__':
    unittest.main()
