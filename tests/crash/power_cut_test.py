"""D53: a session is recorded call by call; what a power cut may leave at each instant is built and opened.

Nothing that somebody was told may be untrue in any of them: no task is lost, no notification, no answer; no record is torn, and
nothing runs twice. support/power_cut.py has the two kinds of file system. PERDURE_POWER_CUT=all looks at every state, else at so
many of each session as fit into some seconds; the numbers are printed.
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import power_cut  # noqa: E402
from session import PERDURE, SessionTest, eventually, processes_with  # noqa: E402
from traced_runner import main  # noqa: E402

ALL = os.environ.get('PERDURE_POWER_CUT') == 'all'
MOST = int(os.environ.get('PERDURE_POWER_CUT_STATES', '15'))
BOOT = '/proc/sys/kernel/random/boot_id'
ANOTHER_BOOT = '01234567-89ab-4cde-8f01-23456789abcd'
# What says nothing about a task, or is said to promise nothing: it is there or not with all the rest of its kind.
NOISE = ('seq', 'slots', 'admission.lock', 'runner.lock', 'control', 'record.next', 'conversations.lock', 'swept', 'input.lock')


class PowerCut(SessionTest):
    def setUp(self):
        super().setUp()
        self.world = os.path.join(self.scratch, 'world')
        self.marks = os.path.join(self.scratch, 'marks')
        self.ran = os.path.join(self.marks, 'ran')
        self.session = os.path.join(self.world, 'session')
        self.tasks = os.path.join(self.session, 'tasks')
        os.mkdir(self.world)
        os.mkdir(self.marks)
        with open(BOOT, encoding='ascii') as f:
            self.boot = f.read().strip()

    def said(self, name):
        with open(os.path.join(self.marks, name), encoding='utf-8') as f:
            return f.read().strip()

    def recorded(self, script):
        """`p` is perdure; `said NAME ARGS` keeps what it prints; `told WHAT` is the instant at which somebody knows it."""
        trace = os.path.join(self.scratch, 'trace')
        head = (f'p() {{ "{PERDURE}" --session "{self.session}" "$@"; }}\n'
                f'said() {{ name=$1; shift; p "$@" > "{self.marks}/$name"; }}\n'
                f'of() {{ cat "{self.marks}/$1"; }}\n'
                f'told() {{ : > "{self.marks}/told-$1"; }}\n'
                f'ran="{self.ran}"\n')
        done = power_cut.record(head + script, trace, {**os.environ, 'XDG_CONFIG_HOME': self.config_home})
        self.assertEqual(done.returncode, 0, done.stderr)
        history = power_cut.History(self.world, trace, self.marks, lambda path: any(part in NOISE for part in path.split('/')))
        self.check_model(history)
        os.unlink(trace)
        return history

    def check_model(self, history):
        """The model is right: at the end it has what is on disk."""
        there = {}
        for folder, folders, names in os.walk(self.world):
            for name in folders + names:
                path = os.path.join(folder, name)
                there[os.path.relpath(path, self.world)] = None if os.path.isdir(path) else path
        modelled = history.now(history.k)
        self.assertEqual(sorted(modelled), sorted(there))
        for path, data in modelled.items():
            if data is not None and os.path.basename(path) not in ('seq', 'runner.lock'):  # shared memory
                with open(there[path], 'rb') as f:
                    self.assertEqual(data, f.read(), path)

    def materialise(self, state):
        """In the place of the recorded session, whose folder stays: another one would be a copy."""
        for name in os.listdir(self.session):
            path = os.path.join(self.session, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        for path, data in state.items():
            where = os.path.join(self.world, path)
            if data is None:
                os.makedirs(where, 0o700, exist_ok=True)
                continue
            with open(os.open(where, os.O_WRONLY | os.O_CREAT, 0o600), 'wb') as f:
                f.write(data.replace(self.boot.encode(), ANOTHER_BOOT.encode()))

    def each_state(self, script, judge):
        history = self.recorded(script)
        found = {}
        built = 0
        for k in range(history.k + 1):
            for kind in (history.ordered, history.fsynced):
                for state in kind(k):
                    built += 1
                    # What was told later is true of the same state, too.
                    found[tuple(sorted(state.items(), key=lambda item: item[0]))] = (k, kind.__name__)
        chosen = sorted(found.items(), key=lambda item: item[1][0])
        if not ALL and len(chosen) > MOST:
            # By a stride that has no rhythm in common with how they were built.
            chosen = [chosen[n * len(chosen) // MOST] for n in range(MOST)]
        wrong = []
        for items, (k, kind) in chosen:
            state = dict(items)
            told = {what[5:] for what in history.told_by(k) if what.startswith('told-')}
            with open(self.ran, 'w', encoding='utf-8') as f:
                f.write('x\n' * sum(1 for what in history.marked if what == (what[0], 'ran') and what[0] <= k))
            try:
                self.look(state, told, judge)
            except (AssertionError, KeyError, ValueError, OSError, subprocess.TimeoutExpired) as e:
                after = history.descriptions[k - 1] if k else 'nothing'
                files = ' '.join(f'{path}={"/" if data is None else len(data)}' for path, data in state.items())
                wrong.append(f'{kind}, behind call {k} of {history.k} ({after}), told {sorted(told)}: {str(e)[:600]}\n   {files}')
        print(f'{self._testMethodName}: {history.k} instants, {built} states built, {len(found)} distinct, {len(chosen)} opened', flush=True)
        self.assertFalse(wrong, '\n'.join(['', f'{len(wrong)} of {len(chosen)}', *wrong[:12]]))

    def queued(self):
        folder = os.path.join(self.session, 'queue')
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return [name[21:-5] for name in names if name.endswith('.json') and not name.startswith('.')]

    def nobody_is_left(self):
        eventually(lambda: not processes_with('@' + self.session), 'whoever worked on the last state has left', 20)

    def look(self, state, told, judge):
        if 'session' not in state:
            self.assertFalse(told, 'the whole session is gone')
            return
        for path, data in state.items():
            if path.startswith('session/tasks/') and path.endswith('.json') and path.count('/') == 2:
                stem = path[14:-5]
                if not stem.startswith('.'):
                    self.assertEqual(json.loads(data)['taskId'], stem, 'a torn record')
        self.nobody_is_left()
        self.materialise(state)
        self.perdure('reconcile', '--trust', '--yes', check=0)
        if waiting := self.queued():
            self.perdure('wait', '--timeout', '20s', *waiting)
        tasks = {task['taskId']: task for task in self.json('list', '--all')}
        news = {task: one for one in self.json('notifications') for task in one['tasks']}
        for task in tasks.values():
            self.assertNotEqual(task['status'], 'unverified')
            if task['status'] in ('completed', 'failed', 'timed_out', 'killed', 'lost') and not task.get('notifiedAt'):
                self.assertIn(task['taskId'], news, f'L32: nobody was told of {task["status"]}')
        with open(self.ran, encoding='utf-8') as f:
            self.assertLessEqual(len(f.read().splitlines()), 1, 'it ran twice')
        judge(told, tasks, news)

    # Sessions

    def test_D53_background(self):
        def judge(told, tasks, news):
            if 'started' in told:
                self.assertIn(self.said('id'), tasks, 'the task is lost')
            if 'ended' in told:
                task = tasks[self.said('id')]
                self.assertEqual((task['status'], task.get('exitCode')), ('failed', 3))
            if 'acknowledged' in told:
                self.assertNotIn(self.said('id'), news, 'it is told twice')
        self.each_state('''
            said id run --owner o -c 'echo out; exit 3'; told started
            p wait $(of id) || true; told ended
            p notifications --owner o --claim
            p notifications ack $(of id); told acknowledged''', judge)

    def test_D53_stop(self):
        def judge(told, tasks, _):
            if 'started' in told:
                self.assertIn(self.said('id'), tasks)
            if 'stopped' in told:
                self.assertEqual([tasks[self.said('id')].get(key) for key in ('status', 'stopReason')], ['killed', 'enough'])
        self.each_state('''
            said id run --owner o -c 'exec sleep 300'; told started
            p stop $(of id) --reason enough; told stopped''', judge)

    def test_D53_key(self):
        def judge(told, tasks, _):
            if 'started' in told:
                self.assertIn(self.said('id'), tasks)
                again = self.sh('echo x >> ' + self.ran, '--idempotency-key', 'k')
                self.perdure('wait', again)
                self.assertEqual(again, self.said('id'), 'the key is lost')
        self.each_state('''
            said id run --idempotency-key k -c 'exit 3'; told started
            p wait $(of id) || true''', judge)

    def test_D53_question(self):
        def judge(told, tasks, _):
            if 'asked' in told:
                self.assertIn(self.said('id'), tasks)
                with open(os.path.join(self.tasks, self.said('id'), 'question.json'), encoding='utf-8') as f:
                    self.assertIn('Why?', f.read())
            if 'answered' in told:
                task = tasks[self.said('id')]
                self.assertEqual((task['status'], task['questionOutcome']), ('completed', 'answered'))
                self.assertIn(b'Because', self.log(self.said('id')))
        self.each_state('''
            said id ask --owner o 'Why?'; told asked
            p answer $(of id) Because; told answered''', judge)

    def test_D53_queue(self):
        def judge(told, tasks, _):
            if 'queued' in told:
                self.assertIn(self.said('second'), tasks, 'the queued task is lost')
            if 'ended' in told:
                task = tasks[self.said('second')]
                self.assertEqual((task['status'], task.get('exitCode')), ('completed', 0))
        self.each_state('''
            export PERDURE_MAX_RUNNING_TASKS=1
            said first run -c 'exec sleep 300'
            said second run --queue --owner o -c 'echo x >> '$ran'; echo out'; told queued
            p stop $(of first) --grace 0
            p wait $(of second); told ended''', judge)

    def test_D53_remove(self):
        def judge(told, tasks, _):
            for name in ('one', 'two'):
                if 'removed-' + name in told:
                    self.assertNotIn(self.said(name), tasks, 'a removed task is back')
        self.each_state('''
            said one run -c 'echo out'
            p wait $(of one)
            p remove $(of one); told removed-one
            said two run -c 'echo out'
            p wait $(of two)
            p gc --keep 0 --undelivered; told removed-two''', judge)


if __name__ == '__main__':
    main()
