#!/usr/bin/env python3
"""run.py FILE...: runs browser tests in Node, with Debian's chromium and the packages of package-lock.json.

Exit status 77, with the reason, where chromium is not there or npm cannot install.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('PERDURE_BUILD_DIR') or os.path.join(HERE, '..', '..', 'build', 'dev'))
FOLDER = os.path.join(BUILD, 'browser-packages')


def skip(why):
    print(f'skipped: {why}')
    sys.exit(77)


def install():
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(HERE, 'package-lock.json'), 'rb') as f:
        wanted = hashlib.sha256(f.read()).hexdigest()
    stamp = os.path.join(FOLDER, 'installed')
    with open(os.path.join(FOLDER, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(stamp):
            with open(stamp, encoding='ascii') as f:
                if f.read() == wanted:
                    return
        if shutil.which('npm') is None:
            skip('npm is not installed')
        for name in ('package.json', 'package-lock.json'):
            shutil.copy(os.path.join(HERE, name), FOLDER)
        done = subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], cwd=FOLDER, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250, check=False)
        if done.returncode != 0:
            skip(f'npm cannot install the packages:\n{done.stdout}')
        with open(stamp, 'w', encoding='ascii') as f:
            f.write(wanted)


def main():
    chromium = shutil.which('chromium')
    if chromium is None:
        skip('chromium is not installed')
    if shutil.which('node') is None:
        skip('node is not installed')
    install()
    env = {**os.environ, 'PERDURE_MODULES': os.path.join(FOLDER, 'node_modules'), 'PERDURE_CHROMIUM': chromium}
    files = [os.path.join(HERE, name) for name in sys.argv[1:]]
    sys.exit(subprocess.run(['node', '--test', '--test-reporter=spec', '--test-concurrency=1', *files], env=env, check=False).returncode)


if __name__ == '__main__':
    main()
