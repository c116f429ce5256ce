"""The runner under strace, which makes system calls fail.

strace lets go of the command at its exec, so only the runner meets the faults. It counts the calls of each process
separately: the second process of a launch is the runner, and `when=1` is its first call.
"""
import collections
import os
import re
import shutil
import subprocess
import sys
import unittest

from runner_case import TERMINAL, RunnerTest, eventually

STRACE = shutil.which('strace')


class TracedTest(RunnerTest):
    def traced(self, argv, *rules, only=None, trace='/dev/null', task=None, **options):
        """Starts a task whose runner runs under strace. `only`: rules hold for this file of the task's folder."""
        task = task or self.s.new_id()
        wrap = [STRACE, '-f', '-b', 'execve', '-qq', '-o', trace]
        if only:
            wrap += ['-P', os.path.join(self.s.folder(task), only)]
        for rule in rules:
            wrap += ['-e', 'inject=' + rule]
        return self.s.start(argv, task=task, wrap=wrap, **options)

    def watched(self, task, seconds=30):
        """The terminal record; every look on the way sees a whole one."""
        def look():
            record = self.s.read(task)
            self.assertTrue(record['status'] == 'running' or record['status'] in TERMINAL, record)
            return record if record['status'] != 'running' else None
        return eventually(look, f'{task} ended', seconds)


def calls_about(session, trace):
    """(call, which of them, the line) of a traced program, from the first call on that is about the session: what is
    before is the loader's. Of its threads and children all, each counting for itself as strace does; not those numbers
    that the loader has used up, since a fault injected there would be the loader's."""
    counted, seen, begun, first, loaders = collections.Counter(), {}, False, None, {}
    with open(trace, encoding='utf-8', errors='replace') as f:
        for line in f:
            if not (match := re.match(r'(\d+) +(\w+)\(', line)):
                continue
            process, call = match[1], match[2]
            counted[process, call] += 1
            first = first or process
            if not begun and session in line and call != 'execve':
                begun = True
                loaders = {name: n - (name == call) for (who, name), n in counted.items() if who == first}
            if begun and call not in ('execve', 'exit', 'exit_group') and counted[process, call] > loaders.get(call, 0):
                seen.setdefault((call, counted[process, call]), line)
    return [(call, n, line) for (call, n), line in seen.items()]


def main():
    if not STRACE or subprocess.run([STRACE, '-qq', 'true'], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        print('skipped: strace is not there, or may not trace here')
        sys.exit(77)
    unittest.main()
