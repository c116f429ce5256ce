#!/usr/bin/env python3
"""L49-L51: what lies in a session folder is untrusted data. Others may have planted, unpacked or copied it."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from mcp_client import McpClient  # noqa: E402
from session import PERDURE, SessionTest, eventually, is_alive  # noqa: E402

READING = (('list', '--all'), ('show', 'ID'), ('output', 'ID'), ('events',), ('notifications',), ('doctor',), ('config',),
           ('notifications', '--wait', '--timeout', '0.2s'), ('agents',))


class TrustTest(SessionTest):
    ONE = {'PERDURE_MAX_RUNNING_TASKS': '1'}

    def setUp(self):
        super().setUp()
        self.ran = os.path.join(self.scratch, 'ran')

    def snapshot(self, folder=None):
        """Every name with what it holds; sockets and locks by name only."""
        found = {}
        for where, folders, files in os.walk(folder or self.session):
            for name in folders + files:
                path = os.path.join(where, name)
                about = os.lstat(path)
                found[path] = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
        return found

    def queued_without_runner(self):
        """A queued task that would write `ran`, and nobody of Perdure is alive."""
        holder = self.sh('exec sleep 300', env=self.ONE)
        queued = self.sh(f'echo ran >> {self.ran}', '--queue', env=self.ONE)
        # The one that waits first: the death of the other frees its slot.
        for task in (queued, holder):
            for pid in self.runners(task):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: not self.runners(task), 'its runner is dead')  # pylint: disable=cell-var-from-loop
        return holder, queued

    def runners(self, task=None):
        found = []
        for name in os.listdir('/proc'):
            if not name.isdigit():
                continue
            try:
                with open(f'/proc/{name}/cmdline', 'rb') as f:
                    words = f.read().split(b'\0')
                if len(words) > 2 and words[0].endswith(b'perdure-runner') and words[1].decode() == self.session and task in (None, words[2].decode()) and \
                        is_alive(int(name)):
                    found.append(int(name))
            except OSError:
                pass
        return found

    def unsign(self):
        folder = os.path.join(self.session, 'queue')
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with open(path, encoding='utf-8') as f:
                text = f.read()
            with open(path, 'w', encoding='utf-8') as f:
                f.write(re.sub(r',"signature":\{[^}]*\}', '', text))

    def read_everything(self, task):
        for words in READING:
            self.perdure(*[task if word == 'ID' else word for word in words])


class ReadingDoesNothing(TrustTest):
    def test_L50_reading_a_session_whose_runners_were_killed_writes_and_starts_nothing(self):
        holder, queued = self.queued_without_runner()
        before = self.snapshot()
        self.read_everything(holder)
        self.assertEqual(self.snapshot(), before)
        self.assertEqual(self.runners(), [])
        self.assertTrue(self.json('show', holder)['runnerGone'])
        table = self.perdure('list', check=0).stdout
        self.assertRegex(table, rf'{queued} +queued \(asleep: perdure reconcile\)')
        self.perdure('reconcile', check=0)
        self.assertEqual(self.finished(queued)['exitCode'], 0, 'acting restarts it')

    def test_L50_notifications_wait_tells_of_a_killed_runner_without_committing(self):
        task = self.sh('exec sleep 300')
        waiting = subprocess.Popen([PERDURE, '--session', self.session, 'notifications', '--wait', '--timeout', '60s'],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        _, said = waiting.communicate(timeout=30)
        self.assertIn('perdure reconcile', said)
        self.assertEqual(self.record(task)['status'], 'running')
        self.perdure('reconcile', check=0)

    def test_L50_queued_tasks_are_started_again_by_those_who_act(self):
        for act in (['run', '-c', 'true'], ['wait'], ['reconcile'], ['notifications', '--claim']):
            holder, queued = self.queued_without_runner()
            self.perdure('stop', holder)
            self.perdure(*act)
            self.assertEqual(self.finished(queued)['exitCode'], 0, act)
            self.perdure('stop', '--all')

    def test_L50_an_mcp_server_starts_queued_tasks_again(self):
        holder, queued = self.queued_without_runner()
        with McpClient(self.session) as client:
            client.initialize()
            self.perdure('stop', holder)
            self.assertEqual(self.finished(queued)['exitCode'], 0)


class Signatures(TrustTest):
    def test_L51_a_planted_queue_entry_is_not_run_until_it_is_trusted(self):
        holder, queued = self.queued_without_runner()
        self.unsign()
        self.perdure('stop', holder)
        self.perdure('reconcile', check=0)
        self.perdure('run', '--wait', '-c', 'true', check=0)
        self.assertFalse(os.path.exists(self.ran))
        findings = self.json('doctor', check=None)
        self.assertTrue([f for f in findings if f['what'] == queued and '--trust' in f['text']], findings)
        shown = self.perdure('reconcile', '--trust')
        self.assertEqual(shown.returncode, 2, 'it asks, and there is nobody to be asked')
        self.assertIn(f'echo ran >> {self.ran}', shown.stderr)
        self.assertFalse(os.path.exists(self.ran))
        self.perdure('reconcile', '--trust', '--yes', check=0)
        self.assertEqual(self.finished(queued)['exitCode'], 0)
        self.assertTrue(os.path.exists(self.ran))

    def test_L51_any_changed_byte_of_a_signed_entry_makes_it_unsigned(self):
        holder, _ = self.queued_without_runner()
        self.perdure('stop', holder)
        folder = os.path.join(self.session, 'queue')
        path = os.path.join(folder, [name for name in os.listdir(folder) if name.endswith('.json')][0])
        with open(path, encoding='utf-8') as f:
            text = f.read()
        spec = re.search(r'"spec":"([^"]*)"', text)[1]
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text.replace(spec, spec[:-8] + ('B' if spec[-8] != 'B' else 'C') + spec[-7:]))
        self.perdure('reconcile', check=0)
        self.assertFalse(os.path.exists(self.ran))

    def test_L51_a_copy_of_a_session_runs_nothing(self):
        holder, _ = self.queued_without_runner()
        copy = os.path.join(self.scratch, 'copy')
        shutil.copytree(self.session, copy, ignore=shutil.ignore_patterns('control'))
        for act in (['reconcile'], ['run', '--wait', '-c', 'true'], ['wait', holder], ['stop', '--all']):
            self.perdure(*act, session=copy)
        self.assertFalse(os.path.exists(self.ran))
        self.perdure('stop', '--all')

    def test_L51_a_renamed_session_works_as_before(self):
        holder, queued = self.queued_without_runner()
        self.perdure('stop', holder)
        renamed = os.path.join(self.scratch, 'renamed')
        os.rename(self.session, renamed)
        self.perdure('reconcile', check=0, session=renamed)
        self.perdure('wait', queued, check=0, session=renamed)
        self.assertTrue(os.path.exists(self.ran))

    def test_L51_on_end_of_a_planted_record_is_not_run(self):
        task = self.sh('exec sleep 300', '--on-end', 'true')
        path = self.path(task)
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        with open(path, encoding='utf-8') as f:
            record = json.load(f)
        record['onEnd'] = [f'echo ran >> {self.ran}']
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(record, f)
        self.perdure('wait', task, check=125)
        self.perdure('wait', self.sh('sleep 0.3'), check=0)
        self.assertFalse(os.path.exists(self.ran))

    def test_L51_without_a_key_tasks_run_and_queue_and_doctor_says_what_waits(self):
        blocked = os.path.join(self.scratch, 'state')
        os.makedirs(os.path.join(blocked, 'perdure', 'signing-key'), 0o700)  # a folder where the key would be
        env = {'XDG_STATE_HOME': blocked, **self.ONE}
        self.perdure('run', '--wait', '-c', 'true', check=0, env=env)
        first = self.sh('sleep 0.3', env=env)
        queued = self.sh(f'echo ran >> {self.ran}', '--queue', env=env)
        self.perdure('wait', first, queued, check=0, env=env)
        self.assertTrue(os.path.exists(self.ran))

    def test_L51_the_key_is_private_outside_the_session_and_made_once(self):
        state = os.path.join(self.scratch, 'state')
        os.mkdir(state, 0o700)
        for _ in range(2):
            self.perdure('run', '--wait', '--on-end', 'true', '-c', 'true', check=0, env={'XDG_STATE_HOME': state})
        key = os.path.join(state, 'perdure', 'signing-key')
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        with open(key, 'rb') as f:
            self.assertEqual(len(f.read()), 32)
        self.assertEqual(os.listdir(os.path.join(state, 'perdure')).count('signing-key'), 1)

    def test_L51_tables_that_act_wait_for_config_trust(self):
        os.makedirs(self.session, 0o700)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write(f'[task]\nmax_running_tasks = 3\n[[hooks]]\nmatcher = "task.started"\ncommand = "echo ran >> {self.ran}"\n')
        done = self.perdure('run', '--wait', '-c', 'true', check=0)
        self.assertIn('perdure config trust', done.stderr)
        self.assertFalse(os.path.exists(self.ran))
        self.assertEqual(self.json('config')['max_running_tasks']['value'], 3)
        self.assertEqual([p['name'] for p in self.json('config', 'trust')['trusted']], ['[[hooks]]'])
        done = self.perdure('run', '--wait', '-c', 'true', check=0)
        self.assertNotIn('config trust', done.stderr)
        eventually(lambda: os.path.exists(self.ran), 'the hook runs now')


@unittest.skipIf(os.geteuid() != 0, 'only root can give a folder to somebody else')
class AnothersSession(TrustTest):
    ACTS = (['run', '-c', 'true'], ['stop', 'ID'], ['wait', 'ID'], ['reconcile'], ['remove', 'ID'], ['gc'], ['close'], ['ask', 'Q?'],
            ['notifications', '--ack'], ['extend', 'ID', '--timeout', '1m'], ['signal', 'ID', 'TERM'], ['write', 'ID'], ['mcp'])

    def refuses(self, task, who):
        eventually(lambda: not self.runners(), 'its runner has cleaned up')
        before = self.snapshot()
        for words in self.ACTS:
            done = self.perdure(*[task if word == 'ID' else word for word in words])
            if words != ['mcp']:
                self.assertNotEqual(done.returncode, 0, words)
                self.assertIn(who, done.stderr, words)
            self.assertEqual(self.snapshot(), before, words)

    def test_L49_root_acts_in_nobodys_session_only_as_its_owner(self):
        task = self.sh('exit 3')
        self.perdure('wait', task)
        for where, folders, files in os.walk(self.session):
            for name in folders + files:
                os.lchown(os.path.join(where, name), 65534, 65534)
        os.chown(self.session, 65534, 65534)
        self.refuses(task, 'sudo -u')
        self.assertEqual(self.json('show', task)['exitCode'], 3, 'reading goes on')

    def test_L49_a_folder_that_others_may_write_or_that_is_a_link(self):
        task = self.sh('exit 3')
        self.perdure('wait', task)
        for name in ('', 'tasks', 'outbox'):
            path = os.path.join(self.session, name)
            os.chmod(path, 0o777)
            self.refuses(task, path.rstrip('/'))
            os.chmod(path, 0o700)
        keys = os.path.join(self.session, 'keys')
        elsewhere = os.path.join(self.scratch, 'elsewhere')
        os.mkdir(elsewhere, 0o700)
        os.symlink(elsewhere, keys)
        self.refuses(task, keys)
        self.assertEqual(os.listdir(elsewhere), [])
        os.unlink(keys)
        self.perdure('run', '--wait', '-c', 'true', check=0)

    def test_L50_reading_anothers_session_connects_to_no_socket(self):
        task = self.sh('exec sleep 300')
        os.chown(self.session, 65534, 65534)
        try:
            trace = os.path.join(self.scratch, 'trace')
            for words in (['list'], ['show', task], ['output', task]):
                subprocess.run(['strace', '-f', '-o', trace, PERDURE, '--session', self.session, *words], check=False,
                               stdout=subprocess.DEVNULL)
                with open(trace, encoding='utf-8', errors='replace') as f:
                    said = f.read()
                self.assertNotRegex(said, rf'connect\(.*{re.escape(task)}', words)
                self.assertNotRegex(said, r'mmap\([^\n]*MAP_SHARED', words)
        finally:
            os.chown(self.session, 0, 0)
            self.perdure('stop', '--all')


if __name__ == '__main__':
    unittest.main()
