#!/usr/bin/env python3
"""V32, V50: rpc is SIGKILLed at random instants during hundreds of calls from several threads. No start is doubled, no
event is missed or told twice, no output is missed, and everything that fails says whether it may be repeated.

PERDURE_RPC_CALLS=N: that many calls (400)."""
import importlib.util
import os
import random
import signal
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
from session import PERDURE, SOURCE, SessionTest  # noqa: E402

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('perdure', os.path.join(SOURCE, 'sdk', 'python', 'perdure.py'))
perdure = importlib.util.module_from_spec(spec)
sys.modules['perdure'] = perdure
spec.loader.exec_module(perdure)

CALLS = int(os.environ.get('PERDURE_RPC_CALLS', '400'))
THREADS = 4
SEED = int(os.environ.get('PERDURE_SEED', str(time.time_ns() % 1_000_000)))


class Kill(SessionTest):
    def test_random_kills(self):
        print(f'seed {SEED}', file=sys.stderr)
        dice = random.Random(SEED)
        env = {**os.environ, 'XDG_CONFIG_HOME': self.config_home, 'XDG_STATE_HOME': self.scratch}
        p = perdure.open(self.session, binary=PERDURE, env=env, owner='me')
        self.addCleanup(p.close)
        told, events = [], p.events()
        listener = threading.Thread(target=lambda: told.extend(e for e in events if e.type != 'task.updated'))
        listener.start()
        stop, kills = threading.Event(), []

        def kill():
            while not stop.is_set():
                # By calls, not by the clock: on a busy machine it would be killed before it could do anything.
                until = calls[0] + dice.randrange(2, 30)
                while calls[0] < until and not stop.wait(0.002):
                    pass
                stop.wait(dice.uniform(0, 0.02))
                pid = p.pid
                if pid:
                    try:
                        os.kill(pid, signal.SIGKILL)
                        kills.append(pid)
                    except ProcessLookupError:
                        pass
        started, failures, faults, calls = [], [], [], [0]
        lock = threading.Lock()

        def work(number):
            mine = random.Random(SEED * 10 + number)
            own = []
            try:
                while calls[0] < CALLS:
                    with lock:
                        calls[0] += 1
                    what = mine.randrange(6)
                    if what < 2 or not own:
                        text = f'{number}-{len(own)}'
                        task = p.start(f'echo {text}', labels={'n': text})
                        own.append((task.id, text))
                        with lock:
                            started.append(text)
                    elif what == 2:
                        task, text = mine.choice(own)
                        got = b''.join(p.output(task, follow=True))
                        if got != f'{text}\n'.encode():
                            faults.append((task, text, got))
                    elif what == 3:
                        task, text = mine.choice(own)
                        if p.get(task).info['labels'] != {'n': text}:
                            faults.append((task, text))
                    elif what == 4:
                        p.wait([mine.choice(own)[0]])
                    else:
                        try:
                            p.extend(mine.choice(own)[0], 60_000)
                        except perdure.PerdureError as error:
                            failures.append((error.code, error.retryable))
            except Exception as error:  # pylint: disable=broad-except
                faults.append(repr(error))
        workers = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        killer = threading.Thread(target=kill)
        for one in (*workers, killer):
            one.start()
        for one in workers:
            one.join(200)
            self.assertFalse(one.is_alive(), f'stuck after {calls[0]} calls and {len(kills)} kills')
        stop.set()
        killer.join(10)
        self.assertEqual(faults, [])
        records = self.json('list', '--all')
        self.perdure('wait')
        self.assertEqual(sorted(r['labels']['n'] for r in records), sorted(started), 'a start was doubled or lost')
        self.assertLessEqual(set(failures), {('connection.lost', True), ('task.not_running', False)})
        expected = {(r['taskId'], what) for r in records for what in ('task.started', 'task.terminated')}
        until = time.monotonic() + 20
        while len(told) < len(expected) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.2)
        p.close()
        listener.join(10)
        seen = [(e.task['taskId'], e.type) for e in told]
        self.assertEqual(sorted(seen), sorted(expected), 'events were missed or told twice')
        for task in {r['taskId'] for r in records}:
            self.assertEqual([kind for one, kind in seen if one == task], ['task.started', 'task.terminated'])
        print(f'{calls[0]} calls, {len(kills)} kills, {len(started)} tasks, {len(seen)} events, {len(failures)} refused', file=sys.stderr)
        self.assertGreater(len(kills), 10)


if __name__ == '__main__':
    unittest.main()
