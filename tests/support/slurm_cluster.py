"""A cluster for tests: a real Slurm from Debian's packages, two nodes, each a machine of its own by namespaces (root)."""
import os
import random
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(os.path.dirname(HERE), 'far', 'cluster')
SBIN = '/usr/sbin:/sbin:'


def can_run():
    found = all(shutil.which(p, path=SBIN + os.environ.get('PATH', '')) for p in ('slurmctld', 'slurmd', 'munged', 'sbatch', 'ip'))
    return os.geteuid() == 0 and found


def need():
    if can_run():
        return
    if os.environ.get('PERDURE_FAR_REQUIRED') == '1':
        raise AssertionError('root and Slurm are needed, and PERDURE_FAR_REQUIRED is set')
    print('skipped: needs root, slurmctld, slurmd, munge and iproute2')
    sys.exit(77)


class Cluster:
    def __init__(self, nodes=2, **settings):
        self.folder = tempfile.mkdtemp(prefix='perdure-slurm-')
        os.chmod(self.folder, 0o755)  # its daemons look at it
        self.shared = os.path.join(self.folder, 'shared')
        os.mkdir(self.shared, 0o700)
        number = random.randint(1, 250)
        self.settings = {'SLURM_TEST_DIR': self.folder, 'ISOLATE': '1', 'NODES': str(nodes),
                         'PORT': str(random.randint(20000, 40000)), 'NET': f'10.{random.randint(80, 120)}.{number}',
                         'BR': f'slp{random.randint(0, 99999)}', **settings}
        self.conf = os.path.join(self.folder, 'slurm.conf')
        try:
            self.script('start.sh')
        except subprocess.CalledProcessError as error:
            self.close()
            raise AssertionError(f'the cluster did not come up: {error.stdout} {error.stderr}') from None

    def environment(self):
        return {**os.environ, **self.settings, 'SLURM_CONF': self.conf, 'PATH': SBIN + os.environ['PATH']}

    def script(self, name, *args, check=True):
        # Its daemons would hold pipes open.
        with tempfile.TemporaryFile('w+') as out:
            done = subprocess.run([os.path.join(SCRIPTS, name), *args], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                  env=self.environment(), check=False, timeout=120)
            out.seek(0)
            text = out.read()
        if check and done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, name, text, text)
        return text

    def machine(self, verb, node, *args, check=True):
        return self.script('machine.sh', verb, str(node), *args, check=check)

    def slurm(self, *args):
        return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment(), check=False,
                              timeout=60).stdout

    def daemon(self, name):
        with open(os.path.join(self.folder, 'run', name + '.pid'), encoding='utf-8') as f:
            return int(f.read())

    def start_controller(self):
        subprocess.run(['slurmctld', '-f', self.conf], env=self.environment(), check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_munge(self):
        d = self.folder
        subprocess.run(['munged', '--force', '--num-threads=10', f'--key-file={d}/munge/munge.key',
                        f'--socket={d}/munge/munge.sock', f'--pid-file={d}/run/munged.pid', f'--log-file={d}/log/munged.log',
                        f'--seed-file={d}/munge/munged.seed'], env=self.environment(), check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def jobs(self):
        return self.slurm('squeue', '-h', '-t', 'all', '-o', '%i %j %T').splitlines()

    def close(self):
        self.script('stop.sh', check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
