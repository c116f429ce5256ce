#!/usr/bin/env python3
"""tarball_test.py ARCH: the tarball is enough, in a root with busybox only (an aarch64 one under qemu); and it leaves nothing."""
import http.server
import os
import ssl
import subprocess
import sys
import tarfile
import threading

import packages
from packages import check


class Receiver(http.server.BaseHTTPRequestHandler):
    bodies = []

    def do_POST(self):
        self.bodies.append(self.rfile.read(int(self.headers['Content-Length'])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def webhook(root, folder):
    """Names are looked up without the machine's libraries, and certificates found where Fedora keeps them."""
    key, certificate = folder / 'key.pem', folder / 'certificate.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
                   check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    post = ('perdure', 'hook', 'webhook', f'https://localhost:{server.server_port}/', '--retries', '0')
    try:
        refused = root.run(*post, stdin='{"untrusted":1}')
        check(refused.returncode == 1 and 'certificate' in refused.stderr, f'an unknown certificate was taken: {refused}')
        place = root.path / 'etc/pki/tls/certs'
        place.mkdir(parents=True)
        (place / 'ca-bundle.crt').write_bytes(certificate.read_bytes())
        taken = root.run(*post, stdin='{"a":1}')
        check(taken.returncode == 0 and Receiver.bodies == ['{"a":1}'], f'the webhook was not delivered: {taken} {Receiver.bodies}')
    finally:
        server.shutdown()
        server.server_close()


def foreign_modules(root):
    """Modules of another C library, which a static program must not load: whoever opens these hangs."""
    (root.path / 'etc/nsswitch.conf').write_text(
        'passwd: sss files systemd\nhosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n')
    (root.path / 'lib').mkdir(exist_ok=True)
    for module in ('sss', 'systemd', 'mymachines', 'resolve', 'myhostname'):
        os.mkfifo(root.path / f'lib/libnss_{module}.so.2')


def main(arch):
    keep, folder = packages.scratch()
    with keep, tarfile.open(packages.tarball(arch)) as tar:
        root = packages.Root(folder / 'root', arch)
        foreign_modules(root)
        before = {path for path in root.path.rglob('*')}
        where = root.path / 'usr/local'
        where.mkdir()
        for member in tar.getmembers():  # as --strip-components=1 does
            _, _, member.name = member.name.partition('/')
            if member.name:
                tar.extract(member, where)
        packages.use(root)
        packages.handshake(root.start('perdure', '--session', '/tmp/session', 'mcp'))
        webhook(root, folder)
        # Its man pages are those of the program that lies beside them.
        for page in ('man1/perdure.1', 'man5/perdure-config.5', 'man8/perdure-runner.8'):
            told = root.sh(f'perdure __man {page[5:]} | tail -n +4').stdout
            written = (where / 'share/man' / page).read_text().split('\n', 3)
            check(told and told == written[3] if len(written) > 3 else False, f'{page} is not of this program')
        removed = root.run('/usr/local/libexec/perdure/uninstall')
        check(removed.returncode == 0, f'uninstall: {removed}')
        left = sorted(str(path) for path in where.rglob('*'))
        check(not left, f'uninstall left {left}')
        check(before <= {path for path in root.path.rglob('*')}, 'uninstall removed what is not its own')


main(sys.argv[1])
