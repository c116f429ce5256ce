"""The npm packages: perdure, whose bin is a shell script, and one with the programs for each platform."""
import json
import shutil

from archive import put, tar_gz

CPUS = {'x86_64': 'x64', 'aarch64': 'arm64'}


def _manifest(folder, **members):
    put(folder / 'package.json', json.dumps(members, indent=2) + '\n')


def platform_package(work, dist, stage, version, arch, epoch):
    cpu = CPUS[arch]
    folder = work / f'npm-{arch}'
    for part in ('bin', 'libexec', 'share/perdure'):
        if (stage / part).exists():
            shutil.copytree(stage / part, folder / part)
    # Only npm removes what npm installed.
    (folder / 'libexec/perdure/uninstall').unlink(missing_ok=True)
    documents = stage / 'share/doc/perdure'
    shutil.copy(documents / 'LICENSE', folder / 'LICENSE')
    shutil.copytree(documents / 'licenses', folder / 'licenses')
    put(folder / 'README.md', f'The programs of perdure for Linux on {arch}. Install `perdure`.\n')
    _manifest(folder, name=f'@perdure/linux-{cpu}', version=version, description=f'The programs of perdure for Linux on {arch}',
              license='Apache-2.0', os=['linux'], cpu=[cpu], preferUnplugged=True)
    (dist / f'perdure-linux-{cpu}-{version}.tgz').write_bytes(tar_gz(folder, 'package', epoch, folders=False))


def main_package(work, dist, source, stage, version, archs, epoch):
    folder = work / 'npm'
    put(folder / 'bin/perdure', (source / 'packaging/npm/perdure.sh').read_text(), 0o755)
    pages = sorted((stage / 'share/man').rglob('*.[158]'))
    for page in pages:
        put(folder / 'man' / page.name, page.read_bytes())
    for name in ('README.md', 'LICENSE', 'CHANGELOG.md'):
        shutil.copy(source / name, folder / name)
    # The SDK is the package itself: its manifest says what can be imported.
    sdk = source / 'sdk/node'
    sdk_manifest = json.loads((sdk / 'package.json').read_text())
    for pattern in sdk_manifest['files']:
        for path in sorted(sdk.glob(pattern)):
            put(folder / path.name, path.read_bytes())
    shared = {key: sdk_manifest[key] for key in ('type', 'engines', 'main', 'types', 'exports')}
    _manifest(folder, name='perdure', version=version, description='Durable background tasks for coding agents', license='Apache-2.0', **shared,
              keywords=['mcp', 'mcp-server', 'background', 'tasks', 'agents', 'processes'],
              bin={'perdure': 'bin/perdure'}, man=[f'./man/{page.name}' for page in pages], os=['linux'], cpu=sorted(CPUS[arch] for arch in archs),
              optionalDependencies={f'@perdure/linux-{CPUS[arch]}': version for arch in archs})
    (dist / f'perdure-{version}.tgz').write_bytes(tar_gz(folder, 'package', epoch, folders=False))
