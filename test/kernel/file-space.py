#!/usr/bin/env python3
"""Makes calls on files of fresh filesystems, and tells after each what it took.

One JSON object a line on standard input, one answer a line on standard output:
  {"filesystem": "ext4" or "xfs", "calls": […]}   calls in the trace format, on files in the root; the answer is a list: the figures of the
                                                  fresh filesystem, then [result, figures] of each call
Figures: {"free": free blocks, "files": {name: [size, st_blocks, [where data begin and end, over and over]]}}

Root and Linux only. Run it in a mount namespace of its own (unshare --mount): whatever happens, its mounts end with it.
"""
import ctypes
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
DISK_BYTES = 2 << 30
FICLONE = 0x40049409
SYNC_FILE_RANGE_WAIT_BEFORE = 1
FALLOC_FLAGS = {"KEEP_SIZE": 1, "PUNCH_HOLE": 2, "COLLAPSE_RANGE": 8, "ZERO_RANGE": 16, "INSERT_RANGE": 32, "UNSHARE": 64}


def check(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")


def data_of(fd, size):
    found, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found += [start, at]
    return found


def on_file(path, work):
    fd = os.open(path, os.O_RDONLY)
    try:
        return work(fd)
    finally:
        os.close(fd)


def settle(fd):
    check(LIBC.sync_file_range(fd, ctypes.c_long(0), ctypes.c_long(0), SYNC_FILE_RANGE_WAIT_BEFORE))


def figures(top):
    # First, since closing a file that was made shorter writes it; the kernel does not wait for that, so what comes next does.
    free, files = os.statvfs(top).f_bfree, {}
    for name in sorted(set(os.listdir(top)) - {"lost+found"}):
        path = os.path.join(top, name)
        st = os.stat(path)
        files[name] = [st.st_size, st.st_blocks, on_file(path, lambda fd: data_of(fd, st.st_size))]
        on_file(path, settle)
    return {"free": free, "files": files}


def drop(fd):
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def make(top, fds, s):
    call, path = s["call"], top + s.get("path", "")
    if call == "open":
        fds[s["fd"]] = os.open(path, sum(getattr(os, name) for name in s["flags"]), 0o644)
    elif call == "drop":
        on_file(path, drop)
    elif call == "sync":
        on_file(top, LIBC.syncfs)
    elif any(name not in fds for name in (s["fd"], s.get("to", s["fd"]))):
        raise OSError(errno.EBADF, "")
    elif call == "close":
        os.close(fds.pop(s["fd"]))
    elif call == "pwrite":
        unit, length = s["data"]["fill"].encode(), s["data"]["len"]
        return os.pwrite(fds[s["fd"]], (unit * (length // len(unit) + 1))[:length], s["offset"])
    elif call == "ftruncate":
        os.ftruncate(fds[s["fd"]], s["len"])
    elif call == "fsync":
        os.fsync(fds[s["fd"]])
    elif call == "clone":
        fcntl.ioctl(fds[s["to"]], FICLONE, fds[s["fd"]])
    elif call == "fallocate":
        mode = sum(FALLOC_FLAGS[name] for name in s["flags"])
        check(LIBC.fallocate(fds[s["fd"]], mode, ctypes.c_long(s["offset"]), ctypes.c_long(s["len"])))
    else:
        raise ValueError(call)
    return None


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def history(folder, kind, calls):
    image, top = os.path.join(folder, "disk"), os.path.join(folder, "top")
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    run("mkfs." + kind, "-q", image)
    run("mount", "-o", "loop", image, top)
    fds, answers = {}, [figures(top)]
    for call in calls:
        try:
            value = make(top, fds, call)
            result = {"ok": True} if value is None else {"value": value}
        except OSError as error:
            result = {"errno": errno.errorcode[error.errno]}
        answers.append([result, figures(top)])
    for fd in fds.values():
        os.close(fd)
    run("umount", "--lazy", top)
    os.unlink(image)
    return answers


def main():
    folder = tempfile.mkdtemp(prefix="cowlab-space-")
    os.mkdir(os.path.join(folder, "top"))
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(history(folder, asked["filesystem"], asked["calls"])), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
