"""L66, D55: what a command costs does not grow with the tasks that have ended, that live, or that wait in the queue.

System calls are counted, never time: a count is the same on every machine. Not counted are those of the allocator and of
waiting threads, and the reading of a folder's names (getdents64), of which there is one for some hundred names.
"""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually  # noqa: E402
import mcp_client  # noqa: E402

STRACE = shutil.which('strace')
FEW, MANY = 20, 400
FEW_LIVE, MANY_LIVE = 6, 46
# A start without a cap finds how many slots there are by halving (6 looks more for 46 tasks than for 6) and tries up to four
# of them, of 3 calls each; a lock or a signal comes between now and then. One call for each of 40 more tasks is above this.
SLACK = 22
NOT_COUNTED = {'getdents64', 'brk', 'mmap', 'munmap', 'mremap', 'madvise', 'mprotect', 'futex', 'exit_group', 'exit',
               'rt_sigaction', 'rt_sigprocmask', 'sched_yield', 'restart_syscall', 'clock_nanosleep', 'nanosleep'}
HOOK = json.dumps({'session_id': 'owner', 'hook_event_name': 'UserPromptSubmit', 'prompt': 'x', 'cwd': '/'})


def calls_in(trace):
    counted = collections.Counter()
    with open(trace, encoding='utf-8', errors='replace') as f:
        for line in f:
            if (match := re.match(r'(?:\d+ +)?(\w+)\(', line)) and match[1] not in NOT_COUNTED:
                counted[match[1]] += 1
    return counted


# Calls of `run` up to its answer, from the second task on, without those of the loader: 74 of the command line, 2 of the process
# in between, 77 of the runner, 16 of the command's process up to its exec. The rest is for a lock or a folder more.
MOST_CALLS_OF_A_LAUNCH = 180
MOST_FLUSHES_OF_A_LAUNCH = 2  # the record and its folder: no more, and no less


class Counts(SessionTest):
    def tearDown(self):
        if os.path.isdir(self.session):
            self.perdure('stop', '--all', '--grace', '0s')
        super().tearDown()

    def plant(self, count):
        """So many more tasks that have ended: the record of a real one under other ids."""
        task = self.sh('echo out')
        record = self.finished(task)
        for n in range(count):
            record['taskId'] = f'bash-{n:08x}'
            with open(self.path(record['taskId']), 'w', encoding='utf-8') as f:
                json.dump(record, f)
            os.chmod(self.path(record['taskId']), 0o600)
        # As if they had been there before the index was: it is made anew by the next command that may.
        complete = os.path.join(self.session, 'active', '.complete')
        if os.path.exists(complete):
            os.remove(complete)
        self.perdure('reconcile', check=0)
        self.assertTrue(os.path.exists(os.path.join(self.session, 'active', '.complete')))
        return task

    def count(self, *args, stdin='', with_runner=False):
        """The fewest calls of some runs: what the command needs, without what disturbed it."""
        trace = os.path.join(self.scratch, 'trace')

        def once():
            subprocess.run([STRACE, '-f', *([] if with_runner else ['-b', 'execve']), '-qq', '-o', trace, PERDURE, '--session', self.session, *args], check=False,
                           input=stdin, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
            return calls_in(trace)
        return self.fewest(once)

    def fewest(self, once):
        """Until the least was met twice: a busy machine disturbs more than one run, but never in the same way."""
        counts = []
        while len(counts) < 12:
            counts.append(once())
            self.assertGreater(sum(counts[-1].values()), 20, 'nothing was traced')
            counts.sort(key=lambda c: sum(c.values()))
            if len(counts) >= 3 and sum(counts[1].values()) - sum(counts[0].values()) <= 3:
                break
        return counts[0]

    def count_run(self):
        """With the calls of the runner. The task lasts, so that who waits always comes before its end."""
        return self.count('run', '--wait', '-c', 'sleep 0.3', with_runner=True)

    def acknowledge_all(self):
        told = [n['id'] for n in self.json('notifications')]
        if told:
            self.perdure('notifications', 'ack', *told, check=0)

    def count_mcp(self):
        """The calls of a server from its start to its answer to a background Bash and to a list of what lives."""
        trace = os.path.join(self.scratch, 'trace')
        traced = os.path.join(self.scratch, 'traced-perdure')
        with open(traced, 'w', encoding='ascii') as f:
            f.write(f'#!/bin/sh\nexec {STRACE} -f -b execve -qq -o {trace} {PERDURE} "$@"\n')
        os.chmod(traced, 0o755)

        def once():
            with unittest.mock.patch('mcp_client.PERDURE', traced):
                client = mcp_client.McpClient(self.session)
            client.initialize()
            task = client.call('Bash', command='sleep 1', run_in_background=True, description='sleep')['structuredContent']['task_id']
            client.call('TaskList', active_only=True)
            client.end()
            counts = calls_in(trace)
            self.finished(task)
            self.acknowledge_all()
            return counts
        return self.fewest(once)

    def compare(self, few, many, n):
        for name, before in few.items():
            after = many[name]
            grown = {call: (before[call], after[call]) for call in after if after[call] > before[call]}
            with self.subTest(command=name):
                self.assertLessEqual(sum(after.values()), sum(before.values()) + SLACK, f'{n} more tasks: {grown}')

    def count_all(self, task):
        live = self.sh('sleep 300')
        self.acknowledge_all()
        counts = {'list': self.count('list'), 'show': self.count('show', task), 'output': self.count('output', task),
                  'wait ID': self.count('wait', task), 'wait': self.count('wait', '--timeout', '10ms'),
                  'notifications': self.count('notifications'), 'hook': self.count('hook', 'claude-code', 'prompt', stdin=HOOK),
                  'run': self.count_run()}
        self.perdure('stop', live, check=0)
        self.acknowledge_all()
        counts['mcp'] = self.count_mcp()
        return counts

    def test_L66_D55_nothing_grows_with_tasks_that_have_ended(self):
        task = self.plant(FEW)
        few = self.count_all(task)
        task = self.plant(MANY)
        self.compare(few, self.count_all(task), MANY - FEW)

    def count_some(self, task):
        return {'show': self.count('show', task), 'output': self.count('output', task), 'wait ID': self.count('wait', task),
                'run': self.count_run()}

    def test_L66_D55_one_task_costs_the_same_whatever_lives(self):
        task = self.plant(1)
        for _ in range(FEW_LIVE):
            self.sh('sleep 300')
        few = self.count_some(task)
        for _ in range(MANY_LIVE - FEW_LIVE):
            self.sh('sleep 300')
        self.compare(few, self.count_some(task), MANY_LIVE - FEW_LIVE)

    def test_L66_D55_one_task_costs_the_same_whatever_is_queued(self):
        task = self.plant(1)
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        self.sh('sleep 300', env=cap)
        for _ in range(FEW_LIVE):
            self.sh('sleep 300', '--queue', env=cap)
        few = {name: self.count(name, task) for name in ('show', 'output', 'wait')}
        few['run'] = self.count_run()
        for _ in range(MANY_LIVE - FEW_LIVE):
            self.sh('sleep 300', '--queue', env=cap)
        many = {name: self.count(name, task) for name in ('show', 'output', 'wait')}
        many['run'] = self.count_run()
        self.compare(few, many, MANY_LIVE - FEW_LIVE)

    def launch(self):
        """The calls of one `run -c true`: (process, call, arguments), from each the ones that are before the answer."""
        for name in os.listdir(self.scratch):
            if name.startswith('launch.'):
                os.remove(os.path.join(self.scratch, name))
        subprocess.run([STRACE, '-ff', '-o', os.path.join(self.scratch, 'launch'), PERDURE, '--session', self.session, 'run', '-c', 'true'],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        found = []
        for name in os.listdir(self.scratch):
            if not name.startswith('launch.'):
                continue
            with open(os.path.join(self.scratch, name), encoding='utf-8', errors='replace') as f:
                calls = [match.groups() for line in f if (match := re.match(r'(\w+)\((.*)', line))]
            programs = [n for n, (call, args) in enumerate(calls) if call == 'execve']
            answers = [n for n, (call, args) in enumerate(calls) if call == 'writev' and '"running ' in args]
            if answers:
                process, calls = 'runner', calls[:answers[0] + 1]
            elif programs and '"/bin/sh"' in calls[programs[-1]][1]:
                process, calls = 'command', calls[:programs[-1] + 1]
            elif programs:
                # What a C library does before main() is another matter, and differs with how it is linked.
                process, calls = 'perdure', calls[next(n for n, (call, args) in enumerate(calls) if 'SIGPIPE' in args):]
            else:
                process = 'between'
            found += [(process, call, args) for call, args in calls]
        return found

    def test_L66_D51_a_launch_makes_no_call_that_it_does_not_need(self):
        task = self.sh('true')
        self.finished(task)
        calls = min((self.launch() for _ in range(3)), key=len)
        counted = collections.Counter(process for process, _, _ in calls)
        self.assertEqual(set(counted), {'perdure', 'between', 'runner', 'command'}, 'everybody was traced')
        print('calls of a launch up to its answer:', sum(counted.values()), dict(counted), flush=True)
        self.assertLessEqual(len(calls), MOST_CALLS_OF_A_LAUNCH, counted)
        self.assertEqual(sum(1 for _, call, _ in calls if call in ('fsync', 'fdatasync')), MOST_FLUSHES_OF_A_LAUNCH)
        opened = collections.Counter((process, args.partition(',')[2].partition(',')[0]) for process, call, args in calls
                                     if call == 'openat' and process in ('perdure', 'runner') and ' = -1 ' not in args and self.session in args)
        twice = {path for (process, path), times in opened.items() if times > 1}
        self.assertFalse(twice, 'opened twice')
        self.assertFalse([args for process, call, args in calls if process == 'perdure' and '.json' in args and ' = -1 ENOENT' not in args],
                         'D51: the record is not read again for the answer')

    def test_L66_an_entry_that_stands_for_nothing_does_nothing(self):
        """A session is foreign data: an entry of active/ costs a look, and no more."""
        task = self.plant(1)
        active = os.path.join(self.session, 'active')
        for name in ('bash-forged00', task, 'bash-00000000'):
            with open(os.path.join(active, name), 'w', encoding='ascii'):
                pass
        os.symlink('/etc/passwd', os.path.join(active, 'bash-link0000'))
        os.mkfifo(os.path.join(active, 'bash-fifo0000'))
        before = {name: os.stat(os.path.join(self.tasks, name)).st_mtime_ns for name in self.task_names()}
        self.assertEqual(self.json('list'), [])
        self.perdure('reconcile', check=0)
        self.assertEqual(before, {name: os.stat(os.path.join(self.tasks, name)).st_mtime_ns for name in self.task_names()})
        self.assertEqual(self.json('list'), [])
        left = set(os.listdir(active)) - {'.complete', '.ended'}
        self.assertFalse({task, 'bash-00000000'} & left, 'entries of ended tasks are taken away')

    def test_L66_a_task_that_no_index_names_is_found(self):
        """Another program's record is in no index: the names in the folder tell of it, and so does an older version's."""
        task = self.plant(3)
        record = self.record(task)
        for key in ('runner', 'executor', 'onDeadline'):
            record.pop(key, None)
        process = subprocess.Popen(['sleep', '300'], start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        record.update(taskId='bash-other000', status='running', endedAt=None, exitCode=None, pid=process.pid,
                      startedAt=int(time.time() * 1000), command='sleep 300')
        with open(self.path('bash-other000'), 'w', encoding='utf-8') as f:
            json.dump(record, f)
        self.assertIn('bash-other000', [t['taskId'] for t in self.json('list')])

    def test_L66_D09_D14_what_makes_the_index_doubtful_makes_it_anew(self):
        task = self.plant(1)
        live = self.sh('sleep 300')
        active = os.path.join(self.session, 'active')
        seq = os.path.join(self.session, 'seq')

        def another_boot():
            with open(os.path.join(active, '.complete'), 'w', encoding='ascii') as f:
                f.write('00000000-0000-0000-0000-000000000000 1 -\n')

        def an_older_version():  # changes the first word only
            with open(seq, 'r+b') as f:
                number = int.from_bytes(f.read(8), 'little') + 1
                f.seek(0)
                f.write(number.to_bytes(8, 'little'))

        def a_file_of_an_older_version():
            os.truncate(seq, 8)

        def no_mark():
            os.remove(os.path.join(active, '.complete'))

        for doubt in (another_boot, an_older_version, a_file_of_an_older_version, no_mark):
            with self.subTest(doubt=doubt.__name__):
                os.remove(os.path.join(active, live))
                doubt()
                self.assertEqual([t['taskId'] for t in self.json('list')], [live], 'a read-only command looks at everything')
                self.assertFalse(os.path.exists(os.path.join(active, live)), 'L50: and writes nothing')
                self.perdure('reconcile', check=0)
                self.assertTrue(os.path.exists(os.path.join(active, live)))
                with open(seq, 'rb') as f:
                    words = f.read()
                self.assertEqual(len(words), 16)
                self.assertEqual(words[:8], words[8:])
        self.assertEqual(self.record(task)['status'], 'completed')

    def test_D05_a_task_has_an_entry_as_long_as_anything_of_it_lives(self):
        active = os.path.join(self.session, 'active')
        task = self.sh('setsid sleep 300 & exit 0', '--leftovers', 'keep')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertIn(task, os.listdir(active))
        self.perdure('stop', task, check=0)
        eventually(lambda: task not in os.listdir(active), 'its leftovers are gone')


if __name__ == '__main__':
    if not STRACE or subprocess.run([STRACE, '-qq', 'true'], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        print('skipped: strace is not there, or may not trace here')
        sys.exit(77)
    unittest.main()
