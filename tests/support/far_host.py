"""A host for tests: a real sshd on loopback in namespaces of its own, with its own home folder, machine id and boot id.

It can be rebooted, replaced by another machine of the same name, cut off, and switched off; everything of it goes with
close(). Needs root and Debian's openssh-server.
"""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SSHD = shutil.which('sshd', path='/usr/sbin:/sbin:' + os.environ.get('PATH', ''))

INSIDE = r'''
set -e
hostname "$2"
mount -t tmpfs tmpfs /run; mkdir /run/sshd
mount --bind "$1/machine-id" /etc/machine-id
mount --bind "$1/boot-id" /proc/sys/kernel/random/boot_id
mount --bind "$1/home" /root
export PATH="$3:$PATH"
exec "$4" -D -e -f "$1/sshd_config"
'''


def can_run():
    return os.geteuid() == 0 and SSHD is not None


def need():
    """Without root or sshd there is nothing to test; where the tests may not be skipped, that is a failure."""
    if can_run():
        return
    if os.environ.get('PERDURE_FAR_REQUIRED') == '1':
        raise AssertionError('root and sshd are needed, and PERDURE_FAR_REQUIRED is set')
    print('skipped: needs root and openssh-server')
    sys.exit(77)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def random_id():
    return ''.join(random.choice('0123456789abcdef') for _ in range(32))


class FarHost:
    def __init__(self, name='gpu1', control_master=False, **environment):
        self.name = name
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix='perdure-far-'))
        self.home = os.path.join(self.folder, 'home')
        self.bin = os.path.join(self.folder, 'bin')  # programs that only this host has, first in its PATH
        self.client_bin = os.path.join(self.folder, 'client')  # an ssh with this host's configuration
        for path in (self.home, self.bin, self.client_bin):
            os.mkdir(path, 0o700)
        self.process = None
        self.port = free_port()
        key, host_key = os.path.join(self.folder, 'key'), os.path.join(self.folder, 'host_key')
        for path in (key, host_key):
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path], check=True)
        os.mkdir(os.path.join(self.folder, 'auth'), 0o755)
        shutil.copy(key + '.pub', os.path.join(self.folder, 'authorized_keys'))
        self.write('sshd_config', f'''Port {self.port}
ListenAddress 127.0.0.1
HostKey {host_key}
AuthorizedKeysFile {self.folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PidFile none
MaxStartups 100
MaxSessions 100
SetEnv PATH={self.bin}:/usr/local/bin:/usr/bin:/bin {' '.join(f'{k}={v}' for k, v in environment.items())}
''')
        master = f'ControlMaster auto\n  ControlPath {self.folder}/cm-%C\n  ControlPersist 30\n' if control_master else ''
        self.write('ssh_config', f'''Host {name}
  HostName 127.0.0.1
  Port {self.port}
  User root
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {self.folder}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking no
  LogLevel ERROR
  {master}''')
        self.program(self.client_bin, 'ssh', f'exec {shutil.which("ssh")} -F {self.folder}/ssh_config "$@"')
        self.new_machine()
        self.new_boot()
        self.start()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as f:
            f.write(text)

    @staticmethod
    def program(folder, name, lines):
        path = os.path.join(folder, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\n' + lines + '\n')
        os.chmod(path, 0o755)

    def new_machine(self):
        self.machine = random_id()
        self.write('machine-id', self.machine + '\n')

    def new_boot(self):
        text = random_id()
        self.boot = '-'.join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        self.write('boot-id', self.boot + '\n')

    def start(self):
        with open(os.path.join(self.folder, 'log'), 'ab') as log:
            self.process = subprocess.Popen(
                ['unshare', '--uts', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child=KILL', '/bin/sh', '-c',
                 INSIDE, 'far-host', self.folder, self.name, self.bin, SSHD],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={'PATH': '/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'})
        until = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 1):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    with open(os.path.join(self.folder, 'log'), encoding='utf-8', errors='replace') as f:
                        raise AssertionError('sshd did not come up: ' + f.read()[-1000:]) from None
                time.sleep(0.02)

    def off(self):
        """A power cut: all of its processes end at once."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def reboot(self):
        self.off()
        self.new_boot()
        self.start()

    def replace(self):
        """Another machine, with another home folder, answers by the same name and key."""
        self.off()
        self.new_machine()
        self.new_boot()
        shutil.rmtree(self.home)
        os.mkdir(self.home, 0o700)
        self.start()

    def sessions(self):
        """The server processes of logins: pid 1 of the host is the one that listens."""
        listener = self.inner_pid()
        out = subprocess.run(['ps', '-o', 'pid=,comm=', '--ppid', str(listener)], stdout=subprocess.PIPE, text=True,
                             check=False)
        pairs = [line.split() for line in out.stdout.splitlines()]
        return [int(pid) for pid, name in pairs if name == 'sshd']

    def inner_pid(self):
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='utf-8') as f:
            return int(f.read().split()[0])

    def cut(self):
        """Ends every connection, as a network does."""
        for pid in self.sessions():
            self.kill_tree_of_login(pid)

    @staticmethod
    def kill_tree_of_login(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def env(self):
        return {'PATH': self.client_bin + ':' + os.environ['PATH']}

    @property
    def session(self):
        return os.path.join(self.home, '.local/state/perdure/far')

    def records(self):
        try:
            return [n[:-5] for n in os.listdir(os.path.join(self.session, 'tasks')) if n.endswith('.json')]
        except FileNotFoundError:
            return []

    def close(self):
        subprocess.run([os.path.join(self.client_bin, 'ssh'), '-O', 'exit', self.name], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        self.off()
        shutil.rmtree(self.folder, ignore_errors=True)


class FarTest(unittest.TestCase):
    """Mixed into a SessionTest: `host` runs, and the session's user has it as the executor `gpu`."""
    host = None
    executor = ''

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.config_home, 'perdure'))
        self.configure(f'[executors.gpu]\ntype = "ssh"\nhost = "{self.host.name}"\n{self.executor}')

    def configure(self, text):
        with open(os.path.join(self.config_home, 'perdure', 'config.toml'), 'w', encoding='utf-8') as f:
            f.write(text)

    def perdure(self, *args, env=None, **kw):
        return super().perdure(*args, env={**self.host.env(), **(env or {})}, **kw)

    def far(self, line, *options, **kw):
        return self.run_task('--on', 'gpu', *options, '-c', line, **kw)
