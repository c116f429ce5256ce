"""A file system served by this process through /dev/fuse: a folder, shown as another user's or as another machine would.

Only what looking at a session and making folders need. Python's threads serve it; nothing of libfuse is used.
"""
import ctypes
import errno
import os
import stat
import struct
import threading

LOOKUP, FORGET, GETATTR, MKDIR, UNLINK, RMDIR, OPEN, READ, STATFS, RELEASE, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, BATCH_FORGET = \
    1, 2, 3, 9, 10, 11, 14, 15, 17, 18, 26, 27, 28, 29, 34, 42
SILENT = (FORGET, BATCH_FORGET)
HEADER = struct.Struct('<IIQQIIIHH')


class Fuse:
    """Shows `folder` at `path`. `owner`: whom all files belong to, as a server with root_squash has it; None: as they are."""

    def __init__(self, folder, path, owner=None):
        self.path, self.owner = path, owner
        self.nodes, self.numbers = {1: folder}, {folder: 1}
        self.fd = os.open('/dev/fuse', os.O_RDWR)
        options = f'fd={self.fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},default_permissions,allow_other'
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b'perdure-test', path.encode(), b'fuse', 0, options.encode()) != 0:
            error = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(error, os.strerror(error))
        self.libc = libc
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.libc.umount2(self.path.encode(), 2)
        self.thread.join(10)
        os.close(self.fd)

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 17)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return  # unmounted
            _, opcode, unique, node, *_ = HEADER.unpack_from(request)
            try:
                answer, error = self.answer(opcode, self.nodes.get(node, ''), request[HEADER.size:]), 0
            except OSError as e:
                answer, error = b'', e.errno
            if opcode not in SILENT:
                try:
                    os.write(self.fd, struct.pack('<IiQ', 16 + len(answer), -error, unique) + answer)
                except OSError:
                    pass

    def number(self, path):
        if path not in self.numbers:
            self.numbers[path] = len(self.nodes) + 1
            self.nodes[self.numbers[path]] = path
        return self.numbers[path]

    def attributes(self, path):
        about = os.lstat(path)
        uid = about.st_uid if self.owner is None else self.owner
        seconds = [int(t) for t in (about.st_atime, about.st_mtime, about.st_ctime)]
        return struct.pack('<QQQQQQIIIIIIIIII', about.st_ino, about.st_size, about.st_blocks, *seconds, 0, 0, 0, about.st_mode, about.st_nlink,
                           uid, uid, 0, 4096, 0)

    def entry(self, path):
        return struct.pack('<QQQQII', self.number(path), 0, 0, 0, 0, 0) + self.attributes(path)

    def answer(self, opcode, path, body):
        def name(skip=0):
            return os.path.join(path, body[skip:].split(b'\0')[0].decode())
        if opcode == INIT:
            return struct.pack('<IIIIHHIIHHI7I', 7, 31, 65536, 0, 12, 10, 65536, 1, 32, 0, 0, *[0] * 7)
        if opcode == LOOKUP:
            return self.entry(name())
        if opcode == GETATTR:
            return struct.pack('<QII', 0, 0, 0) + self.attributes(path)
        if opcode == MKDIR:
            os.mkdir(name(8), struct.unpack_from('<I', body)[0] & 0o7777)
            return self.entry(name(8))
        if opcode in (UNLINK, RMDIR):
            (os.unlink if opcode == UNLINK else os.rmdir)(name())
            return b''
        if opcode in (OPEN, OPENDIR):
            if opcode == OPEN and struct.unpack_from('<I', body)[0] & os.O_ACCMODE != os.O_RDONLY:
                raise OSError(errno.EROFS, 'read only')
            return struct.pack('<QII', 0, 1 if opcode == OPEN else 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from('<QQI', body)
            with open(path, 'rb') as f:
                f.seek(offset)
                return f.read(size)
        if opcode == READDIR:
            _, offset, size = struct.unpack_from('<QQI', body)
            return self.entries(path, offset, size)
        if opcode == STATFS:
            return struct.pack('<QQQQQIIII6I', 1 << 20, 1 << 19, 1 << 19, 1 << 16, 1 << 15, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (RELEASE, RELEASEDIR, ACCESS, *SILENT):
            return b''
        raise OSError(errno.ENOSYS, 'not served')

    def entries(self, path, offset, size):
        data = b''
        for i, name in enumerate(['.', '..', *sorted(os.listdir(path))]):
            if i < offset:
                continue
            whole = path if name in ('.', '..') else os.path.join(path, name)
            encoded = name.encode()
            one = struct.pack('<QQII', self.number(whole), i + 1, len(encoded), stat.S_IFMT(os.lstat(whole).st_mode) >> 12) + encoded
            one += b'\0' * (-len(one) % 8)
            if len(data) + len(one) > size:
                break
            data += one
        return data
