#!/usr/bin/env python3
"""deb_test.py: dpkg installs the packages into a scratch root, perdure runs there, and dpkg removes all of it."""
import os
import shutil
import subprocess

import packages
from packages import check

ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64'}


def dpkg(root, arch, *arguments):
    # As root of a user namespace: the database and the files belong to whoever runs the test.
    command = ['unshare', '--user', '--map-root-user', 'dpkg', f'--root={root}', '--force-bad-path', '--no-triggers', *arguments]
    if arch != packages.NATIVE:
        command.insert(-2, '--force-architecture')
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    check(done.returncode == 0, f'{" ".join(map(str, arguments))}: {done.stderr}')


def files(root):
    return {str(path) for path in root.rglob('*') if not path.is_dir() and 'var/lib/dpkg' not in str(path)}


def installs(arch):
    debian = ARCHITECTURES[arch]
    deb = packages.package(f'perdure_{packages.VERSION}_{debian}.deb')
    keep, folder = packages.scratch()
    with keep:
        root = packages.Root(folder / 'root', arch)
        (root.path / 'var/lib/dpkg/info').mkdir(parents=True)
        (root.path / 'var/lib/dpkg/updates').mkdir()
        for file in ('status', 'available'):
            (root.path / 'var/lib/dpkg' / file).touch()
        before = files(root.path)
        dpkg(root.path, arch, '--install', deb)
        packages.use(root)
        packages.handshake(root.start('perdure', '--session', '/tmp/session', 'mcp'))
        shutil.rmtree(root.path / 'tmp')
        (root.path / 'tmp').mkdir()
        dpkg(root.path, arch, '--purge', 'perdure')
        after = files(root.path)
        check(after == before, f'dpkg --purge left {after - before} and took {before - after}')


def library():
    """A program of a user's, against perdure-dev, finds the runner of the package perdure."""
    debian = ARCHITECTURES[packages.NATIVE]
    keep, folder = packages.scratch()
    with keep:
        for name in ('perdure', 'perdure-dev'):
            subprocess.run(['dpkg-deb', '-x', packages.package(f'{name}_{packages.VERSION}_{debian}.deb'), folder], check=True)
        libraries = folder / f'usr/lib/{packages.NATIVE}-linux-gnu'
        environment = {**os.environ, 'PKG_CONFIG_PATH': str(libraries / 'pkgconfig'), 'PKG_CONFIG_SYSROOT_DIR': str(folder),
                       'LD_LIBRARY_PATH': str(libraries)}
        environment.pop('PERDURE_RUNNER_PATH', None)
        shown = subprocess.run(['pkg-config', '--cflags', '--libs', 'perdure'], env=environment, capture_output=True, text=True, check=True)
        flags = shown.stdout.replace('"', '').split()
        program = folder / 'embedder'
        built = subprocess.run(['g++-12', packages.SOURCE / 'examples/embedder/embedder.cpp', '-o', program, *flags],
                               capture_output=True, text=True, check=False)
        check(built.returncode == 0, f'the example does not build: {built.stderr}')
        ran = subprocess.run([program, folder / 'session', 'echo hello'], env=environment, capture_output=True, text=True, check=False)
        check(ran.stdout.endswith('completed, exit code 0\nhello\n'), f'the example printed {ran}')


def is_clean():
    for deb in sorted(packages.DIST.glob('*.deb')):
        found = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error', deb], capture_output=True, text=True, check=False)
        check(found.returncode == 0, f'lintian: {found.stdout}{found.stderr}')


for architecture in ARCHITECTURES:
    installs(architecture)
library()
is_clean()
