"""The packages that `./dev package` wrote, and roots of their own to try them in."""
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ.get('PERDURE_SOURCE_DIR') or pathlib.Path(__file__).resolve().parents[2])
DIST = pathlib.Path(os.environ.get('PERDURE_DIST') or SOURCE / 'dist')
VERSION = re.search(r'project\(perdure VERSION ([0-9.]+)', (SOURCE / 'CMakeLists.txt').read_text()).group(1)
NATIVE = platform.machine()
SKIPPED = 77


def skip(why):
    """Ends the test as skipped; as failed where the packages must be there (CI)."""
    print(why, file=sys.stderr)
    sys.exit(1 if os.environ.get('PERDURE_PACKAGES') == 'required' else SKIPPED)


def package(name):
    path = DIST / name
    if not path.exists():
        skip(f'{path}: not there; `./dev package` makes it')
    return path


def tarball(arch):
    return package(f'perdure-{VERSION}-linux-{arch}.tar.gz')


def scratch():
    folder = tempfile.TemporaryDirectory(prefix='perdure-package-', ignore_cleanup_errors=True)
    return folder, pathlib.Path(folder.name)


def check(holds, what):
    if not holds:
        raise SystemExit(f'{pathlib.Path(sys.argv[0]).name}: {what}')


# Runs in a user, mount and process namespace of its own: as root of them, and nothing of it is left afterwards.
_ENTER = r'''
set -e
root=$1; shift
if [ "$1" = aarch64 ]; then
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  printf %s ":perdure-aarch64:M::$magic:$mask:/usr/bin/qemu-aarch64-static:F" > /proc/sys/fs/binfmt_misc/register
fi
shift
mount -t proc proc "$root/proc"
for device in null zero urandom tty; do
  [ -e "/dev/$device" ] || continue
  mount --bind "/dev/$device" "$root/dev/$device"
done
exec chroot "$root" /bin/busybox env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin TERM=dumb "$@"
'''


class Root:
    """A root with busybox, /proc and a few devices, and nothing else."""

    def __init__(self, folder, arch):
        self.path, self.arch = folder, arch
        busybox = shutil.which('busybox')
        if busybox is None:
            skip('there is no busybox: install busybox-static')
        for part in ('bin', 'usr/bin', 'proc', 'dev', 'tmp', 'root', 'etc'):
            (folder / part).mkdir(parents=True, exist_ok=True)
        shutil.copy(busybox, folder / 'bin/busybox')
        for name in subprocess.run([busybox, '--list'], capture_output=True, text=True, check=True).stdout.split():
            link = folder / 'bin' / name
            if not link.exists():
                link.symlink_to('busybox')
        for name in ('null', 'zero', 'urandom', 'tty'):  # the devices are mounted onto these
            (folder / 'dev' / name).touch()
        (folder / 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\n')
        (folder / 'etc/hosts').write_text('127.0.0.1 localhost\n')

    def _command(self, command):
        # Ends with this test, however that ends.
        return ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', _ENTER, 'enter',
                self.path, self.arch if self.arch != NATIVE else 'native', *command]

    def run(self, *command, stdin=''):
        return subprocess.run(self._command(command), input=stdin, capture_output=True, text=True, timeout=120, check=False)

    def sh(self, script):
        return self.run('sh', '-c', script)

    def start(self, *command):
        return subprocess.Popen(self._command(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# What a person does with a fresh installation. Each line that it prints is checked below.
_USE = r'''
export PERDURE_SESSION=/tmp/session
perdure version
id=$(perdure run -c 'echo hello from a task; exit 3') || exit 1
perdure wait "$id" > /dev/null; echo "wait: $?"
perdure list --all | grep -c "$id.*failed.*3"
perdure output "$id"
long=$(perdure run -- sleep 1000) || exit 1
perdure stop "$long" > /dev/null; echo "stop: $?"
perdure wait "$long" > /dev/null; echo "stopped: $?"
perdure doctor > /tmp/doctor; echo "doctor: $?"
'''


def use(root):
    """A task to its end, its output, a stop, doctor."""
    done = root.sh(_USE)
    expected = [f'perdure {VERSION}', 'wait: 3', '1', 'hello from a task', 'stop: 0', 'stopped: 143', 'doctor: 0']
    if done.stdout.splitlines() != expected:
        doctor = root.path / 'tmp/doctor'
        raise SystemExit(f'expected {expected}, got {done.stdout.splitlines()}\n{done.stderr}\n'
                         f'{doctor.read_text() if doctor.exists() else ""}')


def handshake(process):
    """An MCP conversation: initialize, the list of tools, a command in the foreground. Ends the server."""
    def ask(number, method, **params):
        process.stdin.write(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params}) + '\n')
        process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            if message.get('id') == number and 'method' not in message:
                check('result' in message, f'{method}: {message}')
                return message['result']
        raise SystemExit(f'{method}: the server ended')

    result = ask(1, 'initialize', protocolVersion='2025-11-25', capabilities={}, clientInfo={'name': 'package-test', 'version': '1'})
    check(result['serverInfo']['version'] == VERSION, f'initialize: {result}')
    process.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    tools = {tool['name'] for tool in ask(2, 'tools/list')['tools']}
    check({'Bash', 'TaskOutput'} <= tools, f'tools/list: {tools}')
    answer = ask(3, 'tools/call', name='Bash', arguments={'command': 'echo $((6 * 7))', 'description': 'multiply'})
    check('42' in json.dumps(answer['content']), f'Bash: {answer}')
    process.stdin.close()
    check(process.wait(60) == 0, f'the server ended with {process.returncode}')
    process.stdout.close()
