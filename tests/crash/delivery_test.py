"""The consumer of notifications is SIGKILLed at random instants while it delivers (L32).

PERDURE_CRASH_ROUNDS scales it (100: 1,000 tasks and 100 kills), PERDURE_CRASH_SEED repeats a run. Delivered is what
stands in the file that a consumer wrote to, whole; acknowledged is what the record says.
"""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive  # noqa: E402

ROUNDS = int(os.environ.get('PERDURE_CRASH_ROUNDS', '100'))
SEED = int(os.environ.get('PERDURE_CRASH_SEED', str(random.randrange(1 << 32))))
LINES = ['exit 0', 'exit 7', 'echo out', 'kill -9 $$']


class Delivery(SessionTest):
    def setUp(self):
        super().setUp()
        print(f'PERDURE_CRASH_SEED={SEED} PERDURE_CRASH_ROUNDS={ROUNDS}', flush=True)
        self.random = random.Random(f'{SEED}/{self.id()}')
        self.tasks_started = []
        self.delivered = collections.Counter()
        self.acknowledged = set()
        self.after = 0

    def start_tasks(self, count, crashing):
        for n in range(count):
            line = 'sleep 100' if crashing and n % 20 == 0 else LINES[n % len(LINES)]
            task = self.run_task('-c', line)
            self.tasks_started.append(task)
            if line == 'sleep 100':
                os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)

    def consume(self, consumers, kill_within=None):
        """Runs consumers beside one another, each killed at a random instant; what they wrote whole is delivered."""
        # Never taken back: what is acknowledged now was so before any of them began.
        self.note_acknowledged()
        before = set(self.acknowledged)
        running = []
        for n in range(consumers):
            path = os.path.join(self.scratch, f'delivered.{n}')
            with open(path, 'wb') as out:
                running.append((path, subprocess.Popen(
                    [PERDURE, '--session', self.session, 'notifications', '--ack', '--format', 'json',
                     *(['--wait'] if kill_within else [])],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)))
        if kill_within:
            time.sleep(self.random.uniform(0, kill_within))  # the instant is the point of the test
        whole = 0
        for path, consumer in running:
            if kill_within:
                consumer.kill()
            error = consumer.communicate(timeout=60)[1]
            self.assertIn(consumer.returncode, (0, -signal.SIGKILL), error)
            with open(path, encoding='utf-8') as f:
                text = f.read()
            if not text.endswith(']\n'):
                continue  # it was cut off: nobody could have read it
            for one in json.loads(text):
                whole += len(one['tasks'])
                for task in one['tasks']:
                    self.after += task in before
                    self.delivered[task] += 1
        return whole

    def note_acknowledged(self):
        entries = set(os.listdir(os.path.join(self.session, 'outbox')))
        for task in list(self.tasks_started):
            if task not in self.acknowledged and task not in entries and 'notifiedAt' in self.record(task):
                self.acknowledged.add(task)

    def check(self, tasks, kills):
        self.note_acknowledged()
        again = sum(n - 1 for n in self.delivered.values())
        print(f'{len(tasks)} endings, {kills} consumers killed: {sum(self.delivered.values())} deliveries, '
              f'{len(self.delivered)} delivered at least once, {again} again before they were acknowledged, '
              f'{self.after} after it, {len(tasks) - len(self.acknowledged)} not acknowledged', flush=True)
        self.assertEqual(self.after, 0, 'delivered after it was acknowledged')
        self.assertEqual(set(self.delivered), set(tasks), 'every ending is delivered at least once')
        self.assertEqual(self.acknowledged, set(tasks))
        self.assertEqual(os.listdir(os.path.join(self.session, 'outbox')), [])
        self.assertEqual(self.json('notifications'), [])

    def test_L32_every_ending_is_delivered_and_none_after_its_acknowledgement(self):
        count = 10 * ROUNDS
        starters = [threading.Thread(target=self.start_tasks, args=(count // 2, False)) for _ in range(2)]
        for starter in starters:
            starter.start()
        eventually(lambda: len(self.tasks_started) >= count // 4, 'some tasks have ended', 120)
        kills = 0
        while kills < ROUNDS:
            kills += 1 + kills % 2
            self.consume(1 + kills % 2, self.random.choice((0.02, 0.06, 0.2)))
        for starter in starters:
            starter.join()
        self.perdure('wait', check=None)
        self.consume(1)
        self.assertEqual(self.consume(1), 0)
        self.check(self.tasks_started, kills)

    def test_L32_tasks_that_are_lost_meanwhile_are_told_too(self):
        self.start_tasks(ROUNDS, True)
        for _ in range(max(1, ROUNDS // 4)):
            self.consume(1, 0.05)
        runners = [self.record(task)['runner']['pid'] for task in self.tasks_started]
        eventually(lambda: not any(map(is_alive, runners)), 'no runner lives')
        self.perdure('wait', check=None)
        self.consume(1)
        self.check(self.tasks_started, max(1, ROUNDS // 4))

    def test_L32_two_consumers_that_live_never_deliver_the_same(self):
        self.start_tasks(ROUNDS // 2, False)
        self.perdure('wait', check=None)
        self.consume(4)
        self.check(self.tasks_started, 0)
        self.assertEqual(set(self.delivered.values()), {1})


if __name__ == '__main__':
    unittest.main()
