"""Packages of a package-lock.json, installed into a folder of the build by the first test that wants them."""
import fcntl
import hashlib
import os
import shutil
import subprocess

BUILD = os.path.abspath(os.environ.get('PERDURE_BUILD_DIR') or
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'build', 'dev'))


class CannotInstall(Exception):
    pass


def install(source, name, verb=('ci',)):
    """Installs what the lock file in `source` names into the folder `name` of the build, once for each state of that file,
    and returns the folder. Scripts of packages are not run. CannotInstall, with the reason, where npm is not there or fails."""
    target = os.path.join(BUILD, name)
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(source, 'package-lock.json'), 'rb') as lock:
        wanted = hashlib.sha256(lock.read()).hexdigest()
    stamp = os.path.join(target, 'installed')
    with open(os.path.join(target, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(stamp, encoding='ascii') as f:
                if f.read() == wanted:
                    return target
        except FileNotFoundError:
            pass
        if shutil.which('npm') is None:
            raise CannotInstall('npm is not installed: ./dev test --all installs it')
        for file in ('package.json', 'package-lock.json'):
            shutil.copy(os.path.join(source, file), target)
        done = subprocess.run(['npm', *verb, '--ignore-scripts', '--no-audit', '--no-fund'], cwd=target, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise CannotInstall(f'npm {verb[0]} failed:\n{done.stdout}')
        with open(stamp, 'w', encoding='ascii') as f:
            f.write(wanted)
    return target
