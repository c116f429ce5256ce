"""Each system call that the runner makes fails once, one run for each.

Whatever fails, a launch is answered or nothing of it is left; a task that runs ends with its own outcome; nobody
survives a stop; no byte goes uncounted; no record is ever torn.
"""
import collections
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import eventually, processes_with  # noqa: E402
from runner_harness import FOREGROUND, TRUNCATE  # noqa: E402
from traced_runner import TracedTest, main  # noqa: E402

# What can go wrong with each call on a machine that is short of something, or has a bad disk.
FAULTS = {
    'openat': ('EMFILE', 'ENFILE', 'ENOSPC'), 'mkdirat': ('ENOSPC',), 'mknodat': ('ENOSPC',), 'pwrite64': ('ENOSPC', 'EIO'), 'pwritev': ('ENOSPC', 'EIO'),
    'ftruncate': ('EIO',),
    'fsync': ('EIO', 'ENOSPC'), 'renameat': ('ENOSPC', 'EIO'), 'fallocate': ('ENOSPC', 'EOPNOTSUPP'), 'mmap': ('ENOMEM',),
    'pipe2': ('EMFILE',), 'socket': ('ENFILE',), 'bind': ('ENOSPC',), 'signalfd4': ('EMFILE',), 'timerfd_create': ('EMFILE',),
    'epoll_create1': ('EMFILE',), 'epoll_ctl': ('ENOMEM', 'ENOSPC'), 'clone': ('EAGAIN', 'ENOMEM'), 'epoll_wait': ('EINTR',),
    'read': ('EINTR',), 'accept4': ('EMFILE', 'ENFILE', 'ECONNABORTED', 'EINTR'), 'getdents64': ('ENOMEM',), 'unlinkat': ('EIO',),
    'pidfd_open': ('EMFILE',), 'linkat': ('ENOSPC', 'EMFILE'), 'memfd_create': ('EMFILE',), 'write': ('ENOSPC', 'EINTR'), 'pread64': ('EIO',),
}


class Sweep(TracedTest):
    def calls(self, argv, during=None, **options):
        """How often the runner makes each call when nothing fails: in its whole life, and until it has answered."""
        trace = os.path.join(self.scratch, 'trace')
        task, _ = self.traced(argv, trace=trace, **options)
        if during:
            during(task)
        self.watched(task)
        runner = self.runner_pid(task)
        self.runner_gone(task)
        all_of_it, launch = collections.Counter(), None
        with open(trace, encoding='utf-8', errors='replace') as f:
            for line in f:
                if match := re.match(rf'{runner} +(\w+)\(', line):
                    all_of_it[match[1]] += 1
                    if match[1] == 'writev' and '"running ' in line:
                        launch = collections.Counter(all_of_it)
        return all_of_it, launch

    def sweep(self, argv, during, check, only=None, launch_too=True, errors=9, reads=1, **options):
        """Each call fails once, with each error: (how the runs went, what went wrong). `reads`: every so many of them."""
        runs = collections.Counter()
        wrong = []
        all_of_it, launch = self.calls(argv(), during, **options)
        for call in sorted(set(all_of_it) & set(only or FAULTS)):
            for error in FAULTS[call][:errors]:
                for n in range(1 if launch_too else launch[call] + 1, all_of_it[call] + 1, reads if call == 'read' else 1):
                    problem = self.one(f'{call}:error={error}:when={n}', argv(), during, check, runs, **options)
                    if problem:
                        wrong.append(f'{call} {error} {n}: {problem}')
        return runs, wrong

    def one(self, rule, argv, during, check, runs, **options):
        task, answer = self.s.new_id(), None
        try:
            _, answer = self.traced(argv, rule, task=task, patience=5, **options)
            if not answer.startswith('running'):
                runs['refused'] += 1
                eventually(lambda: not self.members(task), 'nothing runs')
                self.assertFalse(os.path.exists(self.s.record(task)), 'a record was left')
                self.assertFalse(os.path.exists(argv[-1]), 'it was refused, and ran')
                self.assertRegex(answer, r'^(failed \d+ \w.*)?$')
                return None
            runs['ran'] += 1
            if during:
                during(task)
            record = self.watched(task)
            check(task, record)
            self.assertTrue(os.path.exists(os.path.join(self.session, 'outbox', task)), 'L32: an end that nobody is told of')
            self.runner_gone(task)
            return None
        except (AssertionError, OSError, ValueError) as e:
            return f'{answer!r}: {e}'
        finally:
            for pid in processes_with(f'{task}@{self.session}'):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass

    def assert_none(self, wrong):
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def test_every_call_may_fail_once_in_the_life_of_an_ordinary_task(self):
        runs = 0
        def argv():
            nonlocal runs
            runs += 1
            return ['/bin/sh', '-c', 'echo out; : > "$0"; exit 3', os.path.join(self.scratch, f'ran-{runs}')]
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record.get('stopReason')), ('failed', 3, None))
            self.assertEqual(record['outputBytes'], 4)
            self.assertEqual(len(self.s.output(task)) + record.get('unstoredBytes', 0), 4)
        # A gate or an answer that can't be written is nothing that a machine short of something does.
        counted, wrong = self.sweep(argv, None, check, only=set(FAULTS) - {'write'})
        print(f'an ordinary task, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 100)
        self.assert_none(wrong)

    def test_L12_every_call_may_fail_once_while_a_task_is_stopped(self):
        runs = 0
        def argv():
            nonlocal runs
            runs += 1
            return ['/bin/bash', '-c', "trap '' TERM; setsid sleep 300 & (sleep 301 &); : > \"$0\"; sleep 302; sleep 303",
                    os.path.join(self.scratch, f'ran-{runs}')]
        def during(task):
            eventually(lambda: len(self.members(task)) >= 4, 'it runs')
            # A hang-up is an answer, too: ask again. Silence is none.
            eventually(lambda: self.s.ask(task, 'stop 20 enough', timeout=5) == 'ok', 'the stop is taken', 5)
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record['stopReason']), ('killed', None, 'enough'))
            self.assertEqual(self.members(task), [], 'somebody survived the stop')
        counted, wrong = self.sweep(argv, during, check, launch_too=False, errors=1, reads=8)
        print(f'a stopped task, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 50)
        self.assert_none(wrong)

    def test_L27_every_call_may_fail_once_while_a_foreground_task_is_detached(self):
        runs = 0
        gate = os.path.join(self.scratch, 'gate')
        def argv():
            nonlocal runs
            runs += 1
            if os.path.exists(gate):
                os.unlink(gate)
            return ['/bin/sh', '-c', f'echo one; until [ -e {gate} ]; do sleep 0.01; done; echo two; exit 3; : "$0"',
                    os.path.join(self.scratch, f'ran-{runs}')]
        def during(task):
            eventually(lambda: (self.s.ask(task, 'output', timeout=5) or '').startswith('output 4 '), 'it has printed')
            # Refused, it is asked again; and what has no room to be detached is detached by its caller's death.
            answers = [self.s.ask(task, 'detach -1', timeout=5) for _ in range(2)]
            self.assertIn('ok', [a for a in answers if a != 'no'] or ['ok'], answers)
            self.s.callers.pop(task).close()
            with open(gate, 'w', encoding='utf-8'):
                pass
            eventually(lambda: os.path.exists(self.s.record(task)), 'it is detached')
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record['detached']), ('failed', 3, True))
            self.assertEqual(record['outputBytes'], 8)
            self.assertEqual(len(self.s.output(task)) + record.get('unstoredBytes', 0), 8)
        calls = {'openat', 'linkat', 'memfd_create', 'renameat', 'fsync', 'mknodat', 'pwrite64', 'pwritev', 'ftruncate', 'fallocate', 'epoll_ctl',
                 'accept4', 'mmap'}
        counted, wrong = self.sweep(argv, during, check, only=calls, errors=1, mode=FOREGROUND)
        print(f'a foreground task that is detached, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 30)
        self.assert_none(wrong)

    def test_L24_L25_every_byte_is_counted_whichever_call_fails_while_output_is_dropped(self):
        def argv():
            return ['/bin/bash', '-c', 'for i in {1..40}; do printf "%0999d\\n" $i; done; exit 3', '/nowhere']
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 40_000))
            log = re.sub(rb'\n\[perdure: \d+ bytes dropped here\]\n', b'', self.s.output(task))
            missing = record.get('droppedBytes', 0) + record.get('unstoredBytes', 0)
            self.assertEqual(len(log) + missing, 40_000, f"{len(log)} stored, {record.get('droppedBytes')} dropped, "
                             f"{record.get('unstoredBytes')} unstored")
        counted, wrong = self.sweep(argv, None, check, only={'write', 'openat', 'pread64', 'unlinkat'}, launch_too=False, errors=1,
                                    limit=12_000, on_limit=TRUNCATE)
        print(f'a task that exceeds its budget, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 10)
        self.assert_none(wrong)


if __name__ == '__main__':
    main()
