"""A session of a test's own, and the perdure program as people and programs call it.

PERDURE_BIN names the folder of the programs. Nothing of a session may outlive its test: the test fails if a process
does that carries the session's marker, and the process is ended.
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BIN = os.environ.get('PERDURE_BIN', 'build/dev/bin')
PERDURE = os.path.join(os.path.abspath(BIN), 'perdure')
RUNNER = os.path.join(os.path.abspath(BIN), 'perdure-runner')
SOURCE = os.environ.get('PERDURE_SOURCE_DIR', os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FIXTURES = os.path.join(SOURCE, 'tests', 'fixtures', 'kimi-code')


def eventually(condition, what, seconds=30):
    """Waits until the condition holds and returns its value: for changes without an event."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f'not within {seconds} s: {what}')
        time.sleep(0.005)


def is_alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def processes_with(text):
    """Living processes whose environment holds the text."""
    found = []
    for name in os.listdir('/proc'):
        if not name.isdigit():
            continue
        try:
            with open(f'/proc/{name}/environ', 'rb') as f:
                if text.encode() in f.read() and is_alive(name):
                    found.append(int(name))
        except OSError:
            pass
    return found


def started_with(text):
    """Living processes whose command line holds the text. A child that has not executed its program yet has its parent's."""
    found = []
    for name in os.listdir('/proc'):
        try:
            with open(f'/proc/{int(name)}/cmdline', 'rb') as f:
                if text.encode() in f.read() and is_alive(name):
                    found.append(int(name))
        except (OSError, ValueError):
            pass
    return found


class SessionTest(unittest.TestCase):
    def setUp(self):
        self.scratch = os.path.realpath(tempfile.mkdtemp(prefix='perdure-test-'))
        self.session = os.path.join(self.scratch, 'session')
        self.tasks = os.path.join(self.session, 'tasks')
        self.config_home = os.path.join(self.scratch, 'config')

    def task_names(self):
        """What lies in tasks/, without the cache that any command may write (D48)."""
        return [name for name in os.listdir(self.tasks) if name != '.index']

    def tearDown(self):
        # A runner that has committed needs a moment to leave.
        left = processes_with('@' + self.session)
        until = time.monotonic() + 2
        while left and time.monotonic() < until:
            time.sleep(0.005)
            left = processes_with('@' + self.session)
        if left:
            # Runners first and with SIGKILL to all: nothing may be left for the next test, whatever this one did.
            names = {p: self._command(p) for p in left}
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        shutil.rmtree(self.scratch, ignore_errors=True)
        if left:
            self.fail(f'processes outlived the test: {names}')

    @staticmethod
    def _command(pid):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                return f.read().replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            return '?'

    def perdure(self, *args, check=None, session=None, env=None, text=True, stdin=subprocess.DEVNULL, **kw):
        """Runs the program; `check`: the exit status that is expected."""
        done = subprocess.run([PERDURE, '--session', session or self.session, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=text, stdin=stdin,
                              env={**os.environ, 'XDG_CONFIG_HOME': self.config_home, **(env or {})}, timeout=120,
                              check=False, **kw)
        if check is not None:
            self.assertEqual(done.returncode, check, f'{args}: {done.stdout} {done.stderr}')
        return done

    def run_task(self, *args, **kw):
        return self.perdure('run', *args, check=0, **kw).stdout.strip()

    def sh(self, line, *options, **kw):
        return self.run_task(*options, '-c', line, **kw)

    def json(self, *args, check=0, **kw):
        return json.loads(self.perdure('--json', *args, check=check, **kw).stdout)

    def path(self, task):
        return os.path.join(self.tasks, task + '.json')

    def record(self, task):
        """The record as it is on disk, read without Perdure."""
        with open(self.path(task), encoding='utf-8') as f:
            return json.load(f)

    def finished(self, task):
        self.perdure('wait', task)
        return self.record(task)

    def log(self, task):
        try:
            with open(os.path.join(self.tasks, task, 'output.log'), 'rb') as f:
                return f.read()
        except FileNotFoundError:
            return b''
