"""A cluster behind a login host: ssh to it, Slurm from there, with one command here."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import far_host  # noqa: E402
import slurm_cluster  # noqa: E402
from session import SessionTest, eventually  # noqa: E402

CLUSTER = HOST = None


def setUpModule():
    global CLUSTER, HOST
    far_host.need()
    slurm_cluster.need()
    CLUSTER = slurm_cluster.Cluster()
    HOST = far_host.FarHost('login1', SLURM_CONF=CLUSTER.conf)
    os.makedirs(os.path.join(HOST.home, '.config/perdure'))
    with open(os.path.join(HOST.home, '.config/perdure/config.toml'), 'w', encoding='utf-8') as f:
        f.write(f'[executors.slurm]\ntype = "slurm"\nfolder = "{CLUSTER.shared}"\n')


def tearDownModule():
    for one in (HOST, CLUSTER):
        if one is not None:
            one.close()


class Both(far_host.FarTest, SessionTest):
    executor = 'on = "slurm"\n'

    def setUp(self):
        self.host = HOST
        super().setUp()

    def test_a_job_behind_a_login_host_comes_back_whole(self):
        task = self.far('echo on $(uname -n) as $SLURM_JOB_ID; exit 4', '--cwd', '/', '--cpus', '2', '--owner', 'main')
        self.perdure('wait', task, check=4)
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode']), ('failed', 4))
        self.assertRegex(self.log(task).decode(), r'^on n[12] as \d+\n$')
        self.assertIn(record['executor']['node'], ('n1', 'n2'))
        told = json.loads(self.perdure('notifications', '--owner', 'main', '--wait', '--timeout', '20s', '--json', check=0).stdout)
        self.assertIn(task, json.dumps(told))

    def test_one_that_waits_there_is_queued_here_with_the_engines_reason(self):
        task = self.far('true', '--cwd', '/', '--executor-option', '--hold')

        def reason():
            self.perdure('list', '--refresh')
            return self.json('show', task)['executor'].get('reason') == 'JobHeldUser'
        eventually(reason, 'the reason is here', 60)
        self.assertEqual(self.json('show', task)['status'], 'queued')
        self.perdure('stop', task, '--reason', 'not needed', check=0)
        self.assertEqual((self.record(task)['status'], self.record(task)['stopReason']), ('killed', 'not needed'))

    def test_a_stop_reaches_the_node(self):
        task = self.far('sleep 100', '--cwd', '/')

        def runs():
            self.perdure('list', '--refresh')
            return self.json('show', task)['status'] == 'running'
        eventually(runs, 'it runs', 60)
        self.perdure('stop', task, '--reason', 'enough', check=0)
        self.assertEqual((self.record(task)['status'], self.record(task)['stopReason']), ('killed', 'enough'))


if __name__ == '__main__':
    unittest.main()
