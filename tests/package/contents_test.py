#!/usr/bin/env python3
"""contents_test.py: what dist/ holds is complete, names itself truly, and packs to the same bytes a second time."""
import hashlib
import json
import os
import subprocess
import sys
import tarfile

import packages
from packages import DIST, SOURCE, VERSION, check

ARCHS = ('x86_64', 'aarch64')
PROGRAMS = ('perdure', 'perdure-runner', 'perdure-webhook')


def sums():
    named = {}
    for line in packages.package('SHA256SUMS').read_text().splitlines():
        digest, name = line.split('  ')
        named[name] = digest
    there = {path.name for path in DIST.iterdir()} - {'SHA256SUMS'}
    check(set(named) == there, f'SHA256SUMS names {sorted(named)}, dist holds {sorted(there)}')
    for name, digest in named.items():
        check(hashlib.sha256((DIST / name).read_bytes()).hexdigest() == digest, f'{name} is not what SHA256SUMS says')
    wanted = {f'perdure-{VERSION}-linux-{arch}{end}' for arch in ARCHS for end in ('.tar.gz', '.spdx.json')}
    wanted |= {f'{name}_{VERSION}_{arch}.deb' for name in ('perdure', 'perdure-dev') for arch in ('amd64', 'arm64')}
    wanted |= {f'perdure-{VERSION}.tgz', f'perdure-linux-x64-{VERSION}.tgz', f'perdure-linux-arm64-{VERSION}.tgz'}
    check(wanted == there, f'dist lacks {sorted(wanted - there)} and has {sorted(there - wanted)} besides')


def tarball(arch):
    """Manifest, licences of everything linked in, bill of materials."""
    with tarfile.open(packages.tarball(arch)) as tar:
        top = f'perdure-{VERSION}-linux-{arch}/'
        files = {member.name.removeprefix(top): tar.extractfile(member).read() for member in tar if member.isfile()}
        times = {member.mtime for member in tar.getmembers()}
        owners = {(member.uid, member.gid) for member in tar.getmembers()}
    check(len(times) == 1 and owners == {(0, 0)}, f'{arch}: times {times}, owners {owners}')
    documents = 'share/doc/perdure/'
    check(files[documents + 'manifest'].decode().splitlines() == sorted(files), f'{arch}: the manifest is not what the tarball holds')
    wanted = {documents + 'LICENSE', documents + 'README.md', documents + 'licenses/README.txt', 'share/man/man1/perdure.1',
              'share/man/man5/perdure-config.5', 'share/man/man8/perdure-runner.8', 'share/bash-completion/completions/perdure',
              'share/zsh/site-functions/_perdure', 'share/fish/vendor_completions.d/perdure.fish'}
    wanted |= {f'{documents}docs/{path.relative_to(SOURCE / "docs")}' for path in (SOURCE / 'docs').rglob('*.md')}
    check(wanted <= set(files), f'{arch}: the tarball lacks {sorted(wanted - set(files))}')
    home = str(SOURCE).encode()
    told = [name for name, data in files.items() if home in data]
    check(not told, f'{arch}: the folder it was built in is named in {told}')
    bill(arch, files, json.loads(packages.package(f'perdure-{VERSION}-linux-{arch}.spdx.json').read_text()))


def bill(arch, files, document):
    """Every relation of the bill names something, every program is in it with its digest, every part has its licence text."""
    check(json.loads(files['share/doc/perdure/perdure.spdx.json']) == document, f'{arch}: two bills of materials')
    known = {'SPDXRef-DOCUMENT', *(item['SPDXID'] for item in document['packages'] + document['files'])}
    check(len(known) == 1 + len(document['packages']) + len(document['files']), f'{arch}: ids of the bill occur twice')
    for relation in document['relationships']:
        check({relation['spdxElementId'], relation['relatedSpdxElement']} <= known, f'{arch}: {relation} names nothing')
    for file in document['files']:
        name = file['fileName'].removeprefix('./')
        data = files.get(f'bin/{name}') or files[f'libexec/perdure/{name}']
        digest = [one['checksumValue'] for one in file['checksums'] if one['algorithm'] == 'SHA256']
        check(digest == [hashlib.sha256(data).hexdigest()], f'{arch}: {name} is not what the bill says')
    check({file['fileName'] for file in document['files']} == {f'./{name}' for name in PROGRAMS}, f'{arch}: programs of the bill')
    linked = {relation['relatedSpdxElement'] for relation in document['relationships'] if relation['relationshipType'] == 'STATIC_LINK'}
    for part in document['packages']:
        if part['SPDXID'] in linked:
            check(f'share/doc/perdure/licenses/{part["name"]}.txt' in files, f'{arch}: no licence text of {part["name"]}')
    check(len(linked) == 9, f'{arch}: {len(linked)} parts are linked in')


def packs_again():
    """The same builds give the same bytes, whenever and below whichever umask they are packed."""
    builds = [(arch, SOURCE / 'build' / f'package-{arch}') for arch in ARCHS]
    if not all((build / 'bin/perdure').exists() for _, build in builds):
        print('not packed again: the build folders are gone', file=sys.stderr)
        return
    with tarfile.open(packages.tarball('x86_64')) as tar:
        epoch = int(tar.getmembers()[0].mtime)
        document = json.load(tar.extractfile(f'perdure-{VERSION}-linux-x86_64/share/doc/perdure/perdure.spdx.json'))
    commit = document['packages'][0]['sourceInfo'].rsplit(' ', 1)[1]
    keep, folder = packages.scratch()
    with keep:
        subprocess.run([sys.executable, SOURCE / 'packaging/package.py', '--version', VERSION, '--commit', commit, '--epoch', str(epoch),
                        '--dist', folder / 'dist', '--work', folder / 'work', *(f'{arch}={build}' for arch, build in builds)],
                       check=True, umask=0o077, env={**os.environ, 'TZ': 'Pacific/Auckland', 'LC_ALL': 'C'})
        again, first = (folder / 'dist/SHA256SUMS').read_text(), (DIST / 'SHA256SUMS').read_text()
        check(again == first, f'packed again:\n{again}\nbefore:\n{first}')


sums()
for architecture in ARCHS:
    tarball(architecture)
packs_again()
