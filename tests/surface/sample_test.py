#!/usr/bin/env python3
"""Every C++ sample of README.md and docs/ compiles against the headers as they are installed, without a warning of
-Wall -Wextra in the user's own code; so does each header alone, and every options struct in one designated member."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get('PERDURE_SOURCE_DIR', pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get('PERDURE_BUILD_DIR', SOURCE / 'build' / 'dev'))
FLAGS = ['-std=c++23', '-Wall', '-Wextra', '-Werror', '-fsyntax-only']
# What a user names of each: one member, so that -Wextra complains of every other that has no initializer.
OPTIONS = {
    'ManagerOptions': '.session = "s"', 'StartOptions': '.shell_line = "true"', 'ListFilter': '.ended = true',
    'WaitOptions': '.drain = true', 'StopOptions': '.reason = "r"', 'ReconcileOptions': '.queue_only = true',
    'RetentionOptions': '.dry_run = true', 'ClaimOptions': '.most = 1', 'AwaitOptions': '.recovers = true',
    'AskOptions': '.description = "d"', 'InProcessOptions': '.description = "d"', 'AgentOptions': '.agent = "a"',
    'Hook': '.command = "c"', 'AgentDefinition': '.name = "n"', 'ExecutorDefinition': '.name = "n"',
    'Question': '.text = "t"', 'Choice': '.label = "l"', 'Answer': '.note = "n"', 'TaskResult': '.succeeded = false',
    'TerminalSize': '.rows = 1',
}


def samples():
    """(file, code) of each block that is marked cpp."""
    for page in [SOURCE / 'README.md', *sorted((SOURCE / 'docs').rglob('*.md'))]:
        for code in re.findall(r'^```cpp\n(.*?)^```', page.read_text(), re.M | re.S):
            yield page.relative_to(SOURCE), code


def as_program(code):
    """A block as a translation unit: its includes first, the rest as the body of main() unless it has one."""
    if re.search(r'\bint main\(', code):
        return code
    lines = code.splitlines()
    includes = [line for line in lines if line.startswith('#include')]
    body = [line for line in lines if not line.startswith('#include')]
    return '\n'.join([*includes, 'int main() {', *body, '}', ''])


class Samples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='sample-')
        cls.addClassCleanup(cls.folder.cleanup)
        cls.prefix = pathlib.Path(cls.folder.name, 'prefix')
        subprocess.run(['cmake', '--install', BUILD, '--prefix', cls.prefix, '--component', 'dev'], check=True,
                       stdout=subprocess.DEVNULL)
        cache = (BUILD / 'CMakeCache.txt').read_text()
        cls.compiler = re.search(r'^CMAKE_CXX_COMPILER:\w+=(.*)$', cache, re.M).group(1)

    def complaints(self, code):
        # -isystem would hide what the headers do to a user's warnings.
        return subprocess.run([self.compiler, *FLAGS, f'-I{self.prefix}/include', '-x', 'c++', '-'], input=code,
                              capture_output=True, text=True).stderr

    def test_the_readme_has_a_sample(self):
        self.assertIn(pathlib.Path('README.md'), [page for page, _ in samples()])

    def test_samples_compile_without_a_warning(self):
        for page, code in samples():
            with self.subTest(page=str(page)):
                self.assertEqual(self.complaints(as_program(code)), '')

    def test_every_options_struct_is_initialised(self):
        body = ''.join(f'  perdure::{name} {name.lower()}{{{member}}};\n  (void){name.lower()};\n'
                       for name, member in OPTIONS.items())
        includes = '#include <perdure/config.h>\n#include <perdure/manager.h>\n'
        self.assertEqual(self.complaints(f'{includes}int main() {{\n{body}}}\n'), '')

    def test_a_member_without_an_initializer_would_be_seen(self):
        self.assertIn('missing initializer', self.complaints(
            '#include <string>\nstruct Bare { int a = 0; std::string b; };\nint main() { Bare b{.a = 1}; (void)b; }\n'))

    def test_each_header_compiles_alone(self):
        for header in sorted((self.prefix / 'include/perdure').glob('*.h')):
            with self.subTest(header=header.name):
                self.assertEqual(self.complaints(f'#include <perdure/{header.name}>\n'), '')


if __name__ == '__main__':
    unittest.main()
