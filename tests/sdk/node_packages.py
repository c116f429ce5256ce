"""The packages of node/package-lock.json, installed into the build folder by the first test that wants them."""
import fcntl
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('PERDURE_BUILD_DIR') or os.path.join(SOURCE, 'build', 'dev')
FOLDER = os.path.join(BUILD, 'sdk-packages')
MODULES = os.path.join(FOLDER, 'node_modules')


def install():
    os.makedirs(FOLDER, exist_ok=True)
    stamp = os.path.join(FOLDER, 'installed')
    with open(os.path.join(FOLDER, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(os.path.join(HERE, 'node', 'package-lock.json'), encoding='utf-8') as f:
            wanted = f.read()
        try:
            with open(stamp, encoding='utf-8') as f:
                if f.read() == wanted:
                    return
        except FileNotFoundError:
            pass
        if shutil.which('npm') is None:
            sys.exit('npm is needed to install what is in tests/sdk/node/package-lock.json: ./dev test --all installs it')
        for name in ('package.json', 'package-lock.json'):
            shutil.copy(os.path.join(HERE, 'node', name), FOLDER)
        subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], cwd=FOLDER, stdin=subprocess.DEVNULL, check=True, timeout=250)
        with open(stamp, 'w', encoding='utf-8') as f:
            f.write(wanted)
