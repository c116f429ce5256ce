#!/usr/bin/env python3
"""What a session's history costs: the commands that ask what lives, beside the same session without that history.

    bench/history.py BIN [--records N] [--runs N]

BIN is the folder of the programs. Two sessions on the disk of PERDURE_BENCH_DIR (else /var/tmp): both have ten live tasks,
one has N ended tasks beside them, records of a real one under other ids. Runs take turns. For each command: the median
time, the system calls without the reading of names (by strace), and the largest resident memory. `bare` is readdir, open,
read and close of the same records, by bench/bare_readdir.c, which is compiled here.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

LIVE = 10
HOOK = json.dumps({'session_id': 'owner', 'hook_event_name': 'UserPromptSubmit', 'prompt': 'x', 'cwd': '/'})
COMMANDS = {
    'list': ['list'],
    'wait, 1 ms, without ids': ['wait', '--timeout', '1ms'],
    'notifications': ['notifications'],
    'hook claude-code': ['hook', 'claude-code', 'prompt'],
    'run -c true': ['run', '-c', 'true'],
    'list --all': ['list', '--all'],
    'list --all --limit 20': ['list', '--all', '--limit', '20'],
    '--json list --all': ['--json', 'list', '--all'],
    'doctor': ['doctor'],
    'gc --dry-run': ['gc', '--dry-run', '--older-than', '3650d'],
}


def plant(perdure, session, count):
    task = subprocess.run([perdure, '--session', session, 'run', '-c', 'echo out'], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    subprocess.run([perdure, '--session', session, 'wait', task], check=True, stdout=subprocess.DEVNULL)
    path = os.path.join(session, 'tasks', task + '.json')
    with open(path, encoding='utf-8') as f:
        text = f.read()
    for n in range(count):
        other = f'bash-{n:08d}'
        fd = os.open(os.path.join(session, 'tasks', other + '.json'), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, text.replace(task, other).encode())
        os.close(fd)
    complete = os.path.join(session, 'active', '.complete')
    if os.path.exists(complete):  # planted behind its back: the index is made anew
        os.remove(complete)
    for _ in range(LIVE):
        subprocess.run([perdure, '--session', session, 'run', '-c', 'sleep 3000'], check=True, stdout=subprocess.DEVNULL)


def timed(argv):
    """Milliseconds, and the largest resident memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.stdin.write(HOOK.encode())
    process.stdin.close()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return (time.perf_counter() - began) * 1000, usage.ru_maxrss / 1024


def calls(argv, scratch):
    if not shutil.which('strace'):
        return 0
    trace = os.path.join(scratch, 'trace')
    subprocess.run(['strace', '-f', '-b', 'execve', '-qq', '-o', trace, *argv], check=False, input=HOOK, text=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(trace, encoding='utf-8', errors='replace') as f:
        return sum(1 for line in f if re.match(r'(?:\d+ +)?(?!getdents64|brk|mmap|munmap|mremap|madvise|mprotect|futex)\w+\(', line))


def mcp(perdure, session, runs):
    """Milliseconds of background Bash calls, by a server that has answered once."""
    server = subprocess.Popen([perdure, '--session', session, 'mcp'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, bufsize=1)

    def ask(number, method, params):
        server.stdin.write(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params}) + '\n')
        server.stdin.flush()
        for line in server.stdout:
            if json.loads(line).get('id') == number:
                return

    ask(1, 'initialize', {'protocolVersion': '2025-11-25', 'capabilities': {}, 'clientInfo': {'name': 'bench', 'version': '1'}})
    server.stdin.write(json.dumps({'jsonrpc': '2.0', 'method': 'notifications/initialized', 'params': {}}) + '\n')
    times = []
    for n in range(runs + 2):
        began = time.perf_counter()
        ask(n + 2, 'tools/call', {'name': 'Bash', 'arguments': {'command': 'true', 'run_in_background': True, 'description': 'true'}})
        times.append((time.perf_counter() - began) * 1000)
    server.stdin.close()
    server.wait()
    return statistics.median(times[2:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('bin')
    parser.add_argument('--records', type=int, default=100_000)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--only', nargs='*', help='commands by the names of the table; MCP: the calls of its server')
    options = parser.parse_args()
    perdure = os.path.join(os.path.abspath(options.bin), 'perdure')
    scratch = tempfile.mkdtemp(prefix='perdure-bench-', dir=os.environ.get('PERDURE_BENCH_DIR', '/var/tmp'))
    sessions = [os.path.join(scratch, name) for name in ('few', 'many')]
    try:
        bare = os.path.join(scratch, 'bare')
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bare_readdir.c')
        subprocess.run(['cc', '-O2', '-o', bare, source], check=True)
        for session, count in zip(sessions, (0, options.records)):
            plant(perdure, session, count)
            subprocess.run([perdure, '--session', session, 'reconcile'], check=True, stdout=subprocess.DEVNULL)  # the index is made
        tasks = os.path.join(sessions[1], 'tasks')
        loop = statistics.median(timed([bare, tasks])[0] for _ in range(options.runs))
        print(f'bare loop over {options.records} records: {loop:.0f} ms', flush=True)
        print(f'| command | {LIVE} live alone, ms | with {options.records} ended, ms | ratio | / bare loop | calls | MB |')
        print('| --- | --- | --- | --- | --- | --- | --- |')
        for name, command in COMMANDS.items():
            if options.only and name not in options.only:
                continue
            argvs = [[perdure, '--session', session, *command] for session in sessions]
            measured = [[], []]
            for _ in range(options.runs):
                for at in (0, 1):
                    measured[at].append(timed(argvs[at]))
            few, many = (statistics.median(t for t, _ in m) for m in measured)
            memory = max(m for _, m in measured[1])
            counted = ' / '.join(str(calls(argv, scratch)) for argv in argvs)
            print(f'| {name} | {few:.1f} | {many:.1f} | {many / few:.2f} | {many / loop:.2f} | {counted} | {memory:.0f} |', flush=True)
        few, many = (mcp(perdure, session, options.runs * 4) for session in sessions)
        print(f'| MCP Bash in the background | {few:.1f} | {many:.1f} | {many / few:.2f} | | | |', flush=True)
    finally:
        for session in sessions:
            subprocess.run([perdure, '--session', session, 'stop', '--all', '--grace', '0s'], check=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
