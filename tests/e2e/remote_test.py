#!/usr/bin/env python3
"""L49, L52 (executors.md F1-F3): a session on storage that another machine serves, or that gives files to another user."""
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import mounts  # noqa: E402
from fuse import Fuse  # noqa: E402
from session import SessionTest, is_alive  # noqa: E402

UNMOUNTABLE = mounts.enter()
STRANGER = 65534


@unittest.skipIf(UNMOUNTABLE, UNMOUNTABLE)
class Remote(SessionTest):
    def serve(self, folder, owner=None):
        """The folder as a remote file system shows it. A path below which it is."""
        path = os.path.join(self.scratch, 'remote')
        os.mkdir(path)
        try:
            served = Fuse(folder, path, owner)
        except OSError as e:
            self.skipTest(f'/dev/fuse can not be mounted: {e}')
        self.addCleanup(served.close)
        return path

    def problems(self, session):
        return {f['what']: f['text'] for f in self.json('doctor', check=None, session=session) if f['level'] == 'problem'}

    def test_L49_no_session_is_made_where_files_belong_to_somebody_else(self):
        folder = os.path.join(self.scratch, 'served')
        os.mkdir(folder)
        session = os.path.join(self.serve(folder, STRANGER), 'session')
        for words in (['run', '-c', 'true'], ['run', '--foreground', '-c', 'true'], ['ask', 'Q?'], ['run', '--queue', '-c', 'true']):
            done = self.perdure(*words, session=session)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn('root_squash', done.stderr, words)
            self.assertIn(f'uid {STRANGER}', done.stderr, words)
            self.assertEqual(os.listdir(folder), [], words)

    def test_L49_doctor_names_a_session_whose_files_belong_to_somebody_else(self):
        task = self.sh('exit 3')
        self.perdure('wait', task, check=3)
        remote = self.serve(self.session, STRANGER)
        self.assertIn('root_squash', self.problems(remote)[remote])
        self.assertEqual(self.json('show', task, session=remote)['exitCode'], 3, 'reading goes on')
        done = self.perdure('run', '-c', 'true', session=remote)
        self.assertEqual(done.returncode, 1)
        self.assertIn('belongs to', done.stderr)

    def test_L52_doctor_names_a_task_of_another_boot_on_remote_storage(self):
        task = self.sh('sleep 300')
        whole = self.record(task)
        os.kill(whole['runner']['pid'], 9)
        os.kill(whole['pid'], 9)
        with open(self.path(task), 'w', encoding='utf-8') as f:
            json.dump({**whole, 'bootId': '00000000-0000-4000-8000-000000000000', 'hostName': 'elsewhere'}, f)
        remote = self.serve(self.session)
        shown = self.json('show', task, session=remote)
        self.assertEqual((shown['status'], shown['unverified']), ('running', True))
        problem = self.problems(remote)[task]
        self.assertIn('another boot, on host elsewhere', problem)
        self.assertIn('remote storage', problem)
        for words, code in ((['wait', task], 125), (['stop', task], 1)):
            started = time.monotonic()
            done = self.perdure(*words, session=remote)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertLess(time.monotonic() - started, 5, words)
        # On a disk of this machine the same record is evidence: that boot is over.
        self.assertNotIn(task, self.problems(self.session))
        self.assertFalse(is_alive(whole['pid']))
        self.perdure('reconcile', check=0)
        self.assertEqual(self.record(task)['lostEvidence'], 'rebooted')


if __name__ == '__main__':
    unittest.main()
