#!/usr/bin/env python3
"""Retention: what `gc` and the daily sweep remove, and what they never do.

PERDURE_BIN=build/dev/bin python3 tests/e2e/retention_test.py
"""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import SessionTest, eventually  # noqa: E402

DAY = 86_400


class RetentionTest(SessionTest):
    def configure(self, text):
        os.makedirs(self.session, 0o700, exist_ok=True)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write('[retention]\n' + text)

    def ended(self, count=1, *options):
        tasks = [self.run_task(*options, '--', 'true') for _ in range(count)]
        self.perdure('wait', *tasks, check=0)
        return tasks

    def kept(self):
        return [r['taskId'] for r in self.json('list', '--all')]

    def make_sweep_due(self):
        path = os.path.join(self.session, 'swept')
        with open(path, 'a', encoding='utf-8'):
            pass
        then = time.time() - 2 * DAY
        os.utime(path, (then, then))

    def undelivered(self, task):
        os.makedirs(os.path.join(self.session, 'outbox'), 0o700, exist_ok=True)
        with open(os.path.join(self.session, 'outbox', task), 'a', encoding='utf-8'):
            pass


class Collecting(RetentionTest):
    def test_without_options_what_is_configured_is_removed(self):
        self.configure('keep = 2\n')
        tasks = self.ended(4)
        removed = self.json('gc')
        self.assertEqual(sorted(removed['removed']), sorted(tasks[:2]))
        self.assertEqual(sorted(self.kept()), sorted(tasks[2:]))
        self.assertEqual(self.json('gc')['removed'], [])

    def test_the_defaults_leave_a_small_young_session_alone(self):
        tasks = self.ended(3)
        self.assertEqual(self.json('gc')['removed'], [])
        self.assertEqual(sorted(self.kept()), sorted(tasks))

    def test_options_replace_what_is_configured(self):
        self.configure('keep = 1\n')
        tasks = self.ended(3)
        self.assertEqual(self.json('gc', '--older-than', '1h')['removed'], [])
        self.assertEqual(sorted(self.kept()), sorted(tasks))

    def test_a_live_task_is_never_removed(self):
        live = self.sh('sleep 300')
        self.configure('keep = 1\n')
        self.ended(2)
        self.json('gc', '--keep', '0')
        self.assertEqual(self.kept(), [live])
        self.perdure('stop', live, check=0)

    def test_L32_an_ending_that_its_owner_was_not_told_of_is_kept_and_said_so(self):
        task = self.ended(1, '--owner', 'agent')[0]
        self.undelivered(task)
        done = self.perdure('gc', '--keep', '0', check=0)
        self.assertIn('kept 1', done.stderr)
        self.assertIn('perdure notifications', done.stderr)
        self.assertEqual(self.json('gc', '--keep', '0')['undelivered'], 1)
        self.assertEqual(self.kept(), [task])
        self.assertEqual(self.json('gc', '--keep', '0', '--undelivered')['removed'], [task])


class DailySweep(RetentionTest):
    def test_a_start_has_ended_tasks_removed_once_a_day(self):
        self.configure('keep = 1\n')
        old = self.ended(3)
        self.make_sweep_due()
        new = self.ended(1)
        # Whether the new one has ended when the sweep looks is open: it, or the newest of the others, is the one to stay.
        eventually(lambda: not {old[0], old[1]} & set(self.kept()), 'the sweep removed what ended before')
        again = self.ended(3)
        self.assertLessEqual(set(new + again), set(self.kept()), 'not a second time today')

    def test_nobody_waits_for_it_and_it_holds_nothing_of_the_caller(self):
        self.configure('keep = 1\n')
        self.ended(50)
        self.make_sweep_due()
        # The pipe of stdout ends with the command, not with the sweep: this returns, whatever the sweep does.
        task = self.run_task('--', 'true')
        eventually(lambda: len(self.kept()) <= 2, 'the sweep is over')
        self.perdure('wait', task, check=0)

    def test_it_can_be_turned_off(self):
        self.configure('keep = 1\nauto = false\n')
        self.ended(3)
        self.make_sweep_due()
        due = os.stat(os.path.join(self.session, 'swept')).st_mtime_ns
        self.ended(1)
        self.assertEqual(os.stat(os.path.join(self.session, 'swept')).st_mtime_ns, due)

    def test_a_start_inside_a_task_leaves_it_to_others(self):
        self.configure('keep = 1\n')
        self.ended(2)
        self.make_sweep_due()
        due = os.stat(os.path.join(self.session, 'swept')).st_mtime_ns
        self.run_task('--', 'true', env={'PERDURE_TASK_ID': 'bash-00000000@/elsewhere'})
        self.assertEqual(os.stat(os.path.join(self.session, 'swept')).st_mtime_ns, due)
        self.perdure('wait', check=0)

    def test_a_sweep_that_cannot_be_noted_fails_no_start(self):
        os.makedirs(os.path.join(self.session, 'swept'))
        then = time.time() - 2 * DAY
        os.utime(os.path.join(self.session, 'swept'), (then, then))
        self.ended(1)


if __name__ == '__main__':
    unittest.main()
