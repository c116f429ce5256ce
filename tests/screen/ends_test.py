"""How top ends and rests: signals, its terminal, its input, and what it costs while nothing happens (V61, V62)."""
import os
import signal
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from screen_case import ScreenTest, eventually  # noqa: E402

RESTORED = (b'\x1b[?1000l', b'\x1b[?1006l', b'\x1b[?2004l', b'\x1b[?7h', b'\x1b[?25h', b'\x1b[?1049l')


class Ends(ScreenTest):
    def started(self, **kw):
        task = self.sh('echo hello; sleep 1000')
        top = self.top(**kw)
        top.shows(task, 'hello')
        self.cooked = termios.tcgetattr(top.master)[3]
        return top

    def assert_restored(self, top, last=RESTORED):
        eventually(lambda: all(part in top.raw[top.raw.rfind(b'\x1b[?2004l') - 5:] for part in last), 'it is restored')

    def test_V62_SIGTERM_restores_the_terminal(self):
        top = self.started()
        os.kill(top.pid, signal.SIGTERM)
        self.assertEqual(top.ended(), 128 + signal.SIGTERM)
        self.assert_restored(top)

    def test_V62_SIGHUP_and_a_terminal_that_goes_end_it(self):
        top = self.started()
        os.kill(top.pid, signal.SIGHUP)
        self.assertEqual(top.ended(), 128 + signal.SIGHUP)
        top = self.started()
        top.hang_up()
        top.ended(5)

    def test_V62_a_crash_restores_the_terminal(self):
        top = self.started()
        os.kill(top.pid, signal.SIGSEGV)
        self.assertEqual(top.ended(), -signal.SIGSEGV)
        self.assert_restored(top)

    def test_V62_control_c_and_q_end_it_and_no_task(self):
        for key, status in (('\x03', 130), ('q', 0)):
            top = self.started()
            top.keys(key)
            self.assertEqual(top.ended(), status)
            self.assert_restored(top)
        self.assertEqual(len(self.json('list')), 2)

    def test_V62_control_z_restores_and_continues(self):
        top = self.started()
        raw = termios.tcgetattr(top.master)[3]
        top.keys('\x1a')

        def state():
            with open(f'/proc/{top.pid}/stat', encoding='utf-8') as f:
                return f.read().rpartition(')')[2].split()[0]
        eventually(lambda: state() == 'T', 'it is stopped')
        self.assert_restored(top)
        self.assertNotEqual(termios.tcgetattr(top.master)[3], raw)
        os.kill(top.pid, signal.SIGCONT)
        eventually(lambda: termios.tcgetattr(top.master)[3] == raw, 'it has the terminal again')
        top.press('?', 'stop with a reason')
        top.press('q', '')

    def test_V62_SIGKILL_loses_nothing(self):
        top = self.started()
        os.kill(top.pid, signal.SIGKILL)
        top.ended()
        self.assertEqual([task['status'] for task in self.json('list')], ['running'])
        self.assertEqual(self.perdure('doctor').returncode, 0)

    def switches(self, top):
        with open(f'/proc/{top.pid}/status', encoding='utf-8') as f:
            return sum(int(line.split()[1]) for line in f if 'ctxt_switches' in line and not line.startswith('non'))

    def test_V61_nothing_wakes_it_while_nothing_runs(self):
        # Ages below a minute change each second; this one does not.
        task = 'bash-0000000a'
        hour_ago = int(time.time() * 1000) - 3_630_000
        os.makedirs(self.tasks, 0o700)
        with open(self.path(task), 'w', encoding='utf-8') as f:
            f.write(f'{{"taskId":"{task}","kind":"process","description":"old","command":"true","status":"completed",'
                    f'"startedAt":{hour_ago},"endedAt":{hour_ago + 5},"pid":1,"exitCode":0}}')
        top = self.top(columns=120)
        top.shows(task, '1h')
        time.sleep(0.5)
        before = self.switches(top)
        time.sleep(4)
        self.assertLessEqual(self.switches(top) - before, 1)

    def test_V61_a_running_task_wakes_it_once_a_second(self):
        top = self.started(columns=120)
        time.sleep(1)
        before = self.switches(top)
        with open(f'/proc/{top.pid}/stat', encoding='utf-8') as f:
            ticks = [int(part) for part in f.read().rpartition(')')[2].split()[11:13]]
        time.sleep(5)
        woken = self.switches(top) - before
        with open(f'/proc/{top.pid}/stat', encoding='utf-8') as f:
            cpu = sum(int(part) for part in f.read().rpartition(')')[2].split()[11:13]) - sum(ticks)
        print(f'a running task on the screen: {woken} switches and {cpu} ticks of CPU in 5 s')
        self.assertLessEqual(woken, 8)

    def test_V61_nothing_happens_while_it_is_suspended(self):
        top = self.started()
        os.kill(top.pid, signal.SIGTSTP)
        time.sleep(0.3)
        size = len(top.raw)
        time.sleep(1.5)
        self.assertEqual(len(top.raw), size)
        os.kill(top.pid, signal.SIGCONT)
        top.press('q', '')


class Tmux(ScreenTest):
    def test_V62_in_tmux(self):
        task = self.ended_task("printf 'hello 日本 \\033[31mred\\n'")
        socket = os.path.join(self.scratch, 'tmux')

        def tmux(*args):
            return subprocess.run(['tmux', '-f', '/dev/null', '-S', socket, *args], stdout=subprocess.PIPE, text=True, check=False,
                                  env={**os.environ, 'LC_ALL': 'C.UTF-8'}).stdout
        try:
            from session import PERDURE
            tmux('-u', 'new-session', '-d', '-x', '100', '-y', '24', f'exec {PERDURE} --session {self.session} top')
        except FileNotFoundError:
            self.skipTest('tmux is not installed')
        try:
            eventually(lambda: 'hello 日本 red' in tmux('capture-pane', '-p'), 'the log is shown')
            self.assertIn(task, tmux('capture-pane', '-p'))
            tmux('send-keys', 'Down', 'Enter')
            eventually(lambda: 'h back' in tmux('capture-pane', '-p'), 'the keys arrive')
            tmux('resize-window', '-x', '60', '-y', '10')
            eventually(lambda: 'hello' in tmux('capture-pane', '-p'), 'it is drawn in the new size')
            tmux('send-keys', 'q')
        finally:
            tmux('kill-server')


if __name__ == '__main__':
    unittest.main()
