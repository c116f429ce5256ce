"""Plants one mistake at a time in a copy of the tree and sees whether the tests that are named for it notice.

usage: mutate.py [--only NAME]... [--list] [--cmake ARG]... [--jobs N] [--tree DIR]

The mistakes are tests/mutants/*.toml: a file, a piece of text that is in it exactly once, what stands there instead, and
the tests that must fail then. The copy lies in build/mutate/tree and has one build folder, so that each mistake costs
what its own file costs to compile. The tree itself is only read. --tree: a clone that is built already, and that nothing else
works in meanwhile, instead of that copy; each file is put back as it was.

Exit status 0: each mutant was killed. 1: one survived, does not apply, does not build, or its tests fail without it.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(ROOT, 'build', 'mutate')
SCRATCH = os.path.join(WORK, f'scratch-{os.getpid()}')
LOG = os.path.join(WORK, f'tests-{os.getpid()}.log')
KEYS = {'name', 'rule', 'file', 'text', 'with', 'tests', 'why'}
UNIT = re.compile(r'^[a-z_]+_test ')


def read_mutants(only):
    found, names = [], set()
    folder = os.path.join(ROOT, 'tests', 'mutants')
    for name in sorted(os.listdir(folder)):
        if not name.endswith('.toml'):
            continue
        with open(os.path.join(folder, name), 'rb') as f:
            mutants = tomllib.load(f)['mutant']
        for mutant in mutants:
            if set(mutant) - KEYS or not {'name', 'file', 'text', 'with', 'tests'} <= set(mutant) or not mutant['tests']:
                sys.exit(f'mutate: {name}: {mutant.get("name", "a mutant")}: has the keys {sorted(mutant)}')
            if mutant['name'] in names:
                sys.exit(f'mutate: {name}: two mutants are named {mutant["name"]}')
            names.add(mutant['name'])
            found.append(mutant)
    if unknown := set(only) - names:
        sys.exit(f'mutate: there is no mutant {", ".join(sorted(unknown))}')
    return [m for m in found if not only or m['name'] in only]


def copy_tree(tree):
    """Writes only files that differ, so that their build results stay valid."""
    listed = subprocess.run(['git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                            stdout=subprocess.PIPE, check=True).stdout.decode()
    wanted = {name for name in listed.split('\0') if name and os.path.lexists(os.path.join(ROOT, name))}
    for name in sorted(wanted):
        source, target = os.path.join(ROOT, name), os.path.join(tree, name)
        if os.path.islink(source) or os.path.isdir(source):
            continue
        with open(source, 'rb') as f:
            data = f.read()
        if read(target) == data:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'wb') as f:
            f.write(data)
        shutil.copymode(source, target)
    for folder, folders, names in os.walk(tree):
        if folder == tree and 'build' in folders:
            folders.remove('build')
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, tree) not in wanted:
                os.unlink(path)


def read(path):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except FileNotFoundError:
        return None


class Bench:
    def __init__(self, tree, cmake, jobs):
        self.tree, self.cmake, self.jobs = tree, cmake, jobs
        self.folder = os.path.join(tree, 'build', 'dev')
        self.environment = {**os.environ, 'TMPDIR': SCRATCH, 'PERDURE_BIN': os.path.join(self.folder, 'bin'), 'PERDURE_SOURCE_DIR': ROOT, 'PYTHONDONTWRITEBYTECODE': '1',
                            'PERDURE_BUILD_DIR': self.folder, 'XDG_STATE_HOME': os.path.join(SCRATCH, 'state'),
                            'XDG_CONFIG_HOME': os.path.join(SCRATCH, 'config'), 'NO_COLOR': '1',
                            # The copy has another path than the tree: a compiler cache is to see the same files.
                            'CCACHE_BASEDIR': tree, 'CCACHE_NOHASHDIR': '1', 'CCACHE_SLOPPINESS': 'pch_defines,time_macros'}
        self.baseline = {}

    def configure(self):
        cache = shutil.which('ccache')
        line = ['cmake', '--preset', 'dev', '-DCMAKE_CXX_FLAGS_DEBUG=-g0', *self.cmake]
        if cache:
            line += ['-DCMAKE_CXX_COMPILER_LAUNCHER=ccache', '-DCMAKE_CXX_FLAGS=-fpch-preprocess']
        done = subprocess.run(line, cwd=self.tree, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            sys.exit(f'mutate: cmake failed\n{done.stdout}')

    def build(self, targets):
        done = subprocess.run(['nice', 'ninja', '-C', self.folder, f'-j{self.jobs}', *targets], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return None if done.returncode == 0 else done.stdout[-3000:]

    def run(self, test, limit):
        """True: it passed."""
        shutil.rmtree(SCRATCH, ignore_errors=True)
        os.makedirs(os.path.join(SCRATCH, 'state'))
        words = test.split()
        if UNIT.match(test):
            line = [os.path.join(self.folder, 'bin', words[0]) if os.path.exists(os.path.join(self.folder, 'bin', words[0])) else
                    os.path.join(self.folder, 'tests', 'unit', words[0]), '--gtest_filter=' + words[1], '--gtest_brief=1']
        else:
            line = [sys.executable, os.path.join(ROOT, 'tests', words[0]), *words[1:]]
        with open(LOG, 'ab') as log:
            log.write(f'\n=== {test}\n'.encode())
            log.flush()
            with subprocess.Popen(line, cwd=os.path.join(ROOT, 'tests'), env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, start_new_session=True) as process:
                try:
                    status = process.wait(limit)
                except subprocess.TimeoutExpired:
                    status = 'time'
                    os.killpg(process.pid, signal.SIGKILL)
        self.sweep()
        return status == 0

    @staticmethod
    def sweep():
        """A test that was ended could not tidy up: what carries its scratch folder goes."""
        for name in os.listdir('/proc'):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f'/proc/{name}/environ', 'rb') as f:
                    if SCRATCH.encode() in f.read():
                        os.kill(int(name), signal.SIGKILL)
            except OSError:
                pass

    def passes_without(self, test):
        if test not in self.baseline:
            before = time.monotonic()
            fine = self.run(test, 600)
            self.baseline[test] = time.monotonic() - before if fine else None
        return self.baseline[test]

    def judge(self, mutant):
        path = os.path.join(self.tree, mutant['file'])
        original = read(path)
        if original is None:
            return 'does not apply: there is no such file', ''
        count = original.decode().count(mutant['text'])
        if count != 1:
            return f'does not apply: the text is there {count} times', ''
        programs = ['perdure-runner'] if mutant['file'].startswith('src/runner/') else ['perdure', 'perdure-runner']
        units = [t.split()[0] for t in mutant['tests'] if UNIT.match(t)]
        if len(units) == len(mutant['tests']):
            programs = []
        targets = sorted({*programs, *units})
        if why := self.build(targets):
            return 'the tree itself does not build', why
        for test in mutant['tests']:
            if self.passes_without(test) is None:
                return f'fails without the mutant: {test}', ''
        try:
            with open(path, 'wb') as f:
                f.write(original.decode().replace(mutant['text'], mutant['with']).encode())
            if why := self.build(targets):
                return 'does not build', why
            for test in mutant['tests']:
                if not self.run(test, 30 + 8 * self.baseline[test]):
                    return 'killed', test
            return 'survived', ''
        finally:
            with open(path, 'wb') as f:
                f.write(original)


def main():
    parser = argparse.ArgumentParser(description='Plants mistakes and sees whether the tests notice.')
    parser.add_argument('--only', action='append', default=[], metavar='NAME')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--cmake', action='append', default=[], metavar='ARG')
    parser.add_argument('--jobs', type=int, default=int(os.environ.get('DEV_JOBS', '2')))
    parser.add_argument('--tree', metavar='DIR', type=os.path.abspath)
    options = parser.parse_args()
    mutants = read_mutants(options.only)
    if options.list:
        for mutant in mutants:
            print(mutant['name'], mutant.get('rule', ''), mutant['file'])
        return 0
    tree = options.tree or os.path.join(WORK, 'tree')
    os.makedirs(tree, exist_ok=True)
    os.makedirs(WORK, exist_ok=True)
    bench = Bench(tree, options.cmake, options.jobs)
    if not options.tree:
        copy_tree(tree)
        bench.configure()
    failures = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('mutate: ended'))  # so that the file is put back
    with open(LOG, 'wb'):
        pass
    for n, mutant in enumerate(mutants, 1):
        before = time.monotonic()
        verdict, detail = bench.judge(mutant)
        print(f'[{n}/{len(mutants)}] {mutant["name"]}: {verdict}{": " + detail if detail else ""} '
              f'({time.monotonic() - before:.0f} s)', flush=True)
        if verdict != 'killed':
            failures.append(f'{mutant["name"]}: {verdict}')
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f'{len(mutants) - len(failures)} of {len(mutants)} mutants were killed')
    for failure in failures:
        print('NOT ' + failure)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
