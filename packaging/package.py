#!/usr/bin/env python3
"""package.py --version V --commit C --epoch SECONDS --dist DIR --work DIR ARCH=BUILD...

Packs what is built: tarballs, Debian and npm packages, a bill of materials for each architecture, SHA256SUMS. The same
builds, commit and time give the same bytes. ARCH is x86_64 or aarch64. Called by `./dev package`, which builds first.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess

import debian_packages
import npm_packages
from archive import put, tar_gz
from components import components, licence_texts
from sbom import bill

SOURCE = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ('bin/perdure', 'libexec/perdure/perdure-runner', 'libexec/perdure/perdure-webhook')


def install(build, component, folder, epoch):
    """One part of the build, stripped, as it lies below /usr; `perdure` prints its man pages with the day of `epoch`."""
    environment = {**os.environ, 'DESTDIR': str(folder.with_name(folder.name + '-root')), 'SOURCE_DATE_EPOCH': str(epoch)}
    subprocess.run(['cmake', '--install', build, '--prefix', '/usr', '--component', component, '--strip'], check=True, stdout=subprocess.DEVNULL,
                   env=environment)
    (folder.with_name(folder.name + '-root') / 'usr').rename(folder)


def compiler_of(build):
    for line in (build / 'CMakeCache.txt').read_text().splitlines():
        if line.startswith('CMAKE_CXX_COMPILER:'):
            return subprocess.run([line.split('=', 1)[1], '-dumpfullversion'], capture_output=True, text=True, check=True).stdout.strip()
    raise SystemExit(f'package: {build} is no build folder')


def check_static(stage, arch):
    """A program that asks for a library of the machine's would not run everywhere."""
    machine = {'x86_64': 'X86-64', 'aarch64': 'AArch64'}[arch]
    for name in PROGRAMS:
        shown = subprocess.run(['readelf', '-hlW', stage / name], capture_output=True, text=True, check=True).stdout
        if machine not in shown or 'INTERP' in shown:
            raise SystemExit(f'package: {stage / name}: is not a static program for {arch}')


def package(arch, build, options):
    work, epoch, version = options.work, options.epoch, options.version
    stage = work / f'stage-{arch}'
    install(build, 'Unspecified', stage, epoch)
    check_static(stage, arch)
    parts = components(arch)
    documents = stage / 'share/doc/perdure'
    for name, text in licence_texts(parts).items():
        put(documents / 'licenses' / name, text)
    programs = {pathlib.Path(name).name: (stage / name).read_bytes() for name in PROGRAMS}
    text = bill(version, options.commit, epoch, arch, programs, parts, compiler_of(build))
    put(documents / 'perdure.spdx.json', text)
    put(options.dist / f'perdure-{version}-linux-{arch}.spdx.json', text)

    put(stage / 'libexec/perdure/uninstall', (SOURCE / 'packaging/uninstall.sh').read_text(), 0o755)
    files = sorted(str(path.relative_to(stage)) for path in stage.rglob('*') if not path.is_dir())
    put(documents / 'manifest', ''.join(f'{file}\n' for file in sorted([*files, 'share/doc/perdure/manifest'])))
    name = f'perdure-{version}-linux-{arch}'
    (options.dist / f'{name}.tar.gz').write_bytes(tar_gz(stage, name, epoch))

    debian_packages.perdure(work, options.dist, stage, version, arch, epoch, parts)
    stage_dev = work / f'stage-dev-{arch}'
    install(build, 'dev', stage_dev, epoch)
    debian_packages.perdure_dev(work, options.dist, stage_dev, version, arch, epoch)
    npm_packages.platform_package(work, options.dist, stage, version, arch, epoch)
    return stage


def main():
    parser = argparse.ArgumentParser()
    for name in ('--version', '--commit'):
        parser.add_argument(name, required=True)
    parser.add_argument('--epoch', type=int, required=True)
    parser.add_argument('--dist', type=pathlib.Path, required=True)
    parser.add_argument('--work', type=pathlib.Path, required=True)
    parser.add_argument('builds', nargs='+', metavar='ARCH=BUILD')
    options = parser.parse_args()
    os.umask(0o022)
    for folder in (options.work, options.dist):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    stages = {}
    for build in options.builds:
        arch, folder = build.split('=', 1)
        stages[arch] = package(arch, pathlib.Path(folder), options)
    npm_packages.main_package(options.work, options.dist, SOURCE, next(iter(stages.values())), options.version, sorted(stages), options.epoch)
    sums = [f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n' for path in sorted(options.dist.iterdir())]
    put(options.dist / 'SHA256SUMS', ''.join(sums))


if __name__ == '__main__':
    main()
