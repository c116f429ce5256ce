"""Disks that are full, and sessions that can't be written. Needs its own mounts: root, in a mount namespace of its own."""
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually  # noqa: E402


def in_own_mount_namespace():
    """Starts this program again where mounts are its own; False where that is not allowed."""
    if os.environ.get('TEST_HAS_MOUNTS'):
        return True
    if os.geteuid() == 0 and shutil.which('unshare') and subprocess.run(['unshare', '-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'], check=False,
                                                                        stderr=subprocess.DEVNULL).returncode == 0:
        os.environ['TEST_HAS_MOUNTS'] = '1'
        os.execvp('unshare', ['unshare', '-m', sys.executable, *sys.argv])
    print('skipped: tmpfs cannot be mounted here (not root, or no mount namespaces)')
    return False


class SmallDisk(SessionTest):
    size = '1m'

    def setUp(self):
        super().setUp()
        self.disk = os.path.join(self.scratch, 'disk')
        os.mkdir(self.disk)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={self.size},mode=700', 'none', self.disk], check=True)
        self.session = os.path.join(self.disk, 'session')
        self.tasks = os.path.join(self.session, 'tasks')

    def tearDown(self):
        session = self.session
        try:
            super().tearDown()
        finally:
            subprocess.run(['umount', '-l', self.disk], check=False, stderr=subprocess.DEVNULL)
            self.session = session

    def fill(self):
        with open(os.path.join(self.disk, 'filler'), 'ab', buffering=0) as f:
            block = b'x' * 4096
            try:
                while True:
                    f.write(block)
            except OSError:
                pass

    def set_aside(self, task):
        """The space for its terminal record is taken right behind the answer to its launch (docs/internals/runner.md)."""
        next_record = os.path.join(self.tasks, task, 'record.next')
        eventually(lambda: os.path.exists(next_record) and os.path.getsize(next_record) > 0, 'space is set aside')

    def make_room(self):
        os.remove(os.path.join(self.disk, 'filler'))

    def test_L25_the_command_lives_on_a_full_disk_and_the_record_says_what_was_not_stored(self):
        task = self.sh('head -c 5000000 /dev/zero; exit 7', '--output-limit', '0')
        record = self.finished(task)
        self.assertEqual((record['status'], record['exitCode']), ('failed', 7))
        self.assertEqual(record['outputBytes'], 5000000)
        self.assertEqual(record['unstoredBytes'] + len(self.log(task)), 5000000)
        self.assertGreater(record['unstoredBytes'], 3000000)
        self.assertIn('refused by the disk', self.perdure('show', task).stdout)
        self.assertFalse(self.json('output', task)['fullOutputAvailable'])

    def test_a_disk_that_fills_up_meanwhile_does_not_lose_the_outcome(self):
        gate = os.path.join(self.scratch, 'gate')
        task = self.sh(f'while [ ! -e {gate} ]; do sleep 0.01; done; exit 9')
        self.set_aside(task)
        self.fill()
        with open(gate, 'w', encoding='utf-8'):
            pass
        record = self.finished(task)
        self.assertEqual((record['status'], record['exitCode']), ('failed', 9))

    def test_L27_a_foreground_command_lives_on_a_full_disk(self):
        self.finished(self.sh('true'))
        self.fill()
        done = self.perdure('run', '--foreground', '-c', 'seq 20000; exit 7')
        # Not even the folder of a task may find room; then nothing of it may have run.
        if done.returncode == 7:
            self.assertEqual(done.stdout, ''.join(f'{i}\n' for i in range(1, 20001)))
        else:
            self.assertIn('No space left', done.stderr)
            self.assertEqual(done.stdout, '')

    def test_L27_what_cannot_be_detached_stays_in_the_foreground_until_there_is_room(self):
        gate = os.path.join(self.scratch, 'gate')
        caller = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--foreground', '-c',
                                   f'echo out; while [ ! -e {gate} ]; do sleep 0.01; done; exit 9'],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(caller.stdout.close)
        self.assertEqual(caller.stdout.readline(), 'out\n')
        task = self.json('list')[0]['taskId']
        self.fill()
        refused = self.perdure('--json', 'detach', task)
        if refused.returncode != 0:
            self.assertEqual(json.loads(refused.stdout)['error']['code'], 'storage.full')
            self.assertFalse(self.json('show', task)['detached'])
            # Killed, its caller has it detached all the same, as soon as there is room.
            caller.kill()
            self.make_room()
        caller.wait(60)
        eventually(lambda: os.path.exists(os.path.join(self.tasks, task + '.json')), 'it is detached')
        with open(gate, 'w', encoding='utf-8'):
            pass
        self.assertEqual((self.finished(task)['exitCode'], self.log(task)), (9, b'out\n'))

    def test_L05_a_place_in_the_queue_that_cannot_be_written_is_refused_and_leaves_nothing(self):
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        self.sh('sleep 100', env=cap)
        self.set_aside(self.json('list')[0]['taskId'])
        first = self.sh('true', '--queue', env=cap)
        before = sorted(self.task_names()), sorted(os.listdir(os.path.join(self.session, 'queue')))
        self.fill()
        refused = self.perdure('--json', 'run', '--queue', '-c', f'touch {self.scratch}/ran', env=cap, check=1)
        self.assertEqual(json.loads(refused.stdout)['error']['code'], 'storage.full')
        self.assertEqual((sorted(self.task_names()), sorted(os.listdir(os.path.join(self.session, 'queue')))), before)
        self.make_room()
        second = self.sh('true', '--queue', env=cap)
        self.perdure('stop', self.json('list', '--status', 'running')[0]['taskId'], check=0)
        self.perdure('wait', '--drain')
        self.assertEqual([self.record(t)['status'] for t in (first, second)], ['completed'] * 2)
        self.assertFalse(os.path.exists(os.path.join(self.scratch, 'ran')))

    def test_L32_an_end_on_a_full_disk_is_told_and_acknowledged_when_there_is_room(self):
        gate = os.path.join(self.scratch, 'gate')
        task = self.sh(f'while [ ! -e {gate} ]; do sleep 0.01; done; exit 9')
        self.set_aside(task)
        self.fill()
        with open(gate, 'w', encoding='utf-8'):
            pass
        self.finished(task)
        self.fill()  # what its runner gave back
        self.assertEqual([n['tasks'] for n in self.json('notifications', '--claim', '--lease', '1ms')], [[task]])
        told = self.perdure('notifications', '--wait', '--ack')
        self.assertEqual(told.returncode, 1, 'it could not be noted')
        self.assertIn(task, told.stdout)
        self.assertIn('No space left', told.stderr)
        self.make_room()
        self.assertEqual([n['tasks'] for n in self.json('notifications', '--ack')], [[task]])
        self.assertEqual(self.json('notifications'), [])

    def test_a_full_disk_refuses_a_start_clearly_and_works_again_when_there_is_room(self):
        first = self.sh('true')
        self.finished(first)
        before = self.record(first)
        self.fill()
        refused = self.perdure('--json', 'run', '-c', 'echo must not run', check=1)
        error = json.loads(refused.stdout)['error']
        self.assertEqual((error['code'], error['retryable']), ('storage.full', True))
        self.assertIn('No space left', error['message'])
        self.assertEqual([r['taskId'] for r in self.json('list', '--all')], [first])
        self.assertEqual(self.record(first), before)
        self.make_room()
        self.assertEqual(self.finished(self.sh('exit 3'))['exitCode'], 3)
        self.assertEqual({r['taskId'] for r in self.json('list', '--all')}, {n[:-5] for n in self.task_names() if n.endswith('.json')})

    def test_a_read_only_session_can_be_read_and_says_why_it_cannot_be_written(self):
        task = self.sh('echo kept')
        self.finished(task)
        eventually(lambda: sorted(os.listdir(os.path.join(self.tasks, task))) == ['output.log', 'start'], 'the runner has left')
        subprocess.run(['mount', '-o', 'remount,ro', self.disk], check=True)
        self.assertEqual(self.json('show', task)['status'], 'completed')
        self.assertEqual(self.perdure('output', task, check=0).stdout, 'kept\n')
        error = json.loads(self.perdure('--json', 'run', '-c', 'true', check=1).stdout)['error']
        self.assertIn('Read-only file system', error['message'])
        self.assertIn(error['code'], ('session.unusable', 'task.launch_failed'))
        self.perdure('remove', task, check=1)


class Unusable(SessionTest):
    def test_a_session_that_is_a_file_is_refused(self):
        with open(self.session, 'w', encoding='utf-8') as f:
            f.write('precious')
        error = json.loads(self.perdure('--json', 'run', '-c', 'true', check=1).stdout)['error']
        self.assertEqual(error['code'], 'session.unusable')
        self.assertIn('not a folder', error['message'])
        with open(self.session, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'precious')

    def test_a_tasks_folder_that_is_a_link_is_not_followed(self):
        elsewhere = os.path.join(self.scratch, 'elsewhere')
        os.mkdir(elsewhere)
        os.mkdir(self.session)
        os.symlink(elsewhere, self.tasks)
        self.assertNotEqual(self.perdure('run', '-c', 'true').returncode, 0)
        self.assertEqual(os.listdir(elsewhere), [])


if __name__ == '__main__':
    if not in_own_mount_namespace():
        sys.exit(77)
    unittest.main()
