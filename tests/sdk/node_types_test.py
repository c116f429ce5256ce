#!/usr/bin/env python3
"""V52: tsc compiles what uses the declarations, and the examples. TypeScript is installed into the build folder."""
import json
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from node_packages import FOLDER, MODULES, SOURCE, install  # noqa: E402


class Types(unittest.TestCase):
    def setUp(self):
        install()
        self.program = os.path.join(FOLDER, 'program')
        shutil.rmtree(self.program, ignore_errors=True)
        os.makedirs(os.path.join(self.program, 'tests'))
        modules = os.path.join(self.program, 'node_modules')
        os.mkdir(modules)
        # As published: in node_modules, without the sources around it.
        shutil.copytree(os.path.join(SOURCE, 'sdk', 'node'), os.path.join(modules, 'perdure'))
        shutil.copytree(os.path.join(SOURCE, 'sdk', 'node'), os.path.join(self.program, 'sdk', 'node'))
        shutil.copytree(os.path.join(SOURCE, 'examples', 'node'), os.path.join(self.program, 'examples', 'node'))
        os.symlink(os.path.join(MODULES, '@types'), os.path.join(modules, '@types'))
        os.symlink(os.path.join(MODULES, 'undici-types'), os.path.join(modules, 'undici-types'))

    def compile(self, files, **options):
        with open(os.path.join(self.program, 'tsconfig.json'), 'w', encoding='utf-8') as f:
            json.dump({'compilerOptions': {'strict': True, 'noEmit': True, 'module': 'nodenext', 'target': 'es2022', 'skipLibCheck': False,
                                           'lib': ['es2023', 'esnext.disposable'], 'types': ['node'], **options}, 'files': files}, f)
        return subprocess.run(['node', os.path.join(MODULES, 'typescript', 'bin', 'tsc'), '-p', self.program], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200, check=False)

    def test_programs_that_use_it(self):
        for name in ('types.mts', 'types.cts'):
            shutil.copy(os.path.join(HERE, 'node', name), os.path.join(self.program, 'tests'))
        done = self.compile(['tests/types.mts', 'tests/types.cts'])
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_examples(self):
        done = self.compile(['examples/node/agent-loop.mjs', 'examples/node/build-server.mjs'], allowJs=True, checkJs=True, strict=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_wrong_program_is_refused(self):
        with open(os.path.join(self.program, 'tests', 'wrong.mts'), 'w', encoding='utf-8') as f:
            f.write("import { Perdure } from 'perdure';\nconst p = await Perdure.open();\np.frob();\n")
        done = self.compile(['tests/wrong.mts'])
        self.assertIn("'frob'", done.stdout)


if __name__ == '__main__':
    unittest.main()
