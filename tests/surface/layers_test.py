"""tools/check_layers.py finds what the declared layers and rooms forbid, and nothing in the tree as it is."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ['PERDURE_SOURCE_DIR'])
LAYERS = pathlib.Path(os.environ['PERDURE_BUILD_DIR']) / 'layers.txt'
CHECK = SOURCE / 'tools' / 'check_layers.py'


def check(src):
    return subprocess.run([sys.executable, CHECK, LAYERS, src], capture_output=True, text=True)


class Layers(unittest.TestCase):
    def planted(self, file, include):
        with tempfile.TemporaryDirectory() as src:
            path = pathlib.Path(src, file)
            path.parent.mkdir(parents=True)
            path.write_text(f'#include "{include}"\n')
            return check(src)

    def test_the_tree_obeys(self):
        done = check(SOURCE / 'src')
        self.assertEqual((done.returncode, done.stdout), (0, ''))

    def test_an_include_of_a_higher_layer_is_found(self):
        done = self.planted('store/session.cpp', 'manager/link/program.h')
        self.assertEqual(done.returncode, 1)
        self.assertIn('store/ may not include manager/', done.stdout)

    def test_an_include_of_a_higher_room_is_found(self):
        done = self.planted('manager/link/spawn.cpp', 'manager/actions/launch.h')
        self.assertEqual(done.returncode, 1)
        self.assertIn('manager/link/ may not include manager/actions/', done.stdout)

    def test_an_include_of_a_layers_top_from_its_room_is_found(self):
        done = self.planted('runner/output/log.cpp', 'runner/run.h')
        self.assertEqual(done.returncode, 1)
        self.assertIn('may not include the top of runner/', done.stdout)

    def test_a_private_header_of_another_layer_is_found(self):
        done = self.planted('cli/verbs/run.cpp', 'manager/status/assess.h')
        self.assertEqual(done.returncode, 1)
        self.assertIn('manager/status/assess.h is private to manager/', done.stdout)

    def test_an_exported_header_may_be_included(self):
        done = self.planted('cli/verbs/agents.cpp', 'manager/link/program.h')
        self.assertEqual((done.returncode, done.stdout), (0, ''))

    def test_a_room_that_was_not_declared_is_found(self):
        done = self.planted('manager/attic/old.cpp', 'base/error.h')
        self.assertEqual(done.returncode, 1)
        self.assertIn('declare it with room()', done.stdout)


if __name__ == '__main__':
    unittest.main()
