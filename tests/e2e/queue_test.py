"""The cap and the queue: never more than may run, in order, whoever is killed."""
import json
import os
import random
import signal
import subprocess
import sys
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, processes_with  # noqa: E402


class QueueTest(SessionTest):
    def cap(self, n):
        return {**os.environ, 'PERDURE_MAX_RUNNING_TASKS': str(n)}

    def queued(self, line, *options, cap=1):
        return self.sh(line, '--queue', *options, env=self.cap(cap))

    def gate(self):
        return os.path.join(self.scratch, 'go')

    def blocker(self, cap=1):
        """A task that holds a slot until let_go()."""
        return self.sh(f'until [ -e {quote(self.gate())} ]; do sleep 0.01; done', env=self.cap(cap))

    def let_go(self):
        with open(self.gate(), 'w', encoding='utf-8'):
            pass

    def out(self):
        return os.path.join(self.scratch, 'out')

    def says(self, text):
        return f'echo {text} >> {quote(self.out())}'

    def said(self):
        try:
            with open(self.out(), encoding='utf-8') as f:
                return f.read().split('\n')[:-1]
        except FileNotFoundError:
            return []

    def entries(self):
        return sorted(n for n in os.listdir(os.path.join(self.session, 'queue')) if n.endswith('.json'))

    def runner_of(self, task):
        return eventually(lambda: processes_with(f'PERDURE_RUNNER={task}@'), 'its runner lives')[0]

    def most_at_once(self):
        now = most = 0
        for word in self.said():
            now += {'s': 1, 'e': -1}[word[0]]
            most = max(most, now)
        return most


class Cap(QueueTest):
    def crowd(self, starts, *options):
        """8 processes that start tasks which say when they start and end; (task ids, refusals)."""
        line = f'{self.says("s")}; sleep 0.02; {self.says("e")}'
        script = (f'for i in $(seq {starts // 8}); do {quote(PERDURE)} --session {quote(self.session)} run {" ".join(options)} '
                  f'-c {quote(line)} 2>/dev/null || echo refused; done')
        started = [subprocess.Popen(['/bin/bash', '-c', script], stdout=subprocess.PIPE, text=True, env=self.cap(2)) for _ in range(8)]
        words = ' '.join(p.communicate(timeout=120)[0] for p in started).split()
        return [w for w in words if w != 'refused'], words.count('refused')

    def test_L01_200_starts_from_8_processes_never_more_than_2_at_once(self):
        ran, refused = self.crowd(200)
        self.perdure('wait')
        print(f'{len(ran)} ran, {refused} were refused')
        self.assertEqual(len(ran) + refused, 200)
        self.assertGreater(refused, 0)
        self.assertLessEqual(self.most_at_once(), 2)
        self.assertEqual(self.said().count('s'), len(ran))
        self.assertEqual({n for n in self.task_names() if n.endswith('.json')}, {t + '.json' for t in ran}, 'the refused left a trace')

    def test_L05_with_a_queue_all_200_run_two_at_a_time(self):
        ran, refused = self.crowd(200, '--queue')
        self.assertEqual((len(ran), refused), (200, 0))
        self.perdure('wait', '--drain')
        self.assertEqual(self.said().count('s'), 200)
        self.assertEqual(self.most_at_once(), 2)
        self.assertEqual({t['status'] for t in self.json('list', '--all')}, {'completed'})
        self.assertEqual(self.entries(), [])


class Order(QueueTest):
    def test_L05_first_come_first_served_with_nobody_alive_but_the_runners(self):
        self.blocker()
        tasks = [self.queued(self.says(i)) for i in range(20)]
        # Every manager was a program that has ended; now there is none, and the first slot comes free.
        self.let_go()
        eventually(lambda: len(self.said()) == 20, 'all have run')
        self.assertEqual(self.said(), [str(i) for i in range(20)])
        self.perdure('wait')
        self.assertEqual([self.record(t)['status'] for t in tasks], ['completed'] * 20)

    def test_L05_in_order_when_every_manager_is_killed_right_after_it_queued(self):
        self.blocker()
        for i in range(10):
            manager = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--queue', '--wait', '-c', self.says(i)],
                                       stdout=subprocess.PIPE, env=self.cap(1))
            manager.stdout.readline()
            manager.kill()
            manager.wait()
            manager.stdout.close()
        self.let_go()
        eventually(lambda: len(self.said()) == 10, 'all have run')
        self.assertEqual(self.said(), [str(i) for i in range(10)])
        self.perdure('wait')

    def test_L05_the_higher_priority_comes_first(self):
        self.blocker()
        for i, priority in enumerate([0, 5, 0, 999, 5]):
            self.queued(self.says(i), '--priority', str(priority))
        self.let_go()
        self.perdure('wait', '--drain')
        self.assertEqual(self.said(), ['3', '1', '4', '0', '2'])

    def test_L05_its_place_is_seen(self):
        self.blocker()
        tasks = [self.queued('true') for _ in range(3)]
        urgent = self.queued('true', '--priority', '1')
        places = {t['taskId']: t.get('queuePlace') for t in self.json('list') if t['status'] == 'queued'}
        self.assertEqual(places, {urgent: 1, tasks[0]: 2, tasks[1]: 3, tasks[2]: 4})
        self.assertEqual(self.json('show', tasks[1])['queuePlace'], 3)
        self.assertEqual([t['taskId'] for t in self.json('list', '--status', 'queued')], [urgent, *tasks])
        self.assertIn('queued #3', self.perdure('list').stdout)
        self.assertFalse(os.path.exists(self.path(tasks[0])), 'a queued task has no record')
        self.let_go()
        self.perdure('wait', '--drain')

    def test_a_change_of_place_is_an_event(self):
        self.blocker()
        watching = subprocess.Popen([PERDURE, '--session', self.session, 'events', '--follow', '--since', '0'],
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(watching.stdout.close)
        self.assertIn('task.started', watching.stdout.readline())
        first = self.queued('true')
        second = self.queued('true')
        seen = []
        def read_until(wanted):
            while wanted not in seen:
                event = json.loads(watching.stdout.readline())
                seen.append((event['type'], event['info']['taskId'], event['info'].get('queuePlace')))
        read_until(('task.updated', second, 2))
        self.assertIn(('task.updated', first, 1), seen)
        self.perdure('stop', first, check=0)
        read_until(('task.terminated', first, None))
        read_until(('task.updated', second, 1))
        self.assertNotIn(('task.started', first, None), seen, 'it never ran')
        self.let_go()
        read_until(('task.terminated', second, None))
        watching.kill()
        watching.wait()

    def test_L05_nobody_overtakes_the_queue(self):
        blocker = self.blocker(cap=2)
        self.sh('sleep 100', env=self.cap(2))
        self.queued('sleep 100', cap=2)
        error = json.loads(self.perdure('--json', 'run', '-c', self.says('x'), env=self.cap(3), check=1).stdout)['error']
        self.assertEqual(error['code'], 'task.limit_exceeded')
        self.assertIn('wait for a slot', error['message'])
        self.assertEqual(self.said(), [])
        self.perdure('stop', '--all', check=0)
        self.assertEqual(self.record(blocker)['status'], 'killed')

    def test_L05_the_deadline_counts_from_the_start(self):
        self.blocker()
        task = self.queued('sleep 0.05; exit 7', '--timeout', '3s')
        queued_at = self.json('show', task)['queuedAt']
        eventually(lambda: __import__('time').time() * 1000 - queued_at > 400, 'it has waited')
        self.let_go()
        record = self.finished(task)
        self.assertEqual((record['status'], record['exitCode'], record['timeoutMs'], record['queuedAt']), ('failed', 7, 3000, queued_at))
        self.assertGreaterEqual(record['startedAt'] - queued_at, 400)

    def test_a_parked_runner_sleeps(self):
        self.blocker()
        pids = [self.runner_of(self.queued('true')) for _ in range(3)]
        def switches():
            found = []
            for pid in pids:
                with open(f'/proc/{pid}/status', encoding='utf-8') as f:
                    found.append([line for line in f if line.startswith('voluntary')])
            return found
        eventually(lambda: all(self.wchan(p) for p in pids), 'they sleep')
        before = switches()
        subprocess.run(['sleep', '1'], check=True)
        self.assertEqual(switches(), before)
        self.let_go()
        self.perdure('wait', '--drain')

    @staticmethod
    def wchan(pid):
        with open(f'/proc/{pid}/wchan', encoding='utf-8') as f:
            return 'poll' in f.read()

    def test_without_a_cap_it_starts_at_once(self):
        self.assertEqual(self.record(self.sh('sleep 0.1', '--queue'))['status'], 'running')
        self.perdure('wait')


class EndsInTheQueue(QueueTest):
    def test_L13_L46_stopped_it_never_runs(self):
        self.blocker()
        task = self.queued(self.says('x'))
        self.assertEqual(self.json('stop', task, '--reason', 'not now')[0]['status'], 'killed')
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode'], record['stopReason'], record['pid']), ('killed', None, 'not now', 0))
        self.assertEqual(self.entries(), [])
        self.assertEqual(self.perdure('wait', task).returncode, 143)
        self.let_go()
        self.perdure('wait', '--drain')
        self.assertEqual(self.said(), [])

    def test_whoever_waits_hears_of_its_end(self):
        self.blocker()
        task = self.queued('exit 4')
        waiter = subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdout=subprocess.DEVNULL)
        self.let_go()
        self.assertEqual(waiter.wait(60), 4)

    def test_what_can_no_longer_be_started_has_failed_and_says_why(self):
        self.blocker()
        script = os.path.join(self.scratch, 'script')
        with open(script, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\n')
        os.chmod(script, 0o755)
        task = self.run_task('--queue', '--', script, env=self.cap(1))
        os.unlink(script)
        self.let_go()
        record = self.finished(task)
        self.assertEqual((record['status'], record['exitCode'], record['pid']), ('failed', None, 0))
        self.assertIn('could not be started', record['stopReason'])
        self.assertEqual(self.entries(), [])

    def test_L06_the_same_key_gives_the_queued_task(self):
        self.blocker()
        task = self.queued(self.says('x'), '--idempotency-key', 'k')
        self.assertEqual(self.queued(self.says('x'), '--idempotency-key', 'k'), task)
        self.let_go()
        self.perdure('wait', '--drain')
        self.assertEqual(self.said(), ['x'])

    def test_a_parked_runner_that_was_killed_is_started_again_in_its_place(self):
        self.blocker()
        tasks = [self.queued(self.says(i)) for i in range(4)]
        for task in tasks[:2]:
            os.kill(self.runner_of(task), signal.SIGKILL)
        eventually(lambda: not any(processes_with(f'PERDURE_RUNNER={task}@') for task in tasks[:2]), 'they are gone')
        self.assertEqual([t['taskId'] for t in self.json('list', '--status', 'queued')], tasks)
        self.perdure('reconcile', '--queue', check=0)  # looking starts nothing (L50)
        self.let_go()
        self.perdure('wait', '--drain')
        self.assertEqual(self.said(), ['0', '1', '2', '3'])

    @staticmethod
    def is_traced(pid):
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            return 'TracerPid:\t0' not in f.read()

    def kill_runners(self, *tasks):
        for task in tasks:
            os.kill(self.runner_of(task), signal.SIGKILL)
        eventually(lambda: not any(processes_with(f'PERDURE_RUNNER={task}@') for task in tasks), 'their runners are dead')

    def test_L50_a_runner_that_makes_room_wakes_the_next_one_with_nobody_calling(self):
        self.blocker()
        tasks = [self.queued(self.says(i)) for i in range(4)]
        self.kill_runners(*tasks)
        self.let_go()
        eventually(lambda: len(self.said()) == 4, 'all have run, and no command was given')
        self.assertEqual(sorted(self.said()), ['0', '1', '2', '3'])
        eventually(lambda: not self.entries(), 'the queue is empty')
        self.assertEqual([self.finished(t)['status'] for t in tasks], ['completed'] * 4)

    def test_L50_one_that_is_stopped_in_the_queue_makes_room_too(self):
        blocker = self.blocker()
        first, second = self.queued('exec sleep 300'), self.queued(self.says('second'))
        self.kill_runners(second)
        os.kill(self.runner_of(first), signal.SIGTERM)
        eventually(lambda: os.path.exists(self.path(first)), 'it ended in the queue')
        self.assertEqual(len(eventually(lambda: processes_with(f'PERDURE_RUNNER={second}@'), 'the one behind it has a runner again')), 1)
        self.assertEqual(self.said(), [], 'the slot is still taken')
        self.let_go()
        self.finished(blocker)
        self.assertEqual(self.finished(second)['status'], 'completed')

    def test_L50_one_that_waits_for_another_task_is_woken_by_the_end_of_that(self):
        first = self.blocker()
        second = self.sh(self.says('second'), '--after', first)
        self.kill_runners(second)
        self.let_go()
        eventually(lambda: self.said() == ['second'], 'it has run')
        self.assertEqual(self.finished(second)['status'], 'completed')

    def test_L50_a_runner_wakes_nobody_where_nobody_sleeps(self):
        trace = os.path.join(self.scratch, 'trace')
        self.blocker()
        tasks = [self.queued(self.says(i)) for i in range(2)]
        runner = self.runner_of(tasks[0])
        with subprocess.Popen(['strace', '-f', '-qq', '-e', 'trace=execve', '-o', trace, '-p', str(runner)], stderr=subprocess.DEVNULL) as tracing:
            eventually(lambda: self.is_traced(runner), 'it is traced')
            self.let_go()
            self.finished(tasks[1])
            tracing.wait(20)
        with open(trace, encoding='utf-8', errors='replace') as f:
            self.assertNotIn('reconcile', f.read())

    def test_a_dead_entry_can_be_stopped_and_stops_nobody(self):
        self.blocker()
        dead, alive = self.queued(self.says('dead')), self.queued(self.says('alive'))
        self.kill_runners(dead)
        name = next(n for n in self.entries() if dead in n)
        path = os.path.join(self.session, 'queue', name)
        with open(path, encoding='utf-8') as f:
            text = f.read()
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text.replace('"signature"', '"no"'))  # so it stays dead (L51)
        self.let_go()
        eventually(lambda: self.said() == ['alive'], 'the other one has run')
        self.perdure('stop', dead)
        self.perdure('wait', '--drain')
        self.assertEqual(self.record(alive)['status'], 'completed')
        self.assertEqual(self.record(dead)['status'], 'killed')
        self.assertEqual(self.entries(), [])

    def test_with_parked_runners_killed_at_random_all_run_exactly_once(self):
        rounds = int(os.environ.get('PERDURE_CRASH_ROUNDS', '30'))
        tasks = [self.queued(f'{self.says(f"s{i}")}; sleep 0.1; {self.says(f"e{i}")}', cap=2) for i in range(40)]
        kills = 0
        for _ in range(rounds):
            parked = [t['taskId'] for t in self.json('list', '--status', 'queued')]
            if not parked:
                break
            victim = random.choice(parked)
            for pid in processes_with(f'PERDURE_RUNNER={victim}@'):
                # It may have been started meanwhile: then it is a task whose runner was killed, which is another test.
                if not os.path.exists(self.path(victim)):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
        eventually(lambda: self.perdure('wait', '--drain', '--timeout', '1s').returncode != 75 and not self.json('list'), 'all ended', 90)
        statuses = {t: self.record(t)['status'] for t in tasks}
        lost = [t for t, s in statuses.items() if s != 'completed']
        print(f'{kills} parked runners killed, {len(lost)} of them in the middle of a start')
        self.assertTrue(all(statuses[t] == 'lost' for t in lost), statuses)
        starts = [w for w in self.said() if w.startswith('s')]
        self.assertEqual(len(starts), len(set(starts)), 'one ran twice')
        self.assertGreaterEqual(len(starts), 40 - len(lost))
        self.assertLessEqual(self.most_at_once() - len(lost), 2)
        self.assertEqual(self.entries(), [])


class Following(QueueTest):
    def test_it_starts_when_the_other_has_completed(self):
        first = self.sh(f'sleep 0.1; {self.says("first")}')
        second = self.sh(self.says('second'), '--after', first)
        third = self.sh(self.says('third'), '--after', second)
        self.assertEqual(self.json('show', third)['after'], second)
        self.perdure('wait', third, check=0)
        self.assertEqual(self.said(), ['first', 'second', 'third'])
        self.sh(self.says('fourth'), '--after', third)
        self.perdure('wait', '--drain', check=0)
        self.assertEqual(self.said()[-1], 'fourth')

    def test_it_ends_killed_when_the_other_has_not(self):
        for line, word in (('exit 1', 'failed'), ('sleep 100', 'killed')):
            first = self.sh(f'sleep 0.1; {line}')
            second = self.sh(self.says('x'), '--after', first)
            if word == 'killed':
                self.perdure('stop', first, check=0)
            record = self.finished(second)
            self.assertEqual((record['status'], record['exitCode']), ('killed', None))
            self.assertIn(first, record['stopReason'])
            self.assertIn(word, record['stopReason'])
        timed_out = self.sh('sleep 100', '--timeout', '100ms')
        self.assertIn('timed_out', self.finished(self.sh('true', '--after', timed_out))['stopReason'])
        self.assertIn('failed', self.finished(self.sh('true', '--after', first := self.sh('exit 9')))['stopReason'])
        self.assertEqual(self.said(), [])
        del first

    def test_a_description_that_looks_like_a_status_fools_nobody(self):
        first = self.sh('exit 1', '--description', '"status":"completed"', '--label', 'status=completed')
        self.assertEqual(self.finished(self.sh(self.says('x'), '--after', first))['status'], 'killed')
        self.assertEqual(self.said(), [])

    def test_one_whose_runner_is_killed_did_not_complete(self):
        first = self.sh('sleep 100')
        second = self.sh(self.says('x'), '--after', first)
        os.kill(self.record(first)['runner']['pid'], signal.SIGKILL)
        self.assertIn('lost', eventually(lambda: self.record(second) if os.path.exists(self.path(second)) else None, 'it ended')['stopReason'])
        self.perdure('reconcile', check=0)

    def test_an_unknown_task_cannot_be_followed(self):
        error = json.loads(self.perdure('--json', 'run', '--after', 'bash-00000000', '-c', 'true', check=1).stdout)['error']
        self.assertEqual(error['code'], 'task.not_found')


class Cycles(QueueTest):
    """L43: whoever would wait for ever is told so."""

    def waits(self, gate, target_file):
        return (f'until [ -s {quote(gate)} ]; do sleep 0.01; done; {quote(PERDURE)} --json --session {quote(self.session)} '
                f'wait $(cat {quote(target_file)}); echo done $?')

    def test_L43_two_tasks_that_wait_for_each_other_are_refused_and_the_cycle_named(self):
        names = {n: os.path.join(self.scratch, n) for n in 'ab'}
        a = self.sh(self.waits(names['b'], names['b']))
        b = self.sh(self.waits(names['a'], names['a']))
        for name, task in (('a', a), ('b', b)):
            with open(names[name] + '.tmp', 'w', encoding='utf-8') as f:
                f.write(task)
            os.rename(names[name] + '.tmp', names[name])
        self.perdure('wait', a, b, '--timeout', '60s')
        logs = self.log(a) + self.log(b)
        self.assertIn(b'task.wait_cycle', logs)
        self.assertIn(f'{a} waits for {b}'.encode() if b'task.wait_cycle' in self.log(a) else f'{b} waits for {a}'.encode(), logs)

    def waits_in_vain(self, start_second, **options):
        """A task that waits for one that is started after it, and that can't end before it: it is told so."""
        name = os.path.join(self.scratch, 'name')
        first = self.sh(self.waits(name, name), **options)
        second = start_second(first)
        with open(name + '.tmp', 'w', encoding='utf-8') as f:
            f.write(second)
        os.rename(name + '.tmp', name)
        self.finished(first)
        self.assertIn(b'task.wait_cycle', self.log(first))
        self.perdure('wait', second)

    def test_L43_a_task_does_not_wait_for_one_that_is_queued_behind_it(self):
        self.waits_in_vain(lambda first: self.sh('true', '--after', first))

    def test_L43_nor_for_one_that_waits_for_its_only_slot(self):
        self.waits_in_vain(lambda _: self.queued('true'), env=self.cap(1))


class Closing(QueueTest):
    def test_L16_L45_a_close_stops_what_lives_as_long_as_the_session(self):
        stays = self.sh('sleep 100')
        goes = [self.sh('sleep 100', '--lifetime', 'session') for _ in range(3)]
        stubborn = self.sh("trap '' TERM; while :; do sleep 0.05; done", '--lifetime', 'session', '--grace', '100ms')
        self.assertEqual(json.loads(self.perdure('--json', 'close', '--keep', check=0).stdout)['stopped'], [])
        closed = json.loads(self.perdure('--json', 'close', check=0).stdout)
        self.assertEqual({t['taskId'] for t in closed['stopped']}, {*goes, stubborn})
        self.assertEqual({t['taskId'] for t in closed['kept']}, {stays})
        for task in [*goes, stubborn]:
            record = self.record(task)
            self.assertEqual((record['status'], record['stopReason'], record['terminalNotificationSuppressed']),
                             ('killed', 'Session closed', True))
        self.assertEqual(self.record(stays)['status'], 'running')
        self.perdure('stop', stays, check=0)

    def test_L16_a_queued_task_of_the_session_is_closed_too(self):
        self.blocker()
        task = self.queued(self.says('x'), '--lifetime', 'session')
        self.perdure('close', check=0)
        self.assertEqual(self.record(task)['stopReason'], 'Session closed')
        self.let_go()
        self.perdure('wait', '--drain')
        self.assertEqual(self.said(), [])


if __name__ == '__main__':
    unittest.main()
