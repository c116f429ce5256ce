"""The official conformance suite of MCP against `perdure mcp`: nothing may fail, and nothing is expected to."""
import glob
import json
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
sys.path.insert(0, HERE)
import node_tools  # noqa: E402
from session import PERDURE, SessionTest  # noqa: E402

OLD = os.path.join(node_tools.MODULES, 'conformance-1', 'dist', 'index.js')
NEW = os.path.join(node_tools.MODULES, 'conformance-2', 'dist', 'index.js')
TASKS = ['tasks-lifecycle', 'tasks-capability-negotiation', 'tasks-wire-fields', 'tasks-request-state-removal', 'tasks-mrtr-input',
         'tasks-request-headers', 'tasks-dispatch-and-envelope', 'tasks-status-notifications', 'tasks-required-task-error',
         'tasks-mrtr-composition']
# These look at headers, which a bridge would have to check: there it is not the server that is tested.
OF_HTTP = {'tasks-request-headers'}


def setUpModule():
    node_tools.install()


class Conformance(SessionTest):
    def setUp(self):
        super().setUp()
        self.server = None

    def tearDown(self):
        if self.server is not None:
            self.server.terminate()
            self.server.wait(timeout=30)
            self.server.stderr.close()
        self.perdure('stop', '--all', '--grace', '0')
        super().tearDown()

    def serve(self):
        """Starts the server over HTTP; its URL."""
        self.server = subprocess.Popen([PERDURE, '--session', self.session, 'mcp', '--http', '127.0.0.1:0', '--no-auth',
                                        '--conformance-fixtures'], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return re.search(r'http://\S+', self.server.stderr.readline()).group(0)

    def serve_stdio(self):
        """The same over pipes, behind the bridge that makes HTTP of them."""
        bridge = os.path.join(HERE, 'stdio-http-bridge.mjs')
        self.server = subprocess.Popen([node_tools.NODE, bridge, '0', '--', PERDURE, '--session', self.session, 'mcp',
                                        '--conformance-fixtures'], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return f'http://127.0.0.1:{re.search("[0-9]+$", self.server.stderr.readline().strip()).group(0)}/mcp'

    def run_suite(self, suite, url, *options):
        results = os.path.join(self.scratch, 'results')
        done = node_tools.node(suite, 'server', '--url', url, '-o', results, *options, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        checks = []
        for path in glob.glob(os.path.join(results, '**', 'checks.json'), recursive=True):
            with open(path, encoding='utf-8') as f:
                checks += json.load(f)
        bad = [check for check in checks if check['status'] in ('FAILURE', 'WARNING')]
        self.assertEqual(bad, [], json.dumps(bad, indent=1)[:6000])
        return checks, done.stdout

    def test_suite_0_1(self):
        _, out = self.run_suite(OLD, self.serve())
        self.assertRegex(out, r'Total: \d\d passed, 0 failed')

    def test_requirements_of_2025_11_25(self):
        checks, _ = self.run_suite(NEW, self.serve(), '--requirements', '2025-11-25')
        self.assertGreater(len(checks), 80)

    def test_requirements_of_2026_07_28(self):
        checks, _ = self.run_suite(NEW, self.serve(), '--requirements', '2026-07-28')
        self.assertGreater(len(checks), 180)

    def test_tasks_over_http(self):
        url = self.serve()
        for scenario in TASKS:
            with self.subTest(scenario):
                self.run_suite(NEW, url, '--scenario', scenario, '--spec-version', '2026-07-28', '--force')

    def test_tasks_over_stdio(self):
        url = self.serve_stdio()
        for scenario in TASKS:
            if scenario not in OF_HTTP:
                with self.subTest(scenario):
                    self.run_suite(NEW, url, '--scenario', scenario, '--spec-version', '2026-07-28', '--force')


if __name__ == '__main__':
    unittest.main()
