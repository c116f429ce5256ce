#!/usr/bin/env python3
"""D29: an end that a full disk refuses is shown, nobody is told of it, and it is recorded when there is room again."""
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import mounts  # noqa: E402
from mcp_client import McpClient  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402

REFUSED = 'the disk is full, the record is not written yet'
UNMOUNTABLE = mounts.enter()


@unittest.skipIf(UNMOUNTABLE, UNMOUNTABLE)
class FullDisk(SessionTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.session, 0o700)
        why = mounts.tmpfs(self.session, 'size=2m,nr_inodes=120,mode=0700')
        self.addCleanup(mounts.unmount, self.session)
        if why:
            self.skipTest(why)
        self.gate = os.path.join(self.scratch, 'go')
        self.filled = []

    def tearDown(self):
        self.make_room()  # or a runner would wait for that
        self.let_go()
        super().tearDown()

    def waiting(self, *options, line='exit 3'):
        task = self.sh(f'until [ -e {self.gate} ]; do sleep 0.02; done; {line}', *options)
        # The runner makes this behind its answer; it holds room for the end.
        eventually(lambda: os.path.exists(os.path.join(self.tasks, task, 'record.next')), 'room is reserved')
        return task

    def let_go(self):
        with open(self.gate, 'w', encoding='utf-8'):
            pass

    def use_up_inodes(self):
        try:
            for number in range(1000):
                path = os.path.join(self.session, f'filler-{number}')
                with open(path, 'w', encoding='utf-8'):
                    self.filled.append(path)
        except OSError:
            return
        self.fail('the disk did not fill up')

    def use_up_blocks(self):
        path = os.path.join(self.session, 'filler')
        self.filled.append(path)
        with open(path, 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(b'x' * 4096)
            except OSError:
                return

    def make_room(self):
        for path in self.filled:
            os.unlink(path)
        self.filled = []

    def refused(self, task):
        return eventually(lambda: self.json('show', task).get('unrecordedEnd'), 'it has ended and says why no record is written')

    def test_D29_an_end_without_an_inode_for_its_news_is_shown_everywhere(self):
        task = self.waiting('--owner', 'me')
        self.use_up_inodes()
        self.let_go()
        self.assertEqual(self.refused(task), f'ended (exit 3); {REFUSED}')
        self.assertEqual(self.record(task)['status'], 'running')
        self.assertIn(f'ended (exit 3); {REFUSED}', self.perdure('list', check=0).stdout)
        self.assertIn(f'ended (exit 3); {REFUSED}', self.perdure('show', task, check=0).stdout)
        waited = self.perdure('wait', task, '--timeout', '1500ms')
        self.assertEqual(waited.returncode, 75)
        self.assertEqual(waited.stderr.count(f'{task}: ended (exit 3); {REFUSED}'), 1, waited.stderr)
        self.assertEqual(self.json('notifications', '--owner', 'me'), [])
        with McpClient(self.session) as client:
            client.initialize()
            self.assertIn(REFUSED, json.dumps(client.call('TaskOutput', task_id=task, all_owners=True)))
            self.assertIn(REFUSED, json.dumps(client.call('TaskList', all_owners=True)))

    def test_D29_the_runner_records_it_when_there_is_room_with_nobody_calling(self):
        task = self.waiting('--owner', 'me')
        self.use_up_inodes()
        self.let_go()
        self.refused(task)
        self.make_room()
        record = eventually(lambda: (lambda r: r if r['status'] != 'running' else None)(self.record(task)), 'it is recorded')
        self.assertEqual((record['status'], record['exitCode']), ('failed', 3))
        self.assertNotIn('recovered', record)
        self.assertEqual([n['source_id'] for n in self.json('notifications', '--owner', 'me', '--ack')], [task])
        self.assertEqual(self.json('notifications', '--owner', 'me'), [])
        self.assertNotIn('unrecordedEnd', self.json('show', task))

    def test_D29_a_wait_that_began_before_says_so_and_ends_with_the_record(self):
        task = self.waiting()
        with subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as waiting:
            self.use_up_inodes()
            self.let_go()
            self.assertIn(f'{task}: ended (exit 3); {REFUSED}', waiting.stderr.readline())
            self.make_room()
            said, more = waiting.communicate(timeout=30)
            self.assertEqual(waiting.returncode, 3)
            self.assertIn('failed', said)
            self.assertEqual(more, '')

    def test_D29_a_record_that_needs_more_room_than_was_reserved(self):
        task = self.waiting(line='exit 0')
        self.use_up_blocks()
        stopped = self.perdure('stop', task, '--reason', 'r' * 3400, '--grace', '1')
        self.assertIn(f"ended (killed); {REFUSED}", stopped.stdout, stopped.stderr)
        self.assertEqual(self.refused(task), f'ended (killed); {REFUSED}')
        self.make_room()
        record = eventually(lambda: (lambda r: r if r['status'] != 'running' else None)(self.record(task)), 'it is recorded')
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'r' * 3400))

    def test_D29_a_runner_killed_meanwhile_loses_nothing(self):
        task = self.waiting()
        self.use_up_inodes()
        self.let_go()
        self.refused(task)
        os.kill(self.record(task)['runner']['pid'], 9)
        self.make_room()
        record = self.finished(task)
        self.assertEqual((record['status'], record['exitCode'], record['recovered']), ('failed', 3, True))


if __name__ == '__main__':
    unittest.main()
