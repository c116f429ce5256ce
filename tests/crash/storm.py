#!/usr/bin/env python3
"""Everything at once, under SIGKILL: whatever dies when, no outcome is wrong and nothing is lost, told twice or left behind.

usage: storm.py [--seconds S] [--seed N]     PERDURE_BIN names the folder of the programs.

Workers start tasks in the background, the foreground, the queue, over MCP and in containers (pid namespaces), wait for them,
stop them, consume their news and look at the session; commands, servers, runners and containers are killed at random. Another
program keeps records of its own in the session, and writes false copies of ours. Each command leaves files that prove how far
it came. At the end every record, log, delivery and process is compared with that proof.

Exit status: 0 no fault; 1 faults, each printed, and the session is kept; 77 there is no program to try.
"""
import argparse
import collections
import ctypes
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, eventually, is_alive, processes_with  # noqa: E402

OWNERS = ('o0', 'o1', 'o2')
ID = re.compile(rb'bash-[0-9a-z]{8}')
INITIALIZE = {'protocolVersion': '2025-06-18', 'capabilities': {}, 'clientInfo': {'name': 'storm', 'version': '1'}}


class Planned:
    """A task that was, or was to be, started, and what was done to it."""

    def __init__(self, name, kind, rng):
        self.name, self.kind = name, kind
        self.code = rng.choice((0, 0, 1, 3, 77))
        self.lines = rng.choice((0, 1, 10, 200))
        self.sleep = rng.choice(('0', '0.05', '0.3', '1', '3'))
        self.id = None
        self.over = self.was_stopped = self.runner_killed = self.starter_killed = self.container_killed = False

    def __str__(self):
        return str(vars(self))

    def output(self):
        return ''.join(f'{self.name} {i} \u00e9\n' for i in range(self.lines)).encode() + f'{self.name} last\n'.encode()


def can_contain():
    done = subprocess.run(['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'true'], check=False, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip() or 'unshare failed'


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Storm:
    def __init__(self, seconds, seed):
        self.seconds, self.seed = seconds, seed
        self.base = tempfile.mkdtemp(prefix='perdure-storm-')
        self.session, self.proof = os.path.join(self.base, 's'), os.path.join(self.base, 'proof')
        os.mkdir(self.proof)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith('PERDURE_')}
        self.env |= {'PERDURE_SESSION': self.session, 'XDG_CONFIG_HOME': self.base + '/config', 'XDG_STATE_HOME': self.base + '/state', 'HOME': self.base}
        self.lock = threading.Lock()
        self.counts, self.delivered = collections.Counter(), collections.Counter()
        self.tasks, self.foreign, self.faults, self.threads = {}, {}, [], []
        self.no_containers = can_contain()
        self.end = time.monotonic() + seconds

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def fault(self, *what):
        text = ' '.join(str(w) for w in what)
        with self.lock:
            self.faults.append(text)
        print('FAULT', text, flush=True)

    def call(self, *words, kill=None, timeout=120, inside=()):
        """(exit status or -9, stdout, stderr). `kill`: SIGKILL after that many seconds."""
        with subprocess.Popen([*inside, PERDURE, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.env) as process:
            try:
                out, err = process.communicate(timeout=timeout if kill is None else kill)
                return process.returncode, out, err
            except subprocess.TimeoutExpired:
                if kill is None:
                    self.fault('hangs', words)
                process.kill()
                out, err = process.communicate()
                self.count('kill.' + next(w for w in words if not w.startswith('-')))
                return -9, out, err

    # What is done

    def plan(self, kind, rng):
        with self.lock:
            task = Planned(f't{len(self.tasks)}', kind, rng)
            self.tasks[task.name] = task
        self.count('start.' + kind)
        return task

    def line(self, task):
        proof = os.path.join(self.proof, task.name)
        return (f'echo $$ > {proof}.start; i=0; while [ $i -lt {task.lines} ]; do echo "{task.name} $i \u00e9"; i=$((i+1)); done; '
                f'sleep {task.sleep}; echo "{task.name} last" >&2; : > {proof}.end; exit {task.code}')

    def pick(self, rng, latest):
        with self.lock:
            some = [t for t in self.tasks.values() if t.id and not t.over]
        return rng.choice(some[-latest:]) if some else None

    def start_background(self, rng):
        task = self.plan('background', rng)
        options = ['--label', 'n=' + task.name]
        for share, more in ((0.5, ['--owner', rng.choice(OWNERS)]), (0.2, ['--queue']), (0.2, ['--timeout', '60']), (0.2, ['--on-end', 'true'])):
            options += more if rng.random() < share else []
        status, out, err = self.call('run', *options, '-c', self.line(task), kill=rng.choice((None, None, None, rng.uniform(0.0005, 0.03))))
        task.starter_killed = status == -9
        if status == 0:
            task.id = out.decode().strip()
        elif status != -9:
            self.fault('run ended with', status, err)

    def start_foreground(self, rng):
        task = self.plan('foreground', rng)
        kill = rng.choice((None, rng.uniform(0.0005, 0.05), rng.uniform(0.05, 1)))
        status, out, err = self.call('run', '--label', 'n=' + task.name, '--foreground', '-c', self.line(task), kill=kill)
        task.starter_killed = status == -9
        if status not in (-9, task.code):
            self.fault('foreground ended with', status, err, task)
        if status == task.code and out != task.output():
            self.fault('foreground bytes', task.name, len(out), len(task.output()))

    def start_over_mcp(self, rng):
        task = self.plan('mcp', rng)
        with subprocess.Popen([PERDURE, 'mcp', '--owner', 'o0'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env=self.env, preexec_fn=die_with_parent) as server:
            def send(number, method, params):
                server.stdin.write((json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params}) + '\n').encode())
                server.stdin.flush()

            def call(number, tool, **arguments):
                send(number, 'tools/call', {'name': tool, 'arguments': arguments})
            try:
                send(1, 'initialize', INITIALIZE)
                server.stdout.readline()
                call(2, 'Bash', command=self.line(task), run_in_background=True, description='n=' + task.name)
                if rng.random() < 0.6:
                    found = ID.search(server.stdout.readline())
                    task.id = found.group().decode() if found else None
                    if not task.id:
                        self.fault('no id over MCP', task)
                    elif rng.random() < 0.4:
                        call(3, 'WaitFor', task_id=task.id, timeout=5)
                    elif rng.random() < 0.3:
                        task.was_stopped = True
                        call(3, 'TaskStop', task_id=task.id)
                    else:
                        call(3, 'TaskList')
                time.sleep(rng.uniform(0, 0.1))
            except BrokenPipeError:
                self.fault('the MCP server died', task)
            server.kill()
            task.starter_killed = True
            self.count('kill.mcp')

    def start_in_container(self, rng):
        """As docker does it: a pid namespace with the command as pid 1, that runs to its end, is stopped or is killed."""
        task = self.plan('container', rng)
        words = rng.choice((['run', '--wait'], ['run', '--foreground']))
        with subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', PERDURE, *words, '--label', 'n=' + task.name,
                               '-c', self.line(task)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.env) as outer:
            how = rng.random()
            try:
                out, err = outer.communicate(timeout=60 if how < 0.4 else rng.uniform(0.01, 1.5))
                if outer.returncode != task.code:
                    self.fault('a container ended with', outer.returncode, err, task)
                return
            except subprocess.TimeoutExpired:
                pass
            if how < 0.4:
                self.fault('a container hangs', task)
            if 0.4 <= how < 0.7:
                task.was_stopped = True
                with open(f'/proc/{outer.pid}/task/{outer.pid}/children', encoding='ascii') as f:
                    for pid in f.read().split():
                        os.kill(int(pid), signal.SIGTERM)
                self.count('stop.container')
                try:
                    outer.communicate(timeout=20)
                    return
                except subprocess.TimeoutExpired:
                    self.fault('a container did not end at SIGTERM', task)
            task.container_killed = True
            outer.kill()
            out, err = outer.communicate()
            self.count('kill.container')

    def act_from_container(self, rng):
        """Another container looks at tasks that run outside of it; it may wait for one and stop it."""
        inside = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
        task = self.pick(rng, 10)
        words = ['list', '--all']
        if task and rng.random() < 0.6:
            words = rng.choice((['show', task.id], ['wait', task.id, '--timeout', '2'], ['reconcile'], ['output', task.id]))
        if task and rng.random() < 0.2:
            task.was_stopped = True
            words = ['stop', task.id, '--reason', 'from a container', '--grace', '1']
        self.call(*words, inside=inside, kill=rng.choice((None, None, rng.uniform(0.005, 0.1))))
        self.count('container.' + words[0])

    def wait_for_one(self, rng):
        task = self.pick(rng, 30)
        if not task:
            return
        status, _, err = self.call('wait', task.id, '--timeout', '8', kill=rng.choice((None, rng.uniform(0.001, 0.2))))
        self.count('wait')
        if status in (-9, 75):
            return
        task.over = True
        if status != task.code and not task.was_stopped and not task.runner_killed:
            self.fault('wait ended with', status, err, task)

    def stop_one(self, rng):
        task = self.pick(rng, 10)
        if not task:
            return
        task.was_stopped = True
        if rng.random() < 0.3:
            second = threading.Thread(target=self.call, args=('stop', task.id, '--reason', 'second'), kwargs={'kill': rng.uniform(0.001, 0.1)})
            second.start()
            self.threads.append(second)
        status, _, err = self.call('stop', task.id, '--reason', 'storm', '--grace', '1', kill=rng.choice((None, rng.uniform(0.001, 0.03))))
        self.count('stop')
        if status not in (0, -9):
            self.fault('stop ended with', status, err, task)

    def kill_runner(self, rng):
        task = self.pick(rng, 6)
        record = self.record(task.id) if task else None
        if not record or record['status'] != 'running':
            return
        pid = record['runner']['pid']
        try:
            process = os.pidfd_open(pid)
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                is_it = task.id.encode() in f.read()
            if is_it:
                task.runner_killed = True
                signal.pidfd_send_signal(process, signal.SIGKILL)
                self.count('kill.runner')
            os.close(process)
        except OSError:
            pass

    def consume(self, owner, kill=None):
        status, out, err = self.call('--json', 'notifications', '--owner', owner, '--format', 'json', '--ack', kill=kill)
        if status == 0:
            for news in json.loads(out or b'[]'):
                ids = news['id'].split(':', 1)[1].split('+') if '+' in news['id'] else [news['source_id']]
                for one in ids:
                    with self.lock:
                        self.delivered[one] += 1
        elif status != -9:
            self.fault('notifications ended with', status, err)

    def consume_some(self, rng):
        self.consume(rng.choice(OWNERS), kill=rng.choice((None, None, rng.uniform(0.0005, 0.02))))
        self.count('consume')

    def look(self, rng):
        task = self.pick(rng, 1000)
        words = rng.choice((['list', '--all'], ['reconcile'], ['gc', '--older-than', '30d'], ['doctor'], ['events'],
                            ['show', task.id if task else 'bash-00000000'], ['output', task.id if task else 'bash-00000000']))
        self.call(*words, kill=rng.choice((None, rng.uniform(0.0005, 0.02))))
        self.count('look')

    # The other program

    def put(self, record):
        folder = os.path.join(self.session, 'agents', 'main', 'tasks')
        os.makedirs(folder, 0o700, exist_ok=True)
        path = os.path.join(folder, record['taskId'] + '.json')
        text = json.dumps(record, separators=(',', ':'))
        with open(path + '.tmp', 'w', encoding='utf-8') as f:
            f.write(text)
        os.rename(path + '.tmp', path)
        with self.lock:
            self.foreign[path] = text

    def another_program(self, rng):
        """It runs tasks of its own, and now and then believes that ours are lost."""
        task = self.pick(rng, 5)
        ours = self.record(task.id) if task else None
        if ours and rng.random() < 0.5:
            self.put({**ours, 'status': 'lost', 'endedAt': int(time.time() * 1000)})
            return self.count('foreign.copy')
        with self.lock:
            number = len(self.foreign)
        with subprocess.Popen(['sleep', str(rng.uniform(0.05, 2))], preexec_fn=die_with_parent) as process:
            record = {'taskId': f'bash-f{number:07d}', 'command': ' '.join(process.args), 'description': 'of another program', 'status': 'running',
                      'startedAt': int(time.time() * 1000), 'endedAt': None, 'pid': process.pid, 'exitCode': None, 'detached': True, 'kind': 'process'}
            self.put(record)
            process.wait()
            self.put({**record, 'status': 'completed', 'exitCode': 0, 'endedAt': int(time.time() * 1000)})
        return self.count('foreign.task')

    # The run

    ACTIONS = ((start_background, 36), (start_foreground, 13), (wait_for_one, 13), (stop_one, 9), (kill_runner, 8), (consume_some, 6),
               (start_over_mcp, 4), (another_program, 4), (look, 4))
    IN_CONTAINERS = ((start_in_container, 6), (act_from_container, 4))

    def work(self, number):
        rng = random.Random(self.seed * 100 + number)
        actions = self.ACTIONS + (() if self.no_containers else self.IN_CONTAINERS)
        while time.monotonic() < self.end:
            action = rng.choices([a for a, _ in actions], [w for _, w in actions])[0]
            try:
                action(self, rng)
            except Exception:  # pylint: disable=broad-exception-caught
                self.fault('exception', traceback.format_exc())
            time.sleep(rng.uniform(0, 0.25))

    def run(self):
        workers = [threading.Thread(target=self.work, args=(i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers + self.threads:
            worker.join()
        self.settle()
        self.check_tasks()
        self.check_rest()
        kills = sum(n for what, n in self.counts.items() if what.startswith('kill.'))
        print(f'counts {dict(sorted(self.counts.items()))}')
        print(f'{self.seconds} s, seed {self.seed}: {len(self.tasks)} tasks, {kills} kills, {len(self.faults)} faults'
              + (f'; no containers: {self.no_containers}' if self.no_containers else ''))
        if self.faults:
            print('session', self.session)
        else:
            shutil.rmtree(self.base)
        return 1 if self.faults else 0

    def settle(self):
        self.call('reconcile')
        self.call('wait', '--timeout', '90', '--drain')
        self.call('reconcile')
        # What is left running by its record was in a container that was killed: that is for a person to say.
        for record in self.records().values():
            task = self.tasks.get(self.name_of(record))
            if record['status'] == 'running' and not (task and task.container_killed):
                self.fault('still running', record)
        self.call('reconcile', '--adopt')
        for owner in OWNERS:
            self.consume(owner)
            status, out, _ = self.call('--json', 'notifications', '--owner', owner, '--format', 'json')
            if status != 0 or json.loads(out or b'[]'):
                self.fault('still pending', owner, out[:300])

    @staticmethod
    def name_of(record):
        described = record.get('description') or ''
        return (record.get('labels') or {}).get('n') or (described[2:] if described.startswith('n=') else None)

    def record(self, task):
        try:
            with open(os.path.join(self.session, 'tasks', task + '.json'), encoding='utf-8') as f:
                return json.load(f)
        except (OSError, ValueError):
            return None

    def records(self):
        folder = os.path.join(self.session, 'tasks')
        names = [n[:-5] for n in os.listdir(folder) if n.endswith('.json') and not n.startswith('.')]
        return {name: self.record(name) for name in names}

    def check_tasks(self):
        status, out, _ = self.call('--json', 'list', '--all')
        listed = {r['taskId']: r for r in json.loads(out)} if status == 0 else self.fault('list ended with', status) or {}
        by_name = collections.defaultdict(list)
        for task_id, record in self.records().items():
            if record is None:
                self.fault('a record that can not be read', task_id)
                continue
            by_name[self.name_of(record)].append(record)
            if record.get('detached') is not False and listed.get(task_id, {}).get('status') != record['status']:
                self.fault('listed as', listed.get(task_id, {}).get('status'), record)
        for task in self.tasks.values():
            found = by_name.get(task.name, [])
            if len(found) > 1:
                self.fault('two records', task, [r['taskId'] for r in found])
            if found:
                self.check_record(task, found[0])
            else:
                self.check_unrecorded(task)

    def has_proof(self, task, what):
        return os.path.exists(os.path.join(self.proof, f'{task.name}.{what}'))

    def check_unrecorded(self, task):
        started, ended = self.has_proof(task, 'start'), self.has_proof(task, 'end')
        self.count('status.none')
        # A foreground task has a record once it is detached; a container may be gone before.
        may_have_none = task.kind == 'foreground' or task.kind == 'container'
        if task.id or (started and not may_have_none):
            self.fault('no record', task)
        if task.kind == 'foreground' and started and not ended:
            self.fault('neither an end nor a record', task)

    def check_record(self, task, record):
        state, log = record['status'], b''
        self.count('status.' + state)
        try:
            with open(os.path.join(self.session, 'tasks', record['taskId'], 'output.log'), 'rb') as f:
                log = f.read()
        except OSError:
            pass
        if state in ('completed', 'failed'):
            if record.get('exitCode') != task.code or record.get('signal') or not self.has_proof(task, 'end'):
                self.fault('wrong outcome', task, record)
            if log != task.output() and not record.get('recovered'):
                self.fault('the log differs', task, len(log), len(task.output()))
        elif state == 'killed':
            if not task.was_stopped:
                self.fault('killed unasked', task, record)
        elif state == 'lost':
            evidence = record.get('lostEvidence')
            self.count(f'lost.{evidence}')
            # A later container may get the number of the namespace of one that was killed. Who looks from there sees no process
            # of it and is right: a namespace whose number is free has no process left.
            if not (task.runner_killed or (task.container_killed and evidence in ('adopted', 'runner_killed'))):
                self.fault('lost', task, record)
        else:
            self.fault('status', task, record)
        if not task.output().startswith(log):
            self.fault('the log is no part of what was printed', task, log[:200])
        if record.get('owner') in OWNERS and not record.get('terminalNotificationSuppressed'):
            times = self.delivered[record['taskId']]
            if times > 1:
                self.fault('delivered', times, 'times', record)
            if times == 0 and not record.get('notifiedAt'):
                self.fault('never delivered', record)

    def check_rest(self):
        for path, text in self.foreign.items():
            with open(path, encoding='utf-8') as f:
                if f.read() != text:
                    self.fault("another program's record was written", path)
        # A runner has the session in its mark, and all that a task starts has it in a variable of its own.
        def left():
            return processes_with('@' + self.session) + processes_with('PERDURE_SESSION=' + self.session + '\0')
        try:
            eventually(lambda: not left(), 'nothing is left', 5)
        except AssertionError:
            self.fault('left behind', [(p, self.command_of(p)) for p in left() if is_alive(p)])
        if left := os.listdir(os.path.join(self.session, 'queue')) if os.path.isdir(os.path.join(self.session, 'queue')) else []:
            if entries := [n for n in left if n.endswith('.json')]:
                self.fault('left in the queue', entries)

    @staticmethod
    def command_of(pid):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                return f.read()[:200]
        except OSError:
            return b'?'


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--seconds', type=float, default=300)
    parser.add_argument('--seed', type=int, default=random.randrange(10000))
    options = parser.parse_args()
    if not os.access(PERDURE, os.X_OK):
        print(f'there is no {PERDURE}')
        return 77
    print(f'seed {options.seed}', flush=True)
    return Storm(options.seconds, options.seed).run()


if __name__ == '__main__':
    sys.exit(main())
