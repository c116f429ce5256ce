#!/usr/bin/env python3
"""Figures of tasks elsewhere, in pairs with the bare tool: executors.md, section 4.9. Needs root, and sshd or Slurm.

    PERDURE_BIN=build/release/bin bench/far.py ssh|slurm [PAIRS [MS]]

ssh    MS: a link with so long a way there, and back; 0: loopback. `run --on` against `ssh HOST true`, both over a living ControlMaster, the programs there: at most 1.3 times
slurm  `run --on` against `sbatch --parsable`: at most 0.4 s more; from the submit to the first act of the command: at
       most 1.15 times
Medians of 20 pairs; the two of a pair run one after the other, and who is first alternates.
"""
import os
import queue
import shutil
import statistics
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'support'))
from far_host import FarHost  # noqa: E402
from slurm_cluster import Cluster  # noqa: E402

PERDURE = os.path.join(os.path.abspath(os.environ['PERDURE_BIN']), 'perdure')


def timed(argv, env):
    began = time.monotonic()
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f'{argv}: {done.returncode}: {done.stdout}{done.stderr}')
    return took, done.stdout.strip()


def pairs(count, plain, ours):
    """Runs both `count` times, in turn; the results of each."""
    kept = ([], [])
    for i in range(count):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            kept[which].append((plain, ours)[which](i))
    return kept


def tell(what, plain, ours, limit, difference=False):
    a, b = statistics.median(plain), statistics.median(ours)
    of_pairs = statistics.median([y - x if difference else y / x for x, y in zip(plain, ours)])
    value = b - a if difference else b / a
    unit = ' s' if difference else ' x'
    verdict = 'ok' if value <= limit else 'OVER'
    print(f'{what}: plain {a * 1e3:.1f} ms, perdure {b * 1e3:.1f} ms: {value:.2f}{unit} (of the pairs {of_pairs:.2f}{unit}; '
          f'limit {limit}{unit}) {verdict}', flush=True)
    return value <= limit


def configured(scratch, text):
    folder = os.path.join(scratch, 'config', 'perdure')
    os.makedirs(folder)
    with open(os.path.join(folder, 'config.toml'), 'w', encoding='utf-8') as f:
        f.write(text)
    return {**os.environ, 'XDG_CONFIG_HOME': os.path.dirname(folder), 'XDG_STATE_HOME': os.path.join(scratch, 'state')}


class Link:
    """Passes connections on to a port of loopback; every byte is on its way for `seconds`."""

    def __init__(self, port, seconds):
        self.to, self.seconds = port, seconds
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here = self.listener.accept()[0]
            except OSError:
                return
            there = socket.create_connection(('127.0.0.1', self.to))
            for one in (here, there):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((here, there), (there, here)):
                threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, source, target):
        way = queue.Queue()
        threading.Thread(target=self.deliver, args=(way, target), daemon=True).start()
        while True:
            try:
                part = source.recv(1 << 16)
            except OSError:
                part = b''
            way.put((time.monotonic() + self.seconds, part))
            if not part:
                return

    @staticmethod
    def deliver(way, target):
        while True:
            due, part = way.get()
            time.sleep(max(0, due - time.monotonic()))
            try:
                if not part:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(part)
            except OSError:
                return


def over_ssh(scratch, count, delay_ms):
    host = FarHost('gpu1', control_master=True)
    link = None
    try:
        if delay_ms:
            link = Link(host.port, delay_ms / 1000)
            path = os.path.join(host.folder, 'ssh_config')
            with open(path, encoding='utf-8') as f:
                text = f.read()
            host.write('ssh_config', text.replace(f'Port {host.port}', f'Port {link.port}'))
        env = {**configured(scratch, '[executors.gpu]\ntype = "ssh"\nhost = "gpu1"\n'), **host.env()}
        plain = ['ssh', 'gpu1', 'true']
        ours = [PERDURE, '--session', os.path.join(scratch, 'session'), 'run', '--on', 'gpu', '--', 'true']
        timed(plain, env)  # the master, and the programs
        timed(ours, env)
        kept = pairs(count, lambda i: timed(plain, env)[0], lambda i: timed(ours, env)[0])
        return tell(f'ssh, {delay_ms} ms each way: a start', *kept, 1.3)
    finally:
        if link:
            link.listener.close()
        host.close()


def in_slurm(scratch, count, _):
    cluster = Cluster()
    try:
        env = {**configured(scratch, f'[executors.c]\ntype = "slurm"\nfolder = "{cluster.shared}"\n'), 'SLURM_CONF': cluster.conf}
        script = os.path.join(cluster.shared, 'plain.sh')
        with open(script, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\nexec sh -c \'date +%s.%N > "$0"\' "$1"\n')
        starts, acts = ([], []), ([], [])

        def one(which, argv, mark):
            submitted = time.time()
            starts[which].append(timed(argv, env)[0])
            until = time.monotonic() + 60
            while not os.path.exists(mark) or os.path.getsize(mark) < 20:
                if time.monotonic() > until:
                    raise SystemExit(f'{argv} did not start')
                time.sleep(0.01)
            with open(mark, encoding='utf-8') as f:
                acts[which].append(float(f.read()) - submitted)
            while subprocess.run(['squeue', '-h'], env=env, stdout=subprocess.PIPE, check=True).stdout:
                time.sleep(0.05)

        def plain(i):
            mark = os.path.join(cluster.shared, f'plain-{i}')
            one(0, ['sbatch', '--parsable', '-o', '/dev/null', script, mark], mark)

        def ours(i):
            mark = os.path.join(cluster.shared, f'ours-{i}')
            one(1, [PERDURE, '--session', os.path.join(scratch, 'session'), 'run', '--on', 'c', '--cwd', '/', '--', 'sh', '-c',
                    'date +%s.%N > "$0"', mark], mark)
        ours('first')
        plain('first')
        for kept in (*starts, *acts):
            kept.clear()
        pairs(count, plain, ours)
        fine = tell('slurm: a submit', *starts, 0.4, difference=True)
        return tell('slurm: to the first act', *acts, 1.15) and fine
    finally:
        cluster.close()


def main(what, count='20', delay_ms='0'):
    scratch = tempfile.mkdtemp(prefix='perdure-bench-')
    try:
        return 0 if {'ssh': over_ssh, 'slurm': in_slurm}[what](scratch, int(count), int(delay_ms)) else 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
