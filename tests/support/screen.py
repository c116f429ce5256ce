"""`perdure top` on a terminal of its own, which pyte plays: what a person would see, and the keys a person would press."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time

try:
    import pyte
except ImportError:  # another Python than Debian's, which has it
    sys.path.append('/usr/lib/python3/dist-packages')
    try:
        import pyte
    except ImportError:
        print('python3-pyte is not installed')
        sys.exit(77)

from session import PERDURE  # noqa: E402


class Top:
    """Everything that the terminal got is in `raw`, too."""

    def __init__(self, session, *args, rows=24, columns=80, term='xterm-256color', env=None, config_home='/nonexistent', program=PERDURE):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b''
        self.lock = threading.Lock()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
            variables = {**os.environ, 'TERM': term, 'XDG_CONFIG_HOME': config_home, **(env or {})}
            variables = {name: value for name, value in variables.items() if value is not None}
            os.execve(program, [program, '--session', session, 'top', *args], variables)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        self.status = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                self.raw += data
                self.stream.feed(data)

    def lines(self):
        # Not screen.display, which fails where half of a wide character was overwritten.
        with self.lock:
            return [''.join(self.screen.buffer[y][x].data for x in range(self.screen.columns)).rstrip()
                    for y in range(self.screen.lines)]

    def text(self):
        return '\n'.join(self.lines())

    def keys(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def until(self, condition, what, seconds=20):
        """Waits until the screen is so; a string: until it is on the screen."""
        wanted = condition
        if isinstance(condition, str):
            condition = lambda: wanted in self.text()  # noqa: E731
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or not self.alive():
                raise AssertionError(f'not within {seconds} s: {what}\n{self.text()}')
            time.sleep(0.01)

    def shows(self, *texts, seconds=20):
        for text in texts:
            self.until(text, f'{text!r} is on the screen', seconds)

    def hides(self, text, seconds=20):
        self.until(lambda: text not in self.text(), f'{text!r} is not on the screen', seconds)

    def press(self, keys, *texts):
        self.keys(keys)
        self.shows(*texts)

    def resize(self, rows, columns):
        with self.lock:
            self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def alive(self):
        if self.status is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def ended(self, seconds=20):
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                raise AssertionError('top is still there\n' + self.text())
            time.sleep(0.01)
        return self.status

    def hang_up(self):
        os.close(self.master)
        self.master = -1

    def close(self):
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -9
        if self.master >= 0:
            self.reader.join(5)
            os.close(self.master)
            self.master = -1
