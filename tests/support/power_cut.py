"""What a power cut may leave of a folder, from the calls that changed it.

`record` runs a shell script under strace; `History` replays its calls on a model of names and inodes; `states(k)` are
what a file system may leave when the power goes right behind the k-th call. Two kinds of file system:

- fsynced: only what was fsynced is sure, a file's data by fsync of the file and a name by fsync of its folder (D01). All
  else may be there or not, each change for itself and in any order.
- ordered: one journal, as ext4 has. Names appear in the order in which they were made, and any fsync makes all names before
  it durable. Data that was not fsynced may be missing, wholly or its second half.
"""
import collections
import itertools
import os
import re
import shutil
import subprocess

STRACE = shutil.which('strace')
CALLS = ('open,openat,creat,mknod,mknodat,mkdir,mkdirat,write,pwrite64,writev,pwritev,ftruncate,truncate,fsync,fdatasync,rename,renameat,renameat2,link,'
         'linkat,unlink,unlinkat,rmdir')
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
PATH = re.compile(r'<((?:\\x[0-9a-f]{2}|[^>\\])*)>')


def unhex(text):
    return bytes.fromhex(text.replace('\\x', '')) if text.startswith('\\x') else text.encode()


def record(script, trace, env, seconds=120):
    return subprocess.run([STRACE, '-f', '--seccomp-bpf', '-y', '-xx', '-qq', '-s', '4000000', '-e', 'signal=none', '-e', 'trace=' + CALLS,
                           '-o', trace, '/bin/sh', '-euc', script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=env, timeout=seconds, check=False)


def calls_in(trace):
    """(call, its arguments as text, result) of all that succeeded, in the order in which they returned."""
    begun = {}
    with open(trace, encoding='ascii', errors='replace') as f:
        for line in f:
            pid, _, rest = line.rstrip('\n').partition(' ')
            rest = rest.lstrip()
            if rest.endswith(' <unfinished ...>'):
                begun[pid] = rest[:-len(' <unfinished ...>')]
                continue
            if match := re.match(r'<\.\.\. \w+ resumed>', rest):
                rest = begun.pop(pid) + rest[match.end():]
            if not (match := re.match(r'(\w+)\((.*)\)\s+= (\d+)', rest)):
                continue
            yield match[1], match[2], int(match[3])


class Inode:
    def __init__(self, number, is_folder):
        self.number, self.is_folder = number, is_folder
        self.data = [(0, b'')]  # (at which call, content)
        self.synced = []  # at which calls
        self.names = collections.defaultdict(list)  # of a folder: name -> (at which call, Inode or None)

    def synced_by(self, k):
        return max((at for at in self.synced if at <= k), default=0)

    def content(self, k):
        return next(data for at, data in reversed(self.data) if at <= k)


class History:
    """Of all that lies below `root`, which is durable itself and empty at first. `marks`: files whose making is noted, not modelled."""

    def __init__(self, root, trace, marks, noise=lambda path: False):
        self.root, self.marks, self.noise = root.rstrip('/') + '/', marks.rstrip('/') + '/', noise
        self.inodes = 0
        self.top = self.new(True)
        self.k = 0
        self.marked = []  # (at which call, what)
        self.descriptions = []  # of each call, for people
        for call, args, result in calls_in(trace):
            self.replay(call, args, result)

    def new(self, is_folder):
        self.inodes += 1
        return Inode(self.inodes, is_folder)

    # Names

    def at(self, folder, name, k):
        return next((inode for at, inode in reversed(folder.names.get(name, [])) if at <= k), None)

    def find(self, path):
        """(folder, name), or None: it is not below the root."""
        if not path.startswith(self.root):
            return None
        *folders, name = path[len(self.root):].split('/')
        here = self.top
        for folder in folders:
            here = self.at(here, folder, self.k + 1)
            if here is None or not here.is_folder:
                return None
        return here, name

    def inode(self, path):
        if path.rstrip('/') + '/' == self.root:
            return self.top
        place = self.find(path)
        return place and self.at(*place, self.k + 1)

    def name(self, place, inode):
        place[0].names[place[1]].append((self.k + 1, inode))

    # Calls

    @staticmethod
    def paths(args):
        """The paths that a call names, each with the folder that it starts from."""
        found = []
        pattern = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2}|[^>\\])*)>, )?"((?:\\x[0-9a-f]{2})*)"')
        for match in pattern.finditer(args):
            name = unhex(match[2]).decode()
            base = unhex(match[1]).decode() if match[1] else ''
            found.append(os.path.normpath(os.path.join(base, name)))
        return found

    def replay(self, call, args, result):
        changed = None
        if call in ('open', 'openat', 'creat'):
            path = self.paths(args)[0]
            if path.startswith(self.marks) and 'O_CREAT' in args:
                self.marked.append((self.k, path[len(self.marks):]))
            if 'O_TMPFILE' in args or not (place := self.find(path)):
                return
            there = self.at(*place, self.k + 1)
            if there is None and 'O_CREAT' in args:
                self.name(place, self.new(False))
                changed = path
            elif there is not None and 'O_TRUNC' in args and there.content(self.k + 1):
                there.data.append((self.k + 1, b''))
                changed = path
        elif call in ('mknod', 'mknodat'):
            if (place := self.find(self.paths(args)[0])) and self.at(*place, self.k + 1) is None:
                self.name(place, self.new(False))
                changed = place[1]
        elif call in ('mkdir', 'mkdirat'):
            if place := self.find(self.paths(args)[0]):
                self.name(place, self.new(True))
                changed = place[1]
        elif call in ('unlink', 'unlinkat', 'rmdir'):
            place = self.find(self.paths(args)[0])
            if place and self.at(*place, self.k + 1):
                self.name(place, None)
                changed = place[1]
        elif call.startswith('rename'):
            old, new = (self.find(path) for path in self.paths(args)[:2])
            inode = old and self.at(*old, self.k + 1)
            if inode and new:
                self.name(old, None)
                self.name(new, inode)
                changed = f'{old[1]} -> {new[1]}'
        elif call.startswith('link'):
            old, new = (self.find(path) for path in self.paths(args)[:2])
            inode = old and self.at(*old, self.k + 1)
            if inode and new:
                self.name(new, inode)
                changed = f'{old[1]} = {new[1]}'
        else:
            match = PATH.search(args)
            path = unhex(match[1]).decode() if match else ''
            inode = self.inode(path)
            if inode is None:
                return
            changed = os.path.basename(path)
            before = inode.content(self.k + 1)
            if call in ('fsync', 'fdatasync'):
                inode.synced.append(self.k + 1)
            elif call == 'ftruncate':
                size = int(args.rpartition(', ')[2])
                inode.data.append((self.k + 1, before[:size].ljust(size, b'\0')))
            else:
                data = b''.join(unhex(part) for part in STRING.findall(args))[:result]
                # The traced programs never seek: a write without an offset appends.
                place = int(args.rpartition(', ')[2]) if call.startswith('pwrite') else len(before)
                inode.data.append((self.k + 1, before[:place].ljust(place, b'\0') + data + before[place + len(data):]))
        if changed is not None:
            self.k += 1
            self.descriptions.append(f'{call} {changed}')

    # States: {path: bytes, or None for a folder}

    def build(self, choose_name, choose_data):
        state = {}

        def add(folder, path):
            for name, versions in sorted(folder.names.items()):
                inode = choose_name(folder, path + name, versions)
                if inode is None:
                    continue
                if inode.is_folder:
                    state[path + name] = None
                    add(inode, path + name + '/')
                else:
                    state[path + name] = choose_data(inode, path + name)
        add(self.top, '')
        return state

    def now(self, k):
        return self.build(lambda folder, path, versions: next((i for at, i in reversed(versions) if at <= k), None),
                          lambda inode, path: inode.content(k))

    @staticmethod
    def torn(inode, k):
        """What may be there of data that was not fsynced."""
        sure, full = inode.content(inode.synced_by(k)), inode.content(k)
        return [full] if sure == full else [full, sure, full[:len(full) // 2]]

    def ordered(self, k):
        """As a journal of metadata leaves it."""
        last = max((at for inode in self.everything() for at in inode.synced if at <= k), default=0)
        for j in range(last, k + 1):
            for which in range(3):
                yield self.build(lambda folder, path, versions, j=j: next((i for at, i in reversed(versions) if at <= j), None),
                                 lambda inode, path, j=j, which=which: (lambda t: t[min(which, len(t) - 1)])(self.torn(inode, j)))

    def everything(self):
        seen, todo = {}, [self.top]
        while todo:
            inode = todo.pop()
            if inode.number in seen:
                continue
            seen[inode.number] = inode
            for versions in inode.names.values():
                todo.extend(i for _, i in versions if i is not None)
        return seen.values()

    def fsynced(self, k, most_free=4):
        """As D01 allows it: each change that is not durable is there or not, for itself."""
        free = {}  # (folder, name) -> what may be there, the sure one first

        def sure_name(folder, path, versions):
            synced = folder.synced_by(k)
            sure = next((i for at, i in reversed(versions) if at <= synced), None)
            maybe = [sure]
            for at, inode in versions:
                if synced < at <= k and inode not in maybe:
                    maybe.append(inode)
            newest = max((at for at, _ in versions if at <= k), default=0)
            if len(maybe) > 1 and not self.noise(path):
                free[folder.number, path] = (newest, maybe)
            return maybe, versions

        def collect(folder, path):
            for name, versions in folder.names.items():
                maybe, _ = sure_name(folder, path + name, versions)
                for inode in maybe:
                    if inode is not None and inode.is_folder:
                        collect(inode, path + name + '/')
        collect(self.top, '')

        def state(chosen, others_are_there, which):
            def name(folder, path, versions):
                if (folder.number, path) in chosen:
                    return chosen[folder.number, path]
                upto = k if others_are_there else folder.synced_by(k)
                return next((i for at, i in reversed(versions) if at <= upto), None)
            return self.build(name, lambda inode, path: (lambda t: t[min(which, len(t) - 1)])(self.torn(inode, k)))

        for which in range(3):
            yield state({}, False, which)
            yield state({}, True, which)
            for key, (_, maybe) in free.items():
                for inode in maybe:
                    yield state({key: inode}, False, which)
                    yield state({key: inode}, True, which)
        newest = sorted(free, key=lambda key: -free[key][0])[:most_free]
        for combination in itertools.product(*(free[key][1] for key in newest)):
            for others in (False, True):
                yield state(dict(zip(newest, combination)), others, 0)

    def told_by(self, k):
        return {what for at, what in self.marked if at <= k}
