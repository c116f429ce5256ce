#!/usr/bin/env python3
"""What it costs to look at a long history: list, events, doctor and gc beside a bare read of the same files.

    bench/rows.py BIN [--before BIN] [--records N] [--runs N] [--session FOLDER]

Makes a session of N ended tasks under PERDURE_BENCH_DIR (else /var/tmp), or takes one that an earlier call left in FOLDER. Each
round runs the bare loop (bench/bare_readdir.c: readdir, open, read, close, compiled here) and every command once, of both
builds where there are two. Printed: the median of the ratio to the bare loop of the same round, and the largest resident
memory (getrusage). With MEASURE_FIFO=1 in the environment what is measured runs before all other programs.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

COMMANDS = {
    'list --all': ['list', '--all'],
    'list --all --limit 20': ['list', '--all', '--limit', '20'],
    '--json list --all': ['--json', 'list', '--all'],
    '--json list --all --limit 20': ['--json', 'list', '--all', '--limit', '20'],
    'events --since (last 10)': ['events', '--since', 'LAST10'],
    'events': ['events'],
    'doctor': ['doctor'],
    'gc --dry-run': ['gc', '--dry-run', '--older-than', '3650d'],
}
SECOND = 1000


def plant(perdure, session, count):
    """Tasks of one a second, the newest an hour ago: the record of a real one under other ids and at other times."""
    task = subprocess.run([perdure, '--session', session, 'run', '-c', 'echo out'], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    subprocess.run([perdure, '--session', session, 'wait', task], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(session, 'tasks', task + '.json'), encoding='utf-8') as f:
        record = json.load(f)
    newest = record['startedAt'] - 3600 * SECOND
    record['outputBytes'] = 0
    record['notifiedAt'] = record['endedAt']
    for n in range(count):
        at = newest - (count - n) * SECOND
        other = f'bash-{n:08d}'
        record.update(taskId=other, startedAt=at, endedAt=at + 500, startedSeq=at * SECOND, endedSeq=(at + 500) * SECOND)
        fd = os.open(os.path.join(session, 'tasks', other + '.json'), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, (json.dumps(record, separators=(',', ':')) + '\n').encode())
        os.close(fd)
    complete = os.path.join(session, 'active', '.complete')
    if os.path.exists(complete):  # planted behind its back: the index is made anew
        os.remove(complete)
    with open(os.path.join(session, 'last10'), 'w', encoding='ascii') as f:
        f.write(str((newest - 6 * SECOND) * SECOND))


def measured(measure, argv):
    """Milliseconds, and the largest resident memory in MB."""
    ms, kib = subprocess.run([measure, *argv], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(ms), int(kib) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('bin')
    parser.add_argument('--before')
    parser.add_argument('--records', type=int, default=100000)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--session')
    parser.add_argument('--only', nargs='*', default=[])
    options = parser.parse_args()
    scratch = options.session or tempfile.mkdtemp(prefix='perdure-bench.', dir=os.environ.get('PERDURE_BENCH_DIR', '/var/tmp'))
    session = os.path.join(scratch, 'session')
    perdure = os.path.join(options.bin, 'perdure')
    try:
        os.makedirs(scratch, exist_ok=True)
        bare, measure = os.path.join(scratch, 'bare_readdir'), os.path.join(scratch, 'measure')
        for program in (bare, measure):
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.path.basename(program) + '.c')
            subprocess.run(['cc', '-O2', '-o', program, source], check=True)
        if not os.path.isdir(session):
            plant(perdure, session, options.records)
        with open(os.path.join(session, 'last10'), encoding='ascii') as f:
            last10 = f.read()
        commands = {name: [word.replace('LAST10', last10) for word in words] for name, words in COMMANDS.items()
                    if not options.only or name in options.only}
        cases = {}
        index = os.path.join(session, 'tasks', '.index')

        def cold():
            if os.path.exists(index):
                os.remove(index)

        def warm():
            if not os.path.exists(index):
                subprocess.run([perdure, '--session', session, 'reconcile'], check=False, stdout=subprocess.DEVNULL)

        if options.before:
            cases['before'] = (os.path.join(options.before, 'perdure'), cold)
        cases['no index'] = (perdure, cold)
        cases['index'] = (perdure, warm)
        ratios = {name: {case: [] for case in cases} for name in commands}
        memory = {name: dict.fromkeys(cases, 0.0) for name in commands}
        loops = []
        for _ in range(options.runs):
            for case, (program, prepare) in cases.items():
                prepare()
                for name, words in commands.items():
                    loop, _ = measured(measure, [bare, os.path.join(session, 'tasks')])
                    loops.append(loop)
                    ms, mb = measured(measure, [program, '--session', session, *words])
                    ratios[name][case].append(ms / loop)
                    memory[name][case] = max(memory[name][case], mb)
        print(f'bare loop, {options.records} records: median {statistics.median(loops):.0f} ms')
        print('| command | ' + ' | '.join(f'{case}: ratio, MB' for case in cases) + ' |')
        print('| --- |' + ' --- |' * len(cases))
        for name in commands:
            print(f'| `{name}` | ' + ' | '.join(f'{statistics.median(ratios[name][case]):.2f}, {memory[name][case]:.1f}' for case in cases) + ' |')
    finally:
        if not options.session:
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
