#!/usr/bin/env python3
"""V52: the OpenAPI document that `perdure web` serves is valid, by @redocly/cli, and without a warning."""
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'e2e')]
import web_test  # noqa: E402
from node_packages import MODULES, install  # noqa: E402


class Document(web_test.WebTest):
    def test_it_is_valid(self):
        install()
        self.serve()
        document = os.path.join(self.scratch, 'openapi.json')
        with open(document, 'wb') as f:
            f.write(self.ask('GET', '/api/v1/openapi.json').body)

        def lint():
            return subprocess.run([os.path.join(MODULES, '.bin', 'redocly'), 'lint', '--format=stylish', document], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=100, check=False, cwd=self.scratch,
                                  env={**os.environ, 'REDOCLY_TELEMETRY': 'off', 'REDOCLY_SUPPRESS_UPDATE_NOTICE': 'true'})
        done = lint()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIsNone(re.search(r'You have \d+ (warning|error)', done.stdout), done.stdout)
        with open(document, 'w', encoding='ascii') as f:
            f.write('{"openapi":"3.1.0","paths":{}}')
        self.assertNotEqual(lint().returncode, 0, 'a wrong document is told from a right one')


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], 'Document'])
