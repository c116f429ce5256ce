"""Starts perdure-runner as a manager does, without the library: for tests of the runner alone.

The launch specification is src/contract/launch_spec.h, the answer src/contract/control.h.
"""
import os
import secrets
import select
import socket
import struct
import time

HEADER = struct.Struct('=IIQqqqqqqqqqQqIIIIIIIIIIIIIIIIIIII')
MAGIC, VERSION = 0x50445231, 7
BACKGROUND, QUEUED, FOREGROUND = 0, 1, 2
STOP, TRUNCATE = 0, 1
NULL, PIPE = 0, 1
KEEP, KILL, WAIT = 0, 1, 2
PROCESS, AGENT = 0, 1


class Session:
    def __init__(self, path, runner):
        self.path, self.runner = os.path.realpath(path), runner
        self.wrappers, self.callers = [], {}
        os.makedirs(os.path.join(self.path, 'tasks'), 0o700, exist_ok=True)

    def new_id(self, prefix='bash'):
        alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'
        return prefix + '-' + ''.join(secrets.choice(alphabet) for _ in range(8))

    def folder(self, task):
        return os.path.join(self.path, 'tasks', task)

    def record(self, task):
        return os.path.join(self.path, 'tasks', task + '.json')

    def start(self, argv, task=None, timeout=0, grace=5000, limit=0, on_limit=STOP, leftovers=KEEP, cap=0,
              owner='', mode=BACKGROUND, priority=0, after='', entry='', telemetry='', env=None, cwd='/', program=None, wrap=(),
              in_child=None, spec=None, patience=30, hooks=(), idle=0, stdin=NULL, terminal=(0, 0),
              limits=(0, 0, 0, 0), cgroup='', cgroup_path='', command=PROCESS, note=''):
        """Returns (task id, answer line). `wrap`: a command line put before the runner's, for strace. `in_child` is
        called right before the runner is exec'd; `spec` is a launch specification to hand over instead. Nothing for
        `patience` seconds is a TimeoutError. `hooks`: (mask of events, ms, shell line). `limits`: memory,
        thousandths of a processor, processes, processes of the user; `cgroup`: where one may be made."""
        task = task or self.new_id('agent' if command == AGENT else 'bash')
        os.makedirs(self.folder(task), 0o700, exist_ok=True)
        marker = f'{task}@{self.path}'  # of PERDURE_RUNNER
        env = dict(env if env is not None else os.environ, PERDURE_TASK_ID=task, PERDURE_SESSION=self.path, PERDURE_TASK_KEY='key-' + task)
        kind = '"agent"' if command == AGENT else '"process","command":"test"'
        constant = f'"taskId":"{task}","description":"test","kind":{kind}'
        words = [constant, owner, after, entry, program or argv[0], cwd, telemetry, *argv, *(f'{k}={v}' for k, v in env.items()),
                 f'"session":"{self.path}","cwd":"{cwd}"', 'test',
                 cgroup, cgroup_path, note, *(f'{e} {ms} {line}' for e, ms, line in hooks)]
        body = b''.join(w.encode() + b'\0' for w in words)
        header = HEADER.pack(MAGIC, VERSION, HEADER.size + len(body), timeout, idle, grace, limit, -1, *limits[:3], 0, 0, limits[3], mode, 0, 0, priority,
                             on_limit, leftovers, cap, 0, len(argv), len(env), len(hooks), stdin, *terminal, command, 0, 0, 0, 0, 0)
        text = header + body if spec is None else spec
        spec = os.memfd_create('spec')
        os.write(spec, text)
        if mode == FOREGROUND:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            read_end, write_end = ours.detach(), theirs.detach()
        else:
            read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            if not wrap and os.fork():
                os._exit(0)  # as the manager does it, so that the runner is nobody's child to reap
            os.dup2(spec, 60)
            os.dup2(write_end, 61)
            os.dup2(60, 3)
            os.dup2(61, 4)
            os.set_inheritable(3, True)
            os.set_inheritable(4, True)
            os.closerange(5, 256)
            line = [*wrap, self.runner, self.path, task]
            try:
                if in_child:
                    in_child()
                os.execve(line[0], line, {'PERDURE_RUNNER': marker})
            finally:
                os._exit(127)
        os.close(spec)
        os.close(write_end)
        if wrap:
            self.wrappers.append(pid)  # goes when the runner does
        answer = b''
        while not answer.endswith(b'\n'):
            if not select.select([read_end], [], [], patience)[0]:
                os.close(read_end)
                raise TimeoutError(f'no answer to the launch of {task} within {patience} s')
            part = os.read(read_end, 512)
            if not part:
                break
            answer += part
        if mode == FOREGROUND and answer.startswith(b'running'):
            self.callers[task] = socket.socket(fileno=read_end)  # closing it is the caller's death
        else:
            os.close(read_end)
        if not wrap:
            os.waitpid(pid, 0)
        return task, answer.decode().strip()

    def await_end(self, task):
        """Waits for the word of the end. Each time that the disk refuses the record the runner says that first (D29)."""
        while (answer := self.ask(task, 'wait')) == 'refused':
            pass
        return answer

    def ask(self, task, line, timeout=30):
        """Sends a line to the task's runner and returns its answer; None if no runner listens."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        try:
            here = os.open(self.folder(task), os.O_RDONLY)
        except FileNotFoundError:
            s.close()
            return None
        try:
            s.connect(f'/proc/self/fd/{here}/control')
            s.sendall(line.encode() + b'\n')
            return s.recv(512).decode().strip() or None
        except (FileNotFoundError, ConnectionError):
            return None
        finally:
            os.close(here)
            s.close()

    def wait(self, task):
        self.ask(task, 'wait')

    def read(self, task):
        import json
        with open(self.record(task), encoding='utf-8') as f:
            return json.load(f)

    def output(self, task):
        try:
            with open(os.path.join(self.folder(task), 'output.log'), 'rb') as f:
                return f.read()
        except FileNotFoundError:
            return b''
