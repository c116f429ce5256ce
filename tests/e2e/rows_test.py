"""L66, D48, D50: limits and filters come before the work, and the index of ended tasks is never believed above a record."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest  # noqa: E402

STRACE = shutil.which('strace')
CAN_TRACE = STRACE and subprocess.run([STRACE, '-qq', 'true'], check=False, stderr=subprocess.DEVNULL).returncode == 0
LOOKS = (['list', '--all'], ['--json', 'list', '--all'], ['list', '--all', '--limit', '7'], ['--json', 'list', '--all', '--limit', '3'],
         ['list', '--status', 'failed'], ['list', '--all', '--label', 'odd=1'], ['list', '--all', '--name', 'n5'],
         ['list', '--all', '--owner', 'o'], ['events'], ['gc', '--dry-run', '--keep', '4'], ['__ids', '--described'])


class Rows(SessionTest):
    def setUp(self):
        super().setUp()
        self.index = os.path.join(self.tasks, '.index')

    def plant(self, count, at=1_700_000_000_000):
        """So many ended tasks, one a second: the record of a real one under other ids."""
        task = self.sh('echo out')
        record = self.finished(task)
        record['notifiedAt'] = record['endedAt']
        record['outputBytes'] = 0
        for n in range(count):
            began = at + n * 1000
            record.update(taskId=f'bash-{n:08x}', status='failed' if n % 5 == 0 else 'completed', exitCode=3 if n % 5 == 0 else 0,
                          startedAt=began, endedAt=began + 500, startedSeq=began * 1000, endedSeq=began * 1000 + 500, description=f'task {n}',
                          labels={'odd': str(n % 2)}, name=f'n{n}')
            self.write(record)
        # Its age would change while its list is compared.
        self.perdure('remove', task, check=0)

    def write(self, record):
        """As a program that writes in place."""
        with open(self.path(record['taskId']), 'w', encoding='utf-8') as f:
            json.dump(record, f)
        os.chmod(self.path(record['taskId']), 0o600)

    def make_index(self):
        time.sleep(0.1)  # a file of this very moment is not taken
        self.perdure('reconcile', check=0)
        self.assertTrue(os.path.exists(self.index))

    def assert_same_without(self, looks=LOOKS):
        """With the index as it is, and without it: the same output, the same exit status."""
        with_index = [self.perdure(*look) for look in looks]
        if os.path.lexists(self.index):
            os.rename(self.index, self.index + '.away')
        without = [self.perdure(*look) for look in looks]
        if os.path.lexists(self.index + '.away'):
            os.rename(self.index + '.away', self.index)
        for look, a, b in zip(looks, with_index, without):
            with self.subTest(look=look):
                self.assertEqual((a.returncode, a.stdout, a.stderr), (b.returncode, b.stdout, b.stderr))
        return with_index

    def opened(self, *args):
        """Which records a command opens."""
        trace = os.path.join(self.scratch, 'trace')
        subprocess.run([STRACE, '-f', '-qq', '-e', 'trace=openat,open', '-o', trace, PERDURE, '--session', self.session, *args], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        with open(trace, encoding='utf-8', errors='replace') as f:
            return sum('.json"' in line and 'ENOENT' not in line for line in f)

    def test_D50_limit_and_filters_choose_as_they_say(self):
        self.plant(30)
        for indexed in (False, True):
            if indexed:
                self.make_index()
            with self.subTest(indexed=indexed):
                newest = [t['taskId'] for t in self.json('list', '--all')]
                self.assertEqual(len(newest), 30)
                for limit in (0, 1, 2, 29, 30, 99):
                    shown = [t['taskId'] for t in self.json('list', '--all', '--limit', str(limit))]
                    self.assertEqual(shown, newest[max(0, 30 - limit):])
                self.assertIn('perdure: 28 more left out by --limit', self.perdure('list', '--all', '--limit', '2').stderr)
                self.assertEqual(len(self.json('list', '--status', 'failed')), 6)
                self.assertEqual(len(self.json('list', '--all', '--label', 'odd=1')), 15)
                self.assertEqual(len(self.json('list', '--all', '--label', 'odd')), 30)
                self.assertEqual(self.json('list', '--all', '--label', 'odd=1', '--label', 'odd=0'), [])
                self.assertEqual([t['taskId'] for t in self.json('list', '--all', '--name', 'n5')], ['bash-00000005'])
                self.assertEqual([t['taskId'] for t in self.json('list', '--all', '--label', 'odd=1', '--limit', '1')], ['bash-0000001d'])
                self.assertEqual(self.json('list', '--all', '--since', '1h'), [])
                self.assertEqual(len(self.json('list', '--all', '--since', '2023-01-01')), 30)

    def test_D50_running_tasks_stay_whatever_the_limit(self):
        self.plant(3)
        live = self.sh('sleep 300')
        self.assertEqual([t['taskId'] for t in self.json('list', '--all', '--limit', '0')], [live])
        self.assertEqual(len(self.json('list', '--all', '--limit', '2')), 2)
        self.perdure('stop', live, check=0)

    def test_D48_the_output_is_the_same_with_and_without(self):
        self.plant(40)
        self.make_index()
        self.assert_same_without()
        ageless = [look for look in LOOKS if look[0] != 'list']  # a table has the age of what runs
        live = self.sh('sleep 300')
        self.assert_same_without(ageless)
        self.perdure('stop', live, check=0)
        self.assert_same_without(ageless)

    @unittest.skipUnless(CAN_TRACE, 'strace is not there, or may not trace here')
    def test_D48_D55_records_with_a_row_are_not_opened(self):
        few = 20
        self.plant(few)
        self.make_index()
        base = {look: self.opened(*look.split()) for look in ('list --all', 'list --all --limit 5', 'events --since 1790000000000000')}
        self.plant(400)
        self.make_index()
        for look, before in base.items():
            with self.subTest(look=look):
                self.assertLessEqual(self.opened(*look.split()), before + 2)
        self.assertLessEqual(self.opened('--json', 'list', '--all', '--limit', '5'), 5 + 6)
        os.remove(self.index)
        self.assertGreaterEqual(self.opened('list', '--all'), 400, 'the counting itself')

    def test_D48_a_row_counts_only_while_its_record_is_as_it_was(self):
        self.plant(10)
        self.make_index()
        task = 'bash-00000003'
        before = os.stat(self.path(task))

        def in_place():
            record = self.record(task)
            record['description'] = 'task X'  # as long as before
            self.write(record)
            self.assertEqual(os.stat(self.path(task)).st_size, before.st_size)
            self.assertEqual(os.stat(self.path(task)).st_ino, before.st_ino)
            return 'task X'

        def in_place_with_the_old_time():
            record = self.record(task)
            record['description'] = 'task Y'
            self.write(record)
            os.utime(self.path(task), ns=(before.st_atime_ns, before.st_mtime_ns))
            return 'task Y'

        def by_rename():
            record = self.record(task)
            record['description'] = 'task Z'
            os.rename(self.path(task), self.path(task) + '.old')
            self.write(record)
            os.remove(self.path(task) + '.old')
            return 'task Z'

        for change in (in_place, in_place_with_the_old_time, by_rename):
            with self.subTest(change=change.__name__):
                expected = change()
                self.assertIn(expected, self.perdure('list', '--all', check=0).stdout)
                self.assert_same_without()
                self.make_index()
                self.assertIn(expected, self.perdure('list', '--all', check=0).stdout)
        os.remove(self.path(task))
        self.assertNotIn(task, self.perdure('list', '--all', check=0).stdout)
        new = self.sh('echo new')
        self.finished(new)
        self.assertIn(new, self.perdure('list', '--all', check=0).stdout)
        self.perdure('remove', new, check=0)
        with open(self.path('bash-00000004'), 'w', encoding='ascii') as f:
            f.write('{')
        done = self.perdure('list', '--all', check=0)
        self.assertNotIn('bash-00000004', done.stdout)
        self.assertIn('1 file is not a record', done.stderr)
        self.assert_same_without()

    def test_D48_a_task_that_lives_again_is_shown_as_living(self):
        self.plant(4)
        self.make_index()
        record = self.record('bash-00000001')
        for key in ('runner', 'executor', 'onDeadline', 'endedSeq', 'signal'):
            record.pop(key, None)
        process = subprocess.Popen(['sleep', '300'], start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        record.update(status='running', endedAt=None, exitCode=None, pid=process.pid, startedAt=int(time.time() * 1000), command='sleep 300')
        self.write(record)
        self.assertIn('running', [t['status'] for t in self.json('list', '--all') if t['taskId'] == 'bash-00000001'])

    def test_D48_whatever_the_index_holds_nothing_breaks(self):
        self.plant(12)
        self.make_index()
        with open(self.index, 'rb') as f:
            good = f.read()
        expected = [(a.returncode, a.stdout, a.stderr) for a in self.assert_same_without()]
        other = os.path.join(self.scratch, 'other')
        hostile = {'empty': b'', 'cut': good[:len(good) // 2], 'one byte less': good[:-1], 'more': good + b'\0' * 8, 'garbage': os.urandom(4096),
                   'header only': good[:32], 'a huge size': good[:16] + b'\xff' * 8 + good[24:], 'another version': b'perdure rows 9\n\0' + good[16:]}
        for at in range(0, len(good), 61):
            hostile[f'flipped at {at}'] = good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1:]
        for what, content in hostile.items():
            with self.subTest(what=what):
                with open(self.index, 'wb') as f:
                    f.write(content)
                done = self.perdure('list', '--all')
                self.assertEqual((done.returncode, done.stdout, done.stderr), expected[0])
        os.remove(self.index)
        for what in ('a folder', 'a link', 'a FIFO'):
            with self.subTest(what=what):
                if what == 'a folder':
                    os.mkdir(self.index)
                elif what == 'a link':
                    os.symlink('/dev/zero', self.index)
                else:
                    os.mkfifo(self.index)
                done = self.perdure('list', '--all')
                self.assertEqual((done.returncode, done.stdout, done.stderr), expected[0])
                self.perdure('reconcile', check=0)
                if what == 'a folder':
                    os.rmdir(self.index)
                elif os.path.lexists(self.index):
                    os.remove(self.index)
        # Of another session: the same ids, other files.
        shutil.copytree(self.session, other, symlinks=True)
        self.make_index()
        record = self.record('bash-00000002')
        record['description'] = 'over there'
        with open(os.path.join(other, 'tasks', 'bash-00000002.json'), 'w', encoding='utf-8') as f:
            json.dump(record, f)
        shutil.copy(self.index, os.path.join(other, 'tasks', '.index'))
        self.assertIn('over there', self.perdure('list', '--all', session=other, check=0).stdout)

    def test_D48_forged_rows_with_a_right_checksum_break_nothing(self):
        """The checksum finds damage, no forger: whatever a row holds, the programs stand."""
        self.plant(6)
        self.make_index()
        with open(self.index, 'rb') as f:
            good = f.read()

        def sealed(rows):
            total = 0x70657264757265
            for at in range(0, len(rows) - 7, 8):
                total = ((total ^ int.from_bytes(rows[at:at + 8], 'little')) * 0x9E3779B97F4A7C15) & (2**64 - 1)
                total = ((total << 29) | (total >> 35)) & (2**64 - 1)
            return good[:16] + len(rows).to_bytes(8, 'little') + total.to_bytes(8, 'little') + rows

        rows = good[32:]
        self.assertEqual(sealed(rows), good, 'this test knows the format')
        for at in range(0, min(len(rows), 400), 7):
            for value in (0x00, 0xFF):
                forged = bytearray(rows)
                forged[at] = value
                with open(self.index, 'wb') as f:
                    f.write(sealed(bytes(forged)))
                done = self.perdure('list', '--all')
                self.assertEqual(done.returncode, 0, f'byte {at}: {done.stderr}')
                self.assertGreaterEqual(len(done.stdout.splitlines()), 7, f'byte {at}')  # one row may lie, and no more

    def test_L50_D48_who_only_looks_writes_nothing(self):
        self.plant(8)
        time.sleep(0.1)
        before = sorted(os.listdir(self.tasks))
        for look in (*LOOKS, ['doctor']):
            self.perdure(*look)
        self.assertEqual(sorted(os.listdir(self.tasks)), before)
        self.make_index()
        os.remove(self.index)
        os.chmod(self.tasks, 0o500)
        try:
            self.perdure('list', '--all', check=0)
            self.perdure('gc', '--keep', '1000', check=0)
        finally:
            os.chmod(self.tasks, 0o700)

    def test_D48_gc_judges_by_the_record(self):
        self.plant(10)
        self.make_index()
        record = self.record('bash-00000001')
        record['endedAt'] = int(time.time() * 1000)
        self.write(record)
        removed = self.json('gc', '--older-than', '1h')['removed']
        self.assertEqual(len(removed), 9)
        self.assertNotIn('bash-00000001', removed)
        self.assertEqual([t['taskId'] for t in self.json('list', '--all')], ['bash-00000001'])
        self.assert_same_without()

    def test_D48_many_at_once_and_a_death_while_writing(self):
        self.plant(60)
        expected = None
        time.sleep(0.1)
        for n in range(12):
            if os.path.exists(self.index):
                os.remove(self.index)
            writers = [subprocess.Popen([PERDURE, '--session', self.session, 'reconcile'], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL) for _ in range(3)]
            time.sleep(0.002 * n)
            writers[0].send_signal(signal.SIGKILL)
            shown = [subprocess.Popen([PERDURE, '--session', self.session, '--json', 'list', '--all'], stdout=subprocess.PIPE) for _ in range(2)]
            for lister in shown:
                out, _ = lister.communicate(timeout=60)
                ids = [t['taskId'] for t in json.loads(out)]
                expected = expected or ids
                self.assertEqual(ids, expected)
            for writer in writers:
                writer.wait(timeout=60)
        self.make_index()
        self.assert_same_without()


if __name__ == '__main__':
    unittest.main()
