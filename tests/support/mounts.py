"""File systems of a test's own, in a mount namespace that ends with the test process: nothing is left behind."""
import ctypes
import os
import subprocess

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000


def enter():
    """Gives this process and its children mounts of their own. Returns why that is not possible, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNS if uid == 0 else CLONE_NEWNS | CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        return f'no mount namespace is to be had: {os.strerror(ctypes.get_errno())}'
    try:
        if uid != 0:
            for name, text in (('setgroups', 'deny'), ('uid_map', f'0 {uid} 1'), ('gid_map', f'0 {gid} 1')):
                with open(f'/proc/self/{name}', 'w', encoding='ascii') as f:
                    f.write(text)
    except OSError as e:
        return f'no user namespace is to be had: {e}'
    done = subprocess.run(['mount', '--make-rprivate', '/'], check=False, capture_output=True, text=True)
    return f'mounts can not be made private: {done.stderr.strip()}' if done.returncode != 0 else None


def tmpfs(path, options):
    """Returns why it can't be mounted, or None."""
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', path], check=False, capture_output=True, text=True)
    return f'no tmpfs can be mounted: {done.stderr.strip()}' if done.returncode != 0 else None


def unmount(path):
    subprocess.run(['umount', '-l', path], check=False, stderr=subprocess.DEVNULL)
