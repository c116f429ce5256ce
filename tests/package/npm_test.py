#!/usr/bin/env python3
"""npm_test.py: the npm packages, from a registry of their own on loopback, without any script of theirs."""
import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import urllib.parse

import packages
from packages import VERSION, check

CPUS = {'x86_64': 'x64', 'aarch64': 'arm64'}
HERE = f'linux-{CPUS[packages.NATIVE]}'


def manifest_of(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return json.load(tar.extractfile('package/package.json'))


class Registry(http.server.BaseHTTPRequestHandler):
    """Serves what is in dist/, and knows nothing else."""
    tarballs = {}

    def do_GET(self):
        path = urllib.parse.unquote(self.path).lstrip('/')
        if path.endswith('.tgz') and path in self.tarballs:
            return self.answer(200, self.tarballs[path])
        for file, data in self.tarballs.items():
            manifest = manifest_of(data)
            if manifest['name'] == path:
                manifest['dist'] = {'tarball': f'http://{self.headers["Host"]}/{file}',
                                    'integrity': 'sha512-' + base64.b64encode(hashlib.sha512(data).digest()).decode()}
                return self.answer(200, json.dumps({'name': path, 'dist-tags': {'latest': VERSION}, 'versions': {VERSION: manifest}}).encode())
        return self.answer(404, b'{}')

    def answer(self, status, data):
        self.send_response(status)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Npm:
    def __init__(self, folder, registry):
        self.environment = {**os.environ, 'HOME': str(folder), 'npm_config_registry': registry, 'npm_config_cache': str(folder / 'cache'),
                            'npm_config_audit': 'false', 'npm_config_fund': 'false', 'npm_config_update_notifier': 'false',
                            'PERDURE_SESSION': str(folder / 'session'), 'XDG_STATE_HOME': str(folder / 'state')}
        self.environment.pop('PERDURE_RUNNER_PATH', None)

    def __call__(self, where, *words, **more):
        return subprocess.run(words, cwd=where, env={**self.environment, **more}, capture_output=True, text=True, timeout=120, check=False)

    def project(self, folder, name, *options):
        where = folder / name
        where.mkdir()
        (where / 'package.json').write_text('{"name":"user","version":"1.0.0","private":true}\n')
        done = self(where, 'npm', 'install', '--ignore-scripts', *options, 'perdure')
        check(done.returncode == 0, f'npm install: {done.stderr}')
        return where


def works(npm, where):
    shown = npm(where, 'npx', 'perdure', 'version')
    check(shown.stdout == f'perdure {VERSION}\n', f'npx perdure version: {shown}')
    ran = npm(where, 'npx', 'perdure', 'run', '--wait', '-c', 'exit 3')
    check(ran.returncode == 3, f'npx perdure run: {ran}')
    task = ran.stdout.strip()
    check(npm(where, 'npx', 'perdure', 'show', task, '--json').stdout.count('"failed"') == 1, 'the task did not end as it should')
    # The SDK is in the same package and finds the programs beside it.
    script = where / 'sdk.mjs'
    script.write_text("import { Perdure } from 'perdure';\nimport { Session } from 'perdure/kimi';\n"
                      "const perdure = await Perdure.open({ session: process.argv[2] });\n"
                      "const task = await perdure.start({ command: 'exit 4' });\n"
                      "console.log(typeof Session, (await task.wait()).info.exitCode);\nawait perdure.close();\n")
    told = npm(where, 'node', script, where / 'sdk-session')
    check(told.stdout.strip() == 'function 4', f'the SDK of the package: {told.stdout}{told.stderr}')
    packages.handshake(subprocess.Popen(['npx', 'perdure', 'mcp'], cwd=where, env=npm.environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True))


def in_busybox(folder):
    """Neither npm nor Node nor bash is needed to run: the shell is busybox', reached through a link to a link."""
    root = packages.Root(folder / 'root', packages.NATIVE)
    for name, data in Registry.tarballs.items():
        manifest = manifest_of(data)
        where = root.path / 'n/node_modules' / manifest['name']
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar.getmembers():
                _, _, member.name = member.name.partition('/')
                tar.extract(member, where)
    (root.path / 'n/node_modules/.bin').mkdir()
    (root.path / 'n/node_modules/.bin/perdure').symlink_to('../perdure/bin/perdure')
    (root.path / 'usr/bin/perdure').symlink_to('/n/node_modules/.bin/perdure')
    packages.use(root)


def main():
    if shutil.which('npm') is None:
        packages.skip('there is no npm')
    names = [f'perdure-{VERSION}.tgz', *(f'perdure-linux-{cpu}-{VERSION}.tgz' for cpu in CPUS.values())]
    for name in names:
        Registry.tarballs[name] = packages.package(name).read_bytes()
        scripts = manifest_of(Registry.tarballs[name]).get('scripts')
        check(not scripts, f'{name} has scripts: {scripts}')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keep, folder = packages.scratch()
    with keep:
        npm = Npm(folder, f'http://127.0.0.1:{server.server_port}/')
        where = npm.project(folder, 'usual')
        found = sorted(path.name for path in (where / 'node_modules/@perdure').iterdir())
        check(found == [HERE], f'npm installed {found}')
        works(npm, where)

        # Files, no registry: what somebody does who was handed the packages.
        files = folder / 'files'
        files.mkdir()
        (files / 'package.json').write_text('{"name":"user","version":"1.0.0","private":true}\n')
        done = npm(files, 'npm', 'install', '--ignore-scripts', '--offline', *(packages.package(name) for name in names if 'linux' not in name or HERE in name))
        check(done.returncode == 0, f'npm install of files: {done.stderr}')
        works(npm, files)

        # Through a global installation's link, whose man page comes along.
        done = npm(folder, 'npm', 'install', '--ignore-scripts', '--global', '--prefix', folder / 'global', 'perdure')
        check(done.returncode == 0, f'npm install --global: {done.stderr}')
        shown = npm(folder, folder / 'global/bin/perdure', 'version')
        check(shown.stdout == f'perdure {VERSION}\n', f'global perdure version: {shown}')
        check((folder / 'global/share/man/man1/perdure.1').exists(), 'npm linked no man page')
        npm(folder, 'npm', 'uninstall', '--global', '--prefix', folder / 'global', 'perdure')
        left = [path for path in (folder / 'global').rglob('*') if not path.is_dir() and path.name != '.package-lock.json']
        check(not left, f'npm uninstall left {left}')

        # The platform package is missing: the error says which, and why it may be.
        bare = npm.project(folder, 'bare', '--omit=optional')
        refused = npm(bare, 'npx', 'perdure', 'version')
        check(refused.returncode == 1 and '--no-optional' in refused.stderr and f'@perdure/{HERE}' in refused.stderr, f'without the programs: {refused}')

        in_busybox(folder)

        # Another machine.
        fake = folder / 'fake'
        fake.mkdir()
        (fake / 'uname').write_text('#!/bin/sh\ncase $1 in -s) echo Darwin ;; *) echo arm64 ;; esac\n')
        (fake / 'uname').chmod(0o755)
        refused = npm(where, 'node_modules/.bin/perdure', 'version', PATH=f'{fake}:{os.environ["PATH"]}')
        check(refused.returncode == 1 and 'Linux only' in refused.stderr and 'Darwin' in refused.stderr, f'on another system: {refused}')
    server.shutdown()
    server.server_close()


main()
