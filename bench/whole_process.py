#!/usr/bin/env python3
"""What a person's shell sees: whole programs, and what users would pick instead, in the same run.

    whole_process.py BIN_DIR [--quick]

Prints a table in Markdown. nq, task-spooler (tsp) and conmon are used where they are installed. Every figure is a
median of interleaved rounds; only ratios within one run mean anything on a shared machine.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

ROWS = []


def row(what, figure, compared, ratio, target):
    ROWS.append((what, figure, compared, ratio, target))
    print(f'  {what}: {figure}  ({compared}) {ratio}', flush=True)


def run(argv, **kw):
    return subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL, **kw)


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(rounds, **functions):
    """Medians of each, in milliseconds, in blocks that take turns, so that noise hits all alike. The first runs of a
    block do not count: an fsync of ours would pay for what the others left unwritten, which they never sync."""
    block, warm = 12, 4
    times = {name: [] for name in functions}
    for _ in range(max(1, rounds // (block - warm))):
        for name, function in functions.items():
            times[name] += [timed(function) for _ in range(block)][warm:]
    return {name: statistics.median(t) * 1e3 for name, t in times.items()}


class Place:
    """A folder on the disk that the project is on: /tmp may be memory, where a commit costs nothing."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix='perdure-bench-', dir=os.environ.get('PERDURE_BENCH_DIR', '/var/tmp'))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def spawn_cost():
    return statistics.median(timed(lambda: run(['true'])) for _ in range(200)) * 1e3


def launching(perdure, rounds):
    with Place() as where:
        session = os.path.join(where, 'session')
        p = [perdure, '--session', session]
        queue = os.path.join(where, 'nq')
        os.mkdir(queue)
        nq_env = dict(os.environ, NQDIR=queue)
        tsp_env = dict(os.environ, TS_SOCKET=os.path.join(where, 'tsp'), TS_SLOTS='100')

        def perdure_whole():
            task = subprocess.run([*p, 'run', '--', 'true'], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            run([*p, 'wait', task])

        def nq_whole():
            job = subprocess.run(['nq', 'true'], check=True, stdout=subprocess.PIPE, text=True, env=nq_env).stdout.strip()
            run(['nq', '-w', job], env=nq_env)

        functions = {'spawn': lambda: run(['true']), 'run': lambda: run([*p, 'run', '--', 'true']), 'whole': perdure_whole}
        if shutil.which('nq'):
            functions |= {'nq': lambda: run(['nq', 'true'], env=nq_env), 'nq_whole': nq_whole}
        if shutil.which('tsp'):
            run(['tsp'], env=tsp_env)
            functions |= {'tsp': lambda: run(['tsp', 'true'], env=tsp_env), 'tsp_whole': lambda: run(['tsp', '-f', 'true'], env=tsp_env)}
        times = interleaved(rounds, **functions)
        if 'tsp' in times:
            subprocess.run(['tsp', '-K'], env=tsp_env, check=False)
        others = ', '.join(f'{n} {times[n]:.2f} ms' for n in ('nq', 'tsp') if n in times)
        wholes = ', '.join(f'{n[:-6]} {times[n]:.2f} ms' for n in ('nq_whole', 'tsp_whole') if n in times)
        row('`run` returns: command running, record durable', f'{times["run"]:.2f} ms',
            f'{others}; starting any program here {times["spawn"]:.2f} ms',
            f'{times["run"] / times["nq"]:.2f} x nq' if 'nq' in times else '', 'at most 2 x nq')
        row('`run`, then `wait`', f'{times["whole"]:.2f} ms', wholes,
            f'{times["whole"] / times["nq_whole"]:.2f} x nq' if 'nq' in times else '', 'at most 2.5 x nq')


def conmon_launch(rounds):
    """conmon has no task of its own to start: it wants an OCI runtime, here one that only starts the command."""
    if not shutil.which('conmon'):
        return
    with Place() as where:
        runtime = os.path.join(where, 'runtime')
        with open(runtime, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\nfor a in "$@"; do case $p in --pid-file) pid=$a;; esac; p=$a; done\n'
                    'true & echo $! > "$pid"\n')
        os.chmod(runtime, 0o755)
        n = [0]

        def one():
            n[0] += 1
            name = f'c{n[0]}'
            subprocess.run(['conmon', '-c', name, '-u', name, '-r', runtime, '-b', where, '-p', f'{where}/{name}.pid',
                            '-l', f'k8s-file:{where}/{name}.log', '--exit-dir', where, '--api-version', '1'],
                           check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                           cwd=where)

        ms = statistics.median(timed(one) for _ in range(rounds)) * 1e3
        row('for comparison: conmon with a runtime of one line', f'{ms:.2f} ms', '', '', '')


def capture(perdure, gib):
    """The command writes zeros; the pipe-to-cat line is the limit that any capture through a pipe has."""
    line = f'head -c {gib << 30} /dev/zero'
    ours, limit = [], []
    for _ in range(3):
        with Place() as where:
            out = os.path.join(where, 'out')
            limit.append(timed(lambda: run(['/bin/sh', '-c', f'{line} | cat > {out}'])))
            os.remove(out)
            ours.append(timed(lambda: run([perdure, '--session', os.path.join(where, 's'), 'run', '--wait',
                                           '--output-limit', '0', '-c', line])))
    a, b = statistics.median(ours), statistics.median(limit)
    row(f'capture of {gib} GiB', f'{gib * 1024 / a:.0f} MiB/s', f'`| cat > file` {gib * 1024 / b:.0f} MiB/s',
        f'{b / a:.2f} of the limit', 'at least 0.9')


def status_field(pid, path, field):
    with open(f'/proc/{pid}/{path}', encoding='utf-8') as f:
        for text in f:
            if text.startswith(field + ':'):
                return int(text.split()[1])
    return 0


def idle(perdure, count):
    with Place() as where:
        p = [perdure, '--session', os.path.join(where, 's')]
        for _ in range(count):
            run([*p, 'run', '--', 'sleep', '1000'])
        records = json.loads(subprocess.run([*p, '--json', 'list'], check=True, stdout=subprocess.PIPE).stdout)
        runners = [r['runner']['pid'] for r in records]
        pss = [status_field(pid, 'smaps_rollup', 'Pss') for pid in runners]
        before = sum(status_field(pid, 'status', 'voluntary_ctxt_switches') for pid in runners)
        time.sleep(10)
        after = sum(status_field(pid, 'status', 'voluntary_ctxt_switches') for pid in runners)
        row(f'memory of a runner, {count} idle', f'{statistics.mean(pss):.0f} KiB PSS', f'largest {max(pss)} KiB', '', 'at most 120 KiB')
        row(f'wake-ups of {count} idle runners in 10 s', str(after - before), '', '', '0')
        run([*p, 'stop', '--all', '--grace', '0'])


class Mcp:
    """A client over pipes, as an agent's: one request at a time."""

    def __init__(self, perdure, session):
        self.server = subprocess.Popen([perdure, '--session', session, 'mcp'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, method, **params):
        meta = {f'io.modelcontextprotocol/{key}': value for key, value in (('protocolVersion', '2026-07-28'), ('clientCapabilities', {}))}
        message = {'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': {**params, '_meta': meta}}
        self.server.stdin.write(json.dumps(message).encode() + b'\n')
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def bash(self):
        self.ask('tools/call', name='Bash', arguments={'command': 'true', 'run_in_background': True, 'description': 'x'})

    def end(self):
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


def mcp(perdure, rounds):
    with Place() as where:
        session = os.path.join(where, 'session')

        def first_answer():
            client = Mcp(perdure, session)
            client.ask('server/discover')
            return client

        starts = []
        for _ in range(rounds):
            begun = time.perf_counter()
            client = first_answer()
            starts.append(time.perf_counter() - begun)
            client.end()
        row('MCP: start to first answer', f'{statistics.median(starts) * 1e3:.2f} ms', '', '', 'under 20 ms')
        client = first_answer()
        calls = sorted(timed(client.bash) for _ in range(rounds))
        row('MCP: Bash in the background, p50 / p99', f'{calls[len(calls) // 2] * 1e3:.2f} / {calls[len(calls) * 99 // 100] * 1e3:.2f} ms',
            '', '', 'p50 under 10 ms')
        client.ask('tools/call', name='Bash', arguments={'command': 'sleep 600', 'run_in_background': True, 'timeout': 600, 'description': 'x'})
        took = timed(client.end)
        row('MCP: end of input to exit, a task running', f'{took * 1e3:.2f} ms', '', '', 'under 200 ms')
        run([perdure, '--session', session, 'stop', '--all', '--grace', '0'])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('bin')
    parser.add_argument('--quick', action='store_true', help='a tenth of everything: does it run at all?')
    options = parser.parse_args()
    perdure = os.path.join(options.bin, 'perdure')
    rounds, gib, tasks = (20, 1, 50) if options.quick else (200, 4, 1000)
    launching(perdure, rounds)
    conmon_launch(rounds // 4)
    capture(perdure, gib)
    idle(perdure, tasks)
    mcp(perdure, rounds)
    print('\n| what | Perdure | beside it, same run | ratio | target |\n| --- | --- | --- | --- | --- |')
    for r in ROWS:
        print('| ' + ' | '.join(r) + ' |')


if __name__ == '__main__':
    main()
