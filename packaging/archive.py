"""Archives that depend on nothing but what is in them: sorted, one time for all, no owner."""
import gzip
import io
import os
import pathlib
import tarfile


def gzipped(data):
    """gzip without the time and the name; the same bytes on every machine with this zlib."""
    out = io.BytesIO()
    with gzip.GzipFile(filename='', mode='wb', compresslevel=9, fileobj=out, mtime=0) as file:
        file.write(data)
    return out.getvalue()


def mode_of(path):
    """0755 for what may be run, 0644 for the rest: the umask of whoever builds must not show."""
    return 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644


def tar_gz(folder, prefix, epoch, folders=True):
    """The bytes of a .tar.gz of all below `folder`, below `prefix` in the archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.USTAR_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob('*'), key=lambda path: str(path).encode())]:
            if path.is_dir() and not path.is_symlink() and not folders:
                continue
            below = path.relative_to(folder)
            entry = tarfile.TarInfo(f'{prefix}/{below}' if below.parts else prefix)
            entry.mtime = epoch
            entry.uname = entry.gname = 'root' if folders else ''
            if path.is_symlink():
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
                tar.addfile(entry)
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), mode_of(path)
                tar.addfile(entry, io.BytesIO(data))
    return gzipped(out.getvalue())


def normalise(folder, epoch):
    """One time and plain modes for all below `folder`, for tools that archive it themselves."""
    for path in sorted(folder.rglob('*'), reverse=True):
        if not path.is_symlink():
            path.chmod(mode_of(path))
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    folder.chmod(0o755)
    os.utime(folder, (epoch, epoch))


def put(path, text, mode=0o644):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
