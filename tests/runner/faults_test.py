"""System calls that fail: strace makes each one that the runner makes fail once, and some of them for longer.

Whatever fails, a launch is answered or nothing of it is left; a task that runs ends with its own outcome; no record is
ever torn. strace lets go of the command at its exec, so only the runner meets the faults.
"""
import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, TERMINAL, eventually, processes_with  # noqa: E402
from runner_harness import TRUNCATE  # noqa: E402
from session import PERDURE  # noqa: E402

STRACE = shutil.which('strace')
# What can go wrong with each call on a machine that is short of something, or has a bad disk.
FAULTS = {
    'openat': ('EMFILE', 'ENFILE', 'ENOSPC'), 'mkdirat': ('ENOSPC',), 'pwrite64': ('ENOSPC', 'EIO'), 'ftruncate': ('EIO',),
    'fsync': ('EIO', 'ENOSPC'), 'renameat': ('ENOSPC', 'EIO'), 'fallocate': ('ENOSPC', 'EOPNOTSUPP'), 'mmap': ('ENOMEM',),
    'pipe2': ('EMFILE',), 'socket': ('ENFILE',), 'bind': ('ENOSPC',), 'signalfd4': ('EMFILE',), 'timerfd_create': ('EMFILE',),
    'epoll_create1': ('EMFILE',), 'epoll_ctl': ('ENOMEM', 'ENOSPC'), 'clone': ('EAGAIN', 'ENOMEM'), 'epoll_wait': ('EINTR',),
    'read': ('EINTR',), 'accept4': ('EMFILE', 'ENFILE', 'ECONNABORTED', 'EINTR'), 'getdents64': ('ENOMEM',), 'unlinkat': ('EIO',),
    'pidfd_open': ('EMFILE',), 'kill': (), 'fcntl': (),
}


class Faults(RunnerTest):
    def traced(self, argv, *rules, only=None, trace='/dev/null', task=None, **options):
        """Starts a task whose runner runs under strace. `only`: rules hold for this file of the task's folder."""
        task = task or self.s.new_id()
        wrap = [STRACE, '-f', '-b', 'execve', '-qq', '-o', trace]
        if only:
            wrap += ['-P', os.path.join(self.s.folder(task), only)]
        for rule in rules:
            wrap += ['-e', 'inject=' + rule]
        return self.s.start(argv, task=task, wrap=wrap, **options)

    def calls(self, argv, during=None, **options):
        """How often the runner makes each call when nothing fails."""
        trace = os.path.join(self.scratch, 'trace')
        task, _ = self.traced(argv, trace=trace, **options)
        if during:
            during(task)
        self.watched(task)
        self.runner_gone(task)
        by_process = collections.defaultdict(collections.Counter)
        with open(trace, encoding='utf-8', errors='replace') as f:
            for line in f:
                if match := re.match(r'(\d+) +(\w+)\(', line):
                    by_process[match[1]][match[2]] += 1
        return max(by_process.values(), key=lambda c: c['renameat'])

    def watched(self, task, seconds=30):
        """The terminal record; every look on the way sees a whole one."""
        def look():
            record = self.s.read(task)
            self.assertTrue(record['status'] == 'running' or record['status'] in TERMINAL, record)
            return record if record['status'] != 'running' else None
        return eventually(look, f'{task} ended', seconds)

    def sweep(self, argv, during, check, **options):
        runs = collections.Counter()
        wrong = []
        for call, times in sorted(self.calls(argv(), during, **options).items()):
            for error in FAULTS.get(call, ()):
                for n in range(1, times + 1):
                    name = f'{call} {error} {n}'
                    problem = self.one(f'{call}:error={error}:when={n}', argv(), during, check, runs, **options)
                    if problem:
                        wrong.append(f'{name}: {problem}')
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
        counted, wrong = self.sweep(argv, None, check)
        print(f'an ordinary task, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def test_every_call_may_fail_once_in_the_life_of_a_task_that_is_stopped(self):
        runs = 0
        def argv():
            nonlocal runs
            runs += 1
            return ['/bin/bash', '-c', "trap '' TERM; setsid sleep 300 & (sleep 301 &); : > \"$0\"; sleep 302; sleep 303",
                    os.path.join(self.scratch, f'ran-{runs}')]
        def during(task):
            eventually(lambda: len(self.members(task)) >= 4, 'it runs')
            self.s.ask(task, 'stop 20 enough', timeout=5)
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record['stopReason']), ('killed', None, 'enough'))
            self.assertEqual(self.members(task), [], 'somebody survived the stop')
        counted, wrong = self.sweep(argv, during, check)
        print(f'a stopped task, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertFalse(wrong, '\n'.join(['', *wrong]))


if __name__ == '__main__':
    if not STRACE or subprocess.run([STRACE, '-qq', 'true'], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        print('skipped: strace is not there, or may not trace here')
        sys.exit(77)
    unittest.main()
