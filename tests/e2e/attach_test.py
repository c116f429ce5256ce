"""Typing into tasks: the input of a foreground command, and `attach` (L63, I01-I08). On real pseudo-terminals."""
import fcntl
import hashlib
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive  # noqa: E402

DETACHED, GONE = 75, 141


class Terminal:
    """The program on a terminal of its own, as a person has it."""

    def __init__(self, session, *args, rows=24, columns=80, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
            os.execve(PERDURE, [PERDURE, '--session', session, *args], {**os.environ, 'TERM': 'xterm', **(env or {})})
        self.seen = b''
        self.status = None

    def type(self, data):
        while data:
            n = os.write(self.fd, data[:512])
            data = data[n:]
            self.look(0)

    def look(self, patience):
        if not select.select([self.fd], [], [], patience)[0]:
            return False
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += part
        return bool(part)

    def shows(self, text, seconds=30):
        text = text.encode() if isinstance(text, str) else text
        until = time.monotonic() + seconds
        while text not in self.seen:
            if time.monotonic() > until:
                raise AssertionError(f'{text!r} was not shown within {seconds} s, but {self.seen[-2000:]!r}')
            self.look(0.2)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def is_raw(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    def wait(self):
        while self.look(30):
            pass
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except OSError:
                pass
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class AttachTest(SessionTest):
    def terminal(self, *args, **kw):
        t = Terminal(self.session, *args, **kw)
        self.addCleanup(t.close)
        return t

    def only_task(self):
        return eventually(lambda: (self.json('list') or [None])[0], 'the task is listed')['taskId']

    def stop(self, task):
        self.perdure('stop', task, '--grace', '0', check=0)


class ForegroundInput(AttachTest):
    def test_I01_a_pipe_is_the_commands_input(self):
        r, w = os.pipe()
        os.write(w, b'b\na\n')
        os.close(w)
        self.assertEqual(self.perdure('run', '--foreground', '--', 'sort', stdin=r, check=0).stdout, 'a\nb\n')
        os.close(r)

    def test_I01_what_is_not_read_stays_in_the_callers_pipe(self):
        line = f"printf '1\\n2\\n3\\n' | while read x; do {PERDURE} --session {self.session} run --foreground -c \"echo got $x\"; done"
        done = subprocess.run(['sh', '-c', line], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.stdout, 'got 1\ngot 2\ngot 3\n', done.stderr)

    def test_I01_a_file_and_nothing(self):
        path = os.path.join(self.scratch, 'in')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('text')
        with open(path, 'rb') as f:
            self.assertEqual(self.perdure('run', '--foreground', '--', 'cat', stdin=f, check=0).stdout, 'text')
        with open(path, 'rb') as f:
            self.assertEqual(self.perdure('run', '--foreground', '--stdin', 'null', '--', 'cat', stdin=f, check=0).stdout, '')
        self.perdure('run', '--stdin', 'inherit', '-c', 'true', check=2)

    def test_I01_a_pipe_into_a_terminal(self):
        r, w = os.pipe()
        os.write(w, b'print(6*7)\n')
        os.close(w)
        done = self.perdure('run', '--foreground', '--pty', '--', 'python3', '-q', stdin=r, check=0)
        os.close(r)
        self.assertIn('42', done.stdout)

    def test_I01_a_terminal_is_typed_from(self):
        t = self.terminal('run', '--foreground', '-c', 'read x; echo "got $x"; cat; echo over')
        self.only_task()
        t.type(b'hello\n')
        t.shows('got hello')
        t.type(b'more\n\x04')
        t.shows('over')
        self.assertEqual(t.wait(), 0)

    def test_I07_a_reader_that_has_gone_ends_it_quietly(self):
        for line in ('yes', 'echo one; echo two; sleep 100'):
            done = subprocess.run(['bash', '-c', f'{PERDURE} --session {self.session} run --foreground -c "{line}" | head -1; '
                                   'echo ${PIPESTATUS[0]}'], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.stdout.splitlines()[-1], str(GONE), done.stderr)
            self.assertEqual(done.stderr, '')


class ForegroundTerminal(AttachTest):
    def test_I03_a_repl_is_typed_into_and_the_terminal_is_restored(self):
        t = self.terminal('run', '--foreground', '--pty', '--', 'python3', '-q')
        t.shows('>>>')
        self.assertTrue(t.is_raw())
        t.type(b'print(6*7)\r')
        t.shows('42')
        # Ctrl-C goes to the task. Python overlooks a signal between its prompt and its wait for a key, until the next one.
        eventually(lambda: t.type(b'\x03') or (t.look(0.3) and b'KeyboardInterrupt' in t.seen), 'Ctrl-C arrives')
        t.type(b'exit(7)\r')
        self.assertEqual(t.wait(), 7)

    def test_I03_the_size_follows(self):
        t = self.terminal('run', '--foreground', '--pty', '-c', 'trap "stty size" WINCH; stty size; echo up; while :; do sleep 0.05; done',
                          rows=30, columns=100)
        t.shows('30 100')
        t.shows('up')
        t.resize(40, 120)
        t.shows('40 120')
        t.type(b'\x1cd')
        self.assertEqual(t.wait(), DETACHED)
        self.stop(self.only_task())

    def test_I03_the_detach_key_in_its_forms(self):
        for key in (b'\x1cd', b'\x1c', b'\x1b[92;5ud', b'\x1b[27;5;92~d'):
            t = self.terminal('run', '--foreground', '--pty', '-c', 'echo up; exec cat')
            t.shows('up')
            t.type(key[:3])  # split over two reads, as far as the kernel will have it
            if key[3:]:
                t.type(key[3:])
            self.assertEqual(t.wait(), DETACHED, key)
            self.stop(self.only_task())

    def test_I03_twice_the_key_is_the_key(self):
        t = self.terminal('run', '--foreground', '--pty', '-c', 'trap "echo quit; exit 9" QUIT; echo up; while :; do sleep 0.05; done')
        t.shows('up')
        t.type(b'\x1c\x1c')
        self.assertEqual(t.wait(), 9)
        self.assertIn(b'quit', t.seen)

    def test_I03_suspend_restores_and_goes_on(self):
        shell = self.terminal('run', '--foreground', '--pty', '-c', 'echo up; read x; echo got $x')
        shell.shows('up')
        shell.type(b'\x1c\x1a')
        eventually(lambda: os.waitpid(shell.pid, os.WNOHANG | os.WUNTRACED)[0] == shell.pid, 'it is stopped')
        self.assertFalse(shell.is_raw())
        os.kill(shell.pid, signal.SIGCONT)
        eventually(shell.is_raw, 'the terminal is raw again')
        shell.type(b'it\r')
        shell.shows('got it')
        self.assertEqual(shell.wait(), 0)

    def test_I05_what_the_task_switched_on_is_switched_off(self):
        t = self.terminal('run', '--foreground', '--pty', '-c', r"printf '\033[?1049h\033[?2004h\033[?1000;1006h\033[?25l\033[>1u'; echo up; exec cat")
        t.shows('up')
        at = len(t.seen)
        t.type(b'\x1cd')
        t.wait()
        for undo in (b'\x1b[?1049l', b'\x1b[?2004l', b'\x1b[?1000l', b'\x1b[?1006l', b'\x1b[?25h', b'\x1b[<1u'):
            self.assertIn(undo, t.seen[at:])
        self.stop(self.only_task())

    def test_I02_a_paste_of_100_KB_arrives(self):
        size = 100_000
        t = self.terminal('run', '--foreground', '--pty', '-c', f'stty raw -echo; echo up; head -c {size} | cksum')
        t.shows('up')
        data = bytes(97 + i % 26 for i in range(size))
        expected = subprocess.run(['cksum'], input=data, capture_output=True, check=True).stdout.split()[0]
        t.type(data)
        t.shows(expected)
        t.wait()

    def test_L63_the_terminal_closes_and_the_task_goes_on(self):
        t = self.terminal('run', '--foreground', '--pty', '-c', 'echo up; exec cat')
        t.shows('up')
        task = self.only_task()
        os.close(t.fd)
        t.fd = -1
        eventually(lambda: os.path.exists(self.path(task)) and self.record(task)['detached'], 'it is in the background')
        self.assertTrue(is_alive(self.record(task)['pid']))
        self.stop(task)


class Attach(AttachTest):
    def test_I06_one_types_and_others_are_told(self):
        task = self.run_task('--pty', '--', 'python3', '-q')
        t = self.terminal('attach', task)
        t.type(b'print(6*7)\r')
        t.shows('42')
        self.assertEqual(self.json('show', task)['inputHolder'], t.pid)
        done = self.perdure('--json', 'write', task, stdin=subprocess.DEVNULL, check=1)
        self.assertIn('task.input_held', done.stdout)
        self.assertIn('"retryable":true', done.stdout)
        second = self.terminal('attach', task)
        second.shows('types into')
        self.assertEqual(second.wait(), 1)
        watcher = self.terminal('attach', '--read-only', task)
        # Nobody tells when the watcher has begun.
        eventually(lambda: t.type(b'print(6*8)\r') or (watcher.look(0.3) and b'48' in watcher.seen), 'the watcher sees it')
        t.type(b'\x1cd')
        self.assertEqual(t.wait(), 0)
        self.perdure('write', task, stdin=subprocess.DEVNULL, check=0)  # it is free again
        self.assertNotIn('inputHolder', self.json('show', task))
        self.stop(task)
        watcher.wait()

    def test_I06_a_typist_that_dies_releases(self):
        task = self.run_task('--pty', '--', 'cat')
        t = self.terminal('attach', task)
        eventually(lambda: 'inputHolder' in self.json('show', task), 'it is held')
        os.kill(t.pid, signal.SIGKILL)
        eventually(lambda: 'inputHolder' not in self.json('show', task), 'it is free')
        self.stop(task)

    def test_I06_the_size_is_the_typists_and_the_program_draws_again(self):
        task = self.run_task('--pty', '-c', 'trap "stty size" WINCH; echo up; while :; do sleep 0.05; done')
        self.perdure('wait', task, '--match', 'up', check=0)
        t = self.terminal('attach', task, rows=33, columns=99)
        t.shows('33 99')
        t.type(b'\x1cd')
        t.wait()
        self.stop(task)

    def test_I06_a_program_that_is_slow_to_draw_ends_up_with_the_right_size(self):
        # As ncurses: a signal that comes while it draws is lost.
        path = os.path.join(self.scratch, 'slow.py')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('import os, signal, time\n'
                    'resized = True\n'
                    'def note(*_):\n'
                    '    global resized\n'
                    '    resized = True\n'
                    'signal.signal(signal.SIGWINCH, note)\n'
                    'while True:\n'
                    '    if resized:\n'
                    '        size = os.get_terminal_size()\n'
                    '        time.sleep(0.3)\n'
                    '        print(f"drawn {size.lines}x{size.columns}", flush=True)\n'
                    '        resized = False\n'
                    '    time.sleep(0.01)\n')
        task = self.run_task('--pty', '--', 'python3', path)
        self.perdure('wait', task, '--match', 'drawn 24x80', check=0)
        for rows, columns in ((33, 99), (33, 99), (20, 60)):  # another size, the same again, another
            t = self.terminal('attach', task, rows=rows, columns=columns)
            eventually(lambda: t.look(0.1) and t.seen.rstrip().endswith(f'drawn {rows}x{columns}'.encode()), 'it is drawn')
            t.type(b'\x1cd')
            t.wait()
        self.stop(task)

    def test_I06_one_who_leaves_at_once_leaves_the_right_size(self):
        task = self.run_task('--pty', '-c', 'echo up; read x; stty size; exec cat')
        self.perdure('wait', task, '--match', 'up', check=0)
        for _ in range(2):  # the second one finds the size as it is, and so makes it smaller first
            t = self.terminal('attach', task, rows=33, columns=99)
            eventually(lambda: 'inputHolder' in self.json('show', task), 'it is attached')
            t.type(b'\x1cd')
            t.wait()
        self.perdure('write', task, stdin=self.input(b'\n'), check=0)
        self.perdure('wait', task, '--match', '33 99', check=0)
        self.stop(task)

    def test_I06_without_a_terminal_of_its_own(self):
        task = self.sh(r'for i in $(seq 1 20); do echo line $i; done; read x; printf "got \033]0;t\007 $x\n"; read y', '--stdin', 'pipe')
        self.perdure('wait', task, '--match', 'line 20', check=0)
        t = self.terminal('attach', task)
        t.shows('line 20')
        self.assertNotIn(b'line 10\r', t.seen)
        self.assertIn(b'line 11\r', t.seen)
        t.type(b'me\n')
        t.shows('got ^[]0;t^G me')
        t.type(b'\n')
        self.assertEqual(t.wait(), 0)
        self.assertEqual(self.finished(task)['status'], 'completed')

    def test_I06_what_a_watcher_does_not_get(self):
        task = self.run_task('--pty', '-c', r'''read x; printf 'a\033]52;c;QUJD\007b\033]0;title\007c\033[6nd\033[ce\033[31mf\n'; sleep 100''')
        watcher = self.terminal('attach', '--read-only', task)
        self.assertFalse(watcher.is_raw())
        eventually(lambda: watcher.look(0.05) or True, 'it looks')
        time.sleep(0.3)
        self.perdure('write', task, stdin=self.input(b'\n'), check=0)
        watcher.shows(b'abcde\x1b[31mf')
        os.kill(watcher.pid, signal.SIGINT)
        self.assertEqual(watcher.wait(), 0)
        self.assertEqual(self.record(task)['status'], 'running')
        self.stop(task)

    def input(self, data):
        r, w = os.pipe()
        os.write(w, data)
        os.close(w)
        self.addCleanup(os.close, r)
        return r

    def test_I06_what_can_not_be_attached_to(self):
        task = self.sh('sleep 100')
        self.assertIn('--read-only', self.perdure('attach', task, check=2).stderr)
        self.stop(task)
        self.assertIn('has ended', self.perdure('attach', task, check=1).stderr)

    def test_I06_the_outcome_is_the_tasks(self):
        task = self.run_task('--pty', '-c', 'read x; exit $x')
        t = self.terminal('attach', task)
        t.type(b'5\r')
        self.assertEqual(t.wait(), 5)


@unittest.skipUnless(shutil.which('tmux'), 'tmux is not installed')
class InTmux(AttachTest):
    """A real terminal emulator between the person and us."""

    def setUp(self):
        super().setUp()
        self.socket = os.path.join(self.scratch, 'tmux')
        self.target = 's'
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', '90', '-y', '30', '-s', 's', 'sh')

    def tearDown(self):
        subprocess.run(['tmux', '-S', self.socket, 'kill-server'], stderr=subprocess.DEVNULL, check=False)
        super().tearDown()

    def tmux(self, *args):
        env = {k: v for k, v in os.environ.items() if k != 'TMUX'}
        return subprocess.run(['tmux', '-S', self.socket, *args], capture_output=True, text=True, timeout=30, check=True, env=env).stdout

    def say(self, *words, keys=('Enter',)):
        self.tmux('send-keys', '-t', self.target, *words, *keys)

    def shows(self, text):
        try:
            eventually(lambda: text in self.tmux('capture-pane', '-p', '-t', self.target), f'{text!r} on the screen', 20)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.tmux('capture-pane', '-p', '-t', self.target)}") from None

    def perdure_line(self, line):
        return f'{PERDURE} --session {self.session} {line}'

    @unittest.skipUnless(shutil.which('vim'), 'vim is not installed')
    def test_L63_vim_is_left_and_taken_up_again_in_another_size(self):
        path = os.path.join(self.scratch, 'text')
        self.say(self.perdure_line(f'run --foreground --pty -- vim -u NONE -N {path}'))
        self.shows('[New]')
        self.say('ifirst line', keys=())
        self.shows('first line')
        self.say('C-\\', 'd', keys=())
        task = self.only_task()
        self.shows(task)
        self.tmux('resize-window', '-t', 's', '-x', '70', '-y', '20')
        self.say(self.perdure_line(f'attach {task}'))
        self.shows('-- INSERT --')
        self.say(' and more', keys=('Escape',))
        self.shows('first line and more')
        self.say(':set lines? columns?', keys=('Enter',))
        self.shows('columns=70')
        self.say('Enter', ':wq', keys=('Enter',))
        self.shows('completed')
        with open(path, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'first line and more\n')
        self.say('echo sane $((6*7))')  # the shell's terminal is as it was
        self.shows('sane 42')

    def test_L63_a_repl(self):
        self.say(self.perdure_line('run --foreground --pty -- python3 -q'))
        self.shows('>>>')
        self.say('print(6*7)')
        self.shows('42')
        self.say('exit()')
        eventually(lambda: self.tmux('capture-pane', '-p', '-t', 's').rstrip().endswith('#'), 'the shell asks again', 20)
        self.say('echo sane $((6*8))')
        self.shows('sane 48')

    def test_L63_a_curses_program_is_resized_and_taken_up_from_another_terminal(self):
        path = os.path.join(self.scratch, 'draw.py')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('import curses\n'
                    'def main(w):\n'
                    '    key = 0\n'
                    '    while key != ord("q"):\n'
                    '        w.erase(); w.addstr(2, 3, "size %dx%d" % w.getmaxyx()); w.addstr(4, 3, "key %d" % key); w.refresh(); key = w.getch()\n'
                    'curses.wrapper(main)\n')
        self.say(self.perdure_line(f'run --foreground --pty -- python3 {path}'))
        self.shows('size 30x90')
        self.tmux('resize-window', '-t', 's', '-x', '75', '-y', '21')
        self.shows('size 21x75')
        self.say('Up', keys=())
        self.shows('key 259')
        self.say('C-\\', 'd', keys=())
        task = self.only_task()
        self.shows(task)
        eventually(lambda: self.tmux('capture-pane', '-p', '-t', 's').rstrip().endswith('#'), 'the shell asks again', 20)
        self.tmux('new-session', '-d', '-x', '62', '-y', '19', '-s', 'other', 'sh')
        self.target = 'other'
        self.shows('#')
        self.say(self.perdure_line(f'attach {task}'))
        self.shows('size 19x62')
        self.say('x', keys=())
        self.shows('key 120')
        self.assertIn('key 120', self.perdure('output', '--screen', task, check=0).stdout)
        self.say('q', keys=())
        self.shows('completed')
        self.assertEqual(self.finished(task)['exitCode'], 0)

    def test_L63_a_paste_of_100_KB(self):
        text = ''.join(f'line {i:08d} of a long paste\n' for i in range(3200))
        path = os.path.join(self.scratch, 'paste')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        self.say(self.perdure_line(f"run --foreground --pty -c 'stty -icanon -echo; echo re\"\"ady; head -c {len(text)} | md5sum'"))
        self.shows('ready')
        self.tmux('load-buffer', path)
        self.tmux('paste-buffer', '-r', '-t', 's')
        self.shows(hashlib.md5(text.encode()).hexdigest())

    def test_L63_a_password_prompt(self):
        code = "import getpass; print('len', len(getpass.getpass('Pass' + 'word: ')))"
        self.say(self.perdure_line(f'run --foreground --pty -- python3 -c "{code}"'))
        self.shows('Password:')
        self.say('secret1')
        self.shows('len 7')
        self.assertNotIn('secret1', self.tmux('capture-pane', '-p', '-t', 's'))

    def test_L63_the_outer_terminal_is_killed(self):
        self.say(self.perdure_line("run --foreground --pty -c 'echo u\"\"p; read x; echo got $x'"))
        self.shows('up')
        task = self.only_task()
        self.tmux('kill-server')
        eventually(lambda: os.path.exists(self.path(task)) and self.record(task)['detached'], 'it is in the background')
        self.assertEqual(self.record(task)['status'], 'running')
        eventually(lambda: 'inputHolder' not in self.json('show', task), 'the program that typed has left')
        r, w = os.pipe()
        os.write(w, b'it\n')
        os.close(w)
        self.perdure('write', task, stdin=r, check=0)
        os.close(r)
        self.assertEqual(self.finished(task)['status'], 'completed')

    def test_I04_ctrl_z_suspends_the_wrapper_only(self):
        self.say('bash --norc --noprofile')
        self.say(self.perdure_line("run --foreground -c 'echo u\"\"p; until [ -e " + self.scratch + "/go ]; do sleep 0.02; done; echo ov\"\"er; touch " +
                                   self.scratch + "/done'"))
        self.shows('up')
        self.say('C-z', keys=())
        self.shows('Stopped')
        with open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8'):
            pass
        eventually(lambda: os.path.exists(os.path.join(self.scratch, 'done')), 'the task went on')
        self.say('fg')
        self.shows('over')


if __name__ == '__main__':
    unittest.main()
