#!/usr/bin/env python3
"""run.py FILE...: runs browser tests in Node, with Debian's chromium and the packages of package-lock.json.

Exit status 77, with the reason, where chromium is not there or npm cannot install.
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import npm_packages  # noqa: E402


def skip(why):
    print(f'skipped: {why}')
    sys.exit(77)


def main():
    chromium = shutil.which('chromium')
    if chromium is None:
        skip('chromium is not installed')
    if shutil.which('node') is None:
        skip('node is not installed')
    try:
        folder = npm_packages.install(HERE, 'browser-packages')
    except npm_packages.CannotInstall as error:
        skip(error)
    env = {**os.environ, 'PERDURE_MODULES': os.path.join(folder, 'node_modules'), 'PERDURE_CHROMIUM': chromium}
    files = [os.path.join(HERE, name) for name in sys.argv[1:]]
    sys.exit(subprocess.run(['node', '--test', '--test-reporter=spec', '--test-concurrency=1', *files], env=env, check=False).returncode)


if __name__ == '__main__':
    main()
