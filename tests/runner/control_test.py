"""The control socket: requests that are no requests, clients that go away, more clients than descriptors."""
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, eventually, is_alive  # noqa: E402


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


class Control(RunnerTest):
    def connect(self, task):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        folder = os.open(self.s.folder(task), os.O_RDONLY)
        try:
            client.connect(f'/proc/self/fd/{folder}/control')
        finally:
            os.close(folder)
        client.settimeout(10)  # after connect, which would not wait for room among those that are not accepted yet
        return client

    def still_there(self, task):
        self.assertRegex(self.s.ask(task, 'output', timeout=10), r'^output \d+ \d+ \d+$')

    def end(self, task):
        """A stop, by signal where the socket is deaf: the test has seen what it wanted to see."""
        os.kill(self.runner_pid(task), signal.SIGTERM)
        return self.ended(task)

    def descriptors(self, task):
        return len(os.listdir(f'/proc/{self.runner_pid(task)}/fd'))

    def test_a_request_that_is_none_is_answered_and_harms_nothing(self):
        task = self.sh('exec sleep 300')
        for line in ('', ' ', 'nonsense', 'STOP 0 x', 'wait-no', 'signal -1', 'signal 99999999999', '\0', 'output\0', 'x' * 8000):
            answer = self.s.ask(task, line)
            self.assertNotEqual(answer, 'ok', line)
        self.still_there(task)
        self.assertEqual(self.s.read(task)['status'], 'running')
        self.end(task)

    def test_a_line_without_an_end_is_hung_up(self):
        task = self.sh('exec sleep 300')
        client = self.connect(task)
        with self.assertRaises(ConnectionError):
            client.sendall(b'x' * 20_000)
            if client.recv(10) == b'':
                raise ConnectionResetError
        self.still_there(task)
        self.end(task)

    def test_a_line_that_comes_in_pieces_is_understood(self):
        task = self.sh('exec sleep 300')
        client = self.connect(task)
        for piece in (b'st', b'op 0', b' in pie', b'ces'):
            client.sendall(piece)
            self.still_there(task)
        client.sendall(b'\n')
        self.assertEqual(client.recv(10), b'ok\n')
        self.assertEqual(self.ended(task)['stopReason'], 'in pieces')

    def test_several_lines_at_once_are_each_answered(self):
        task = self.sh('exec sleep 300')
        client = self.connect(task)
        client.sendall(b'output\n' * 3)
        eventually(lambda: client.recv(100, socket.MSG_PEEK).count(b'\n') == 3, 'three answers')
        self.end(task)

    def test_clients_that_leave_in_the_middle_of_a_line_leave_no_descriptor_behind(self):
        task = self.sh('exec sleep 300')
        self.still_there(task)
        before = self.descriptors(task)
        for _ in range(50):
            client = self.connect(task)
            client.sendall(b'wai')
            client.close()
        self.still_there(task)
        left = self.descriptors(task) - before
        self.end(task)
        self.assertLessEqual(left, 1)

    def test_clients_that_leave_while_they_wait_leave_no_descriptor_behind(self):
        task = self.sh('exec sleep 300')
        self.still_there(task)
        before = self.descriptors(task)
        for line in (b'', b'wait\n'):
            for _ in range(50):
                client = self.connect(task)
                client.sendall(line)
                client.close()
        eventually(lambda: self.s.ask(task, 'output') and self.descriptors(task) <= before + 1, 'descriptors are closed')
        self.end(task)

    def test_a_client_that_never_reads_its_answers_does_not_stop_the_others(self):
        task = self.sh('exec sleep 300')
        client = self.connect(task)
        client.setblocking(False)
        try:
            for _ in range(20_000):
                client.send(b'output\n' * 100)
        except BlockingIOError:
            pass
        self.still_there(task)
        self.stop(task, 0)
        self.assertEqual(self.ended(task)['status'], 'killed')

    def test_500_who_wait_all_hear_of_the_end(self):
        task = self.sh('until [ -e go ]; do sleep 0.02; done; exit 3', cwd=self.scratch)
        waiting = [self.connect(task) for _ in range(500)]
        for client in waiting:
            client.sendall(b'wait\n')
        # Who is not taken in by then is hung up on, which is an answer, too, but not the one to be seen here.
        eventually(lambda: self.descriptors(task) >= 500, 'all are taken in')
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        for client in waiting:
            self.assertEqual(client.recv(10), b'ended\n')
        self.assertEqual(self.s.read(task)['exitCode'], 3)

    def test_when_a_waiter_hears_of_the_end_the_record_is_final_and_no_lock_is_held(self):
        for _ in range(30):
            task = self.sh('exit 3')
            if self.s.ask(task, 'wait') == 'ended':
                self.assertEqual(self.s.read(task)['exitCode'], 3)
                self.assertNotIn('runner.lock', self.names_in(task))

    def test_with_more_clients_than_descriptors_the_outcome_and_the_output_are_whole(self):
        task = self.sh('until [ -e go ]; do sleep 0.02; done; echo out; exit 3', in_child=few_descriptors, cwd=self.scratch)
        clients = [self.connect(task) for _ in range(60)]
        for client in clients:
            with contextlib.suppress(BrokenPipeError):  # hung up on, for want of a descriptor
                client.sendall(b'wait\n')
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        record = eventually(lambda: (lambda r: r if r['status'] != 'running' else None)(self.s.read(task)), 'it ended')
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes'], record.get('unstoredBytes')), ('failed', 3, 4, None))
        self.assertEqual(self.s.output(task), b'out\n')

    def test_L12_with_more_clients_than_descriptors_a_stop_still_ends_the_whole_tree(self):
        task = self.sh("trap '' TERM; setsid sleep 300 & (sleep 301 &) ; sleep 302; sleep 303", in_child=few_descriptors, grace=50)
        eventually(lambda: len(self.members(task)) >= 4, 'four processes')
        clients = [self.connect(task) for _ in range(60)]
        clients[0].sendall(b'stop 50 enough\n')
        record = eventually(lambda: (lambda r: r if r['status'] != 'running' else None)(self.s.read(task)), 'it ended')
        self.assertEqual(record['status'], 'killed')
        self.assertEqual(self.members(task), [])

    def test_when_the_many_clients_have_gone_it_listens_again(self):
        task = self.sh('exec sleep 300', in_child=few_descriptors)
        clients = [self.connect(task) for _ in range(60)]
        for client in clients:
            client.close()
        self.still_there(task)
        self.end(task)

    def test_an_idle_task_with_more_clients_than_descriptors_costs_nothing(self):
        task = self.sh('exec sleep 300', in_child=few_descriptors)
        clients = [self.connect(task) for _ in range(60)]
        clients[0].sendall(b'output\n')
        self.assertTrue(clients[0].recv(100).startswith(b'output '))
        runner = self.runner_pid(task)
        def sleeps():
            with open(f'/proc/{runner}/stat', encoding='utf-8') as f:
                return f.read().rpartition(')')[2].split()[0] == 'S'
        eventually(sleeps, 'the runner sleeps')
        self.assertTrue(is_alive(runner))
        self.end(task)

    @unittest.skipUnless(os.geteuid() == 0, 'only root can become another user')
    def test_another_user_is_not_answered(self):
        task = self.sh('exec sleep 300')
        for path in (self.scratch, self.session, self.tasks, self.s.folder(task)):
            os.chmod(path, 0o755)
        control = os.path.join(self.s.folder(task), 'control')
        os.chmod(control, 0o777)
        said = subprocess.run([sys.executable, '-c', 'import os, socket, sys\nos.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\n'
                               's.connect(sys.argv[1])\ntry:\n s.sendall(b"stop 0 x\\n")\n print(s.recv(10))\nexcept ConnectionError:\n print(b"")', control],
                              stdout=subprocess.PIPE, text=True, check=True, timeout=30)
        self.assertEqual(said.stdout.strip(), "b''")
        self.assertEqual(self.s.read(task)['status'], 'running')
        self.end(task)


if __name__ == '__main__':
    unittest.main()
