"""The Debian packages: perdure (static programs, so that one package serves every release of Debian and Ubuntu) and perdure-dev."""
import datetime
import email.utils
import hashlib
import os
import re
import shutil
import subprocess

from archive import gzipped, normalise, put

ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64'}
MAINTAINER = 'Perdure developers <perdure@example.org>'

_COPYRIGHT = '''Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: perdure

Files: *
Copyright: 2025-2026 the Perdure authors
License: Apache-2.0
 On Debian systems the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
'''

_PERDURE = '''Package: perdure
Version: {version}
Section: utils
Priority: optional
Architecture: {arch}
Multi-Arch: foreign
Maintainer: {maintainer}
Installed-Size: {size}
Recommends: ca-certificates
Suggests: libnotify-bin
Built-Using: {built_using}
Description: durable background tasks for coding agents
 Perdure starts commands as tasks that outlive the program, the terminal and
 the agent that started them. Their output, exit status and outcome are kept
 in files and can be read by any process later. There is no daemon.
 .
 It is a command line program and a server of the Model Context Protocol.
'''

_DEV = '''Package: perdure-dev
Source: perdure
Version: {version}
Section: libdevel
Priority: optional
Architecture: {arch}
Multi-Arch: same
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}, perdure (= {version})
Description: durable background tasks for coding agents: library and headers
 Perdure starts commands as tasks that outlive the program, the terminal and
 the agent that started them.
 .
 This package holds libperdure with its headers, for C++23 programs that start
 and watch tasks themselves.
'''

# The release of a library's package that brought a version of its symbols.
_CXX = {30: '12', 31: '13.1', 32: '13.2', 33: '14'}


def _newest(library, prefix):
    """The highest version of `prefix` symbols that it asks for, as a tuple; None: none."""
    shown = subprocess.run(['readelf', '-V', '--wide', library], capture_output=True, text=True, check=True).stdout
    needs = shown[shown.index('Version needs section'):]
    versions = [tuple(map(int, found.split('.'))) for found in re.findall(rf'Name: {prefix}_([0-9.]+)', needs)]
    return max(versions, default=None)


def _depends(library):
    libc = _newest(library, 'GLIBC')
    cxx = _newest(library, 'GLIBCXX')
    depends = [f'libc6 (>= {".".join(map(str, libc))})', 'libgcc-s1 (>= 4)']
    if cxx:
        depends.append(f'libstdc++6 (>= {_CXX.get(cxx[2], "11")})')
    return ', '.join(depends)


def _changelog(version, epoch):
    date = email.utils.format_datetime(datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc))
    return f'perdure ({version}) unstable; urgency=medium\n\n  * Release {version}; CHANGELOG.md tells what is new.\n\n -- {MAINTAINER}  {date}\n'


def _finish(root, control, target, epoch, scripts=()):
    """Compresses what Debian has compressed, writes DEBIAN/ and packs `root`."""
    for page in sorted(root.glob('usr/share/man/man*/*.[1-8]')):
        put(page.with_name(page.name + '.gz'), gzipped(page.read_bytes()))
        page.unlink()
    files = [path for path in sorted(root.rglob('*')) if path.is_file() and not path.is_symlink()]
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    put(root / 'DEBIAN/control', control.format(size=size))
    put(root / 'DEBIAN/md5sums', ''.join(f'{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n' for path in files))
    for name, text in scripts:
        put(root / 'DEBIAN' / name, text)
    normalise(root, epoch)
    subprocess.run(['dpkg-deb', '--root-owner-group', '--threads-max=1', '-Zxz', '--build', root, target], check=True,
                   env={**os.environ, 'SOURCE_DATE_EPOCH': str(epoch)}, stdout=subprocess.DEVNULL)


def perdure(work, dist, stage, version, arch, epoch, parts):
    root = work / f'deb-{arch}'
    shutil.copytree(stage, root / 'usr', symlinks=True)
    documents = root / 'usr/share/doc/perdure'
    for name in ('LICENSE', 'manifest', 'perdure.spdx.json'):
        (documents / name).unlink(missing_ok=True)
    (root / 'usr/libexec/perdure/uninstall').unlink(missing_ok=True)
    # Where Debian's zsh looks for what packages bring.
    zsh = root / 'usr/share/zsh'
    (zsh / 'site-functions').rename(zsh / 'vendor-completions')
    put(documents / 'copyright', _COPYRIGHT + '\nComment: The programs are linked statically; licenses/ has the licences of what is in them.\n')
    put(documents / 'NEWS.gz', gzipped((documents / 'CHANGELOG.md').read_bytes()))
    (documents / 'CHANGELOG.md').unlink()
    put(documents / 'changelog.gz', gzipped(_changelog(version, epoch).encode()))
    put(root / 'usr/share/lintian/overrides/perdure', OVERRIDES)
    built_using = ', '.join(sorted({part.source for part in parts if part.source}))
    control = _PERDURE.format(version=version, arch=ARCHITECTURES[arch], maintainer=MAINTAINER, size='{size}', built_using=built_using)
    _finish(root, control, dist / f'perdure_{version}_{ARCHITECTURES[arch]}.deb', epoch)


OVERRIDES = '''# One package for every release of Debian and Ubuntu, and runners that outlive an upgrade of the machine's libraries.
perdure: statically-linked-binary [usr/bin/perdure]
perdure: statically-linked-binary [usr/libexec/perdure/perdure-runner]
perdure: statically-linked-binary [usr/libexec/perdure/perdure-webhook]
'''


def perdure_dev(work, dist, stage, version, arch, epoch):
    root = work / f'deb-dev-{arch}'
    shutil.copytree(stage, root / 'usr', symlinks=True)
    documents = root / 'usr/share/doc/perdure-dev'
    put(documents / 'copyright', _COPYRIGHT)
    put(documents / 'changelog.gz', gzipped(_changelog(version, epoch).encode()))
    library = next(path for path in root.glob('usr/lib/*/libperdure.so.*') if not path.is_symlink())
    soname = re.search(r'SONAME.*\[libperdure\.so\.(.*)\]',
                       subprocess.run(['readelf', '-d', library], capture_output=True, text=True, check=True).stdout).group(1)
    control = _DEV.format(version=version, arch=ARCHITECTURES[arch], maintainer=MAINTAINER, size='{size}', depends=_depends(library))
    _finish(root, control, dist / f'perdure-dev_{version}_{ARCHITECTURES[arch]}.deb', epoch,
            [('shlibs', f'libperdure {soname} perdure-dev (= {version})\n'), ('triggers', 'activate-noawait ldconfig\n')])
