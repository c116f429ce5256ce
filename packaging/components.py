"""What is linked into the programs, where its licence is, and which version of it was used."""
import pathlib
import re
import subprocess

# name, Debian package that was linked or included (x86_64, aarch64), licence, home page, linked into
_TABLE = [
    ('glibc', 'libc6-dev', 'libc6-dev-arm64-cross', 'LGPL-2.1-or-later', 'https://www.gnu.org/software/libc/',
     ('perdure', 'perdure-webhook')),
    ('libstdc++', 'libstdc++-12-dev', 'libstdc++-12-dev-arm64-cross', 'GPL-3.0-or-later WITH GCC-exception-3.1',
     'https://gcc.gnu.org/', ('perdure', 'perdure-webhook')),
    ('libgcc', 'libgcc-12-dev', 'libgcc-12-dev-arm64-cross', 'GPL-3.0-or-later WITH GCC-exception-3.1',
     'https://gcc.gnu.org/', ('perdure', 'perdure-runner', 'perdure-webhook')),
    ('musl', 'musl-dev', 'musl-dev:arm64', 'MIT', 'https://musl.libc.org/', ('perdure-runner',)),
    ('Boost', 'libboost1.81-dev', 'libboost1.81-dev', 'BSL-1.0', 'https://www.boost.org/', ('perdure', 'perdure-webhook')),
    ('fmt', 'libfmt-dev', 'libfmt-dev', 'MIT', 'https://fmt.dev/', ('perdure', 'perdure-webhook')),
    ('CLI11', 'libcli11-dev', 'libcli11-dev', 'BSD-3-Clause', 'https://github.com/CLIUtils/CLI11', ('perdure',)),
    ('toml++', 'libtomlplusplus-dev', 'libtomlplusplus-dev', 'MIT', 'https://github.com/marzer/tomlplusplus', ('perdure',)),
    ('OpenSSL', 'libssl-dev', 'libssl-dev:arm64', 'Apache-2.0', 'https://www.openssl.org/', ('perdure-webhook',)),
]

# Texts that the copyright files of Debian only refer to.
_COMMON = pathlib.Path('/usr/share/common-licenses')


class Component:
    def __init__(self, name, package, licence, home, programs):
        self.name, self.package, self.licence, self.home, self.programs = name, package, licence, home, programs
        shown = subprocess.run(['dpkg-query', '-W', '-f', '${Version} ${source:Package} (= ${source:Version})\n', package],
                               capture_output=True, text=True, check=False)
        if shown.returncode != 0:
            raise SystemExit(f'package: the Debian package {package} is not installed')
        self.version, self.source = shown.stdout.split('\n')[0].split(' ', 1)  # source: as Built-Using has it

    @property
    def text(self):
        path = pathlib.Path('/usr/share/doc', self.package.split(':')[0], 'copyright')
        if not path.exists():
            raise SystemExit(f'package: {path}: the licence of {self.name} is missing; is dpkg told to leave documentation out?')
        return path.read_text()


def components(arch):
    return [Component(name, {'x86_64': native, 'aarch64': cross}[arch], licence, home, programs)
            for name, native, cross, licence, home, programs in _TABLE]


def licence_texts(parts):
    """File name -> text: of each component, and of the common licences that these refer to."""
    texts = {f'{part.name}.txt': part.text for part in parts}
    wanted = {found for text in texts.values() for found in re.findall(r'/usr/share/common-licenses/([A-Za-z]+(?:-[0-9.]*[0-9])?)', text)}
    for name in sorted(wanted):
        path = _COMMON / name
        if path.exists():
            texts[f'common-{path.resolve().name}.txt'] = path.read_text()
    lines = ['Perdure is under the Apache License 2.0 (LICENSE). Its programs contain, linked statically:', '']
    lines += [f'{part.name} {part.version}: {part.licence}, in {", ".join(part.programs)}; {part.name}.txt' for part in parts]
    lines += ['', 'common-*.txt are licences that the other files refer to. The GNU C Library is under the LGPL: the source of',
              'Perdure, its build files and the Debian packages named here are all that is needed to link the programs',
              'with another version of it (./dev package).', '']
    texts['README.txt'] = '\n'.join(lines)
    return texts
