"""Which pages of a file this machine's kernel has in memory after each of some random reads: of read(2), posix_fadvise(2) and mappings.

readahead.py FIRST COUNT: as many scripts, drawn from the seeds FIRST and following. Prints a JSON list: {"fs", "size": the file's bytes, "readAhead":
read_ahead_kb, "steps", "resident"}; a step is one of ["read", file, offset, length], ["map", file] (touches the first byte of a new mapping),
["advise", file, advice, offset, length], ["drop"], where "file" counts opens of the one file; "resident" has for each step the runs of pages in
memory after it, [[first, pages] …]. Root and Linux only.
"""
import ctypes
import json
import mmap
import os
import random
import sys
import time

import fresh_disk

MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}
PAGE = 4096
DISK_BYTES = 512 << 20
ADVICE = {
    "normal": os.POSIX_FADV_NORMAL,
    "random": os.POSIX_FADV_RANDOM,
    "sequential": os.POSIX_FADV_SEQUENTIAL,
    "willneed": os.POSIX_FADV_WILLNEED,
    "dontneed": os.POSIX_FADV_DONTNEED,
}
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def told(fd, size):
    where = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    pages = ctypes.create_string_buffer((size + PAGE - 1) // PAGE)
    if libc.mincore(where, size, pages) != 0:
        raise OSError(ctypes.get_errno(), "mincore")
    libc.munmap(where, size)
    return pages.raw


def is_idle(disk):
    with open(f"/sys/block/{disk}/inflight") as inflight:
        return inflight.read().split() == ["0", "0"]


def resident(fd, size, disk):
    """The runs of pages in memory, once no more come: what is read ahead nobody waits for."""
    raw, same = None, 0
    while same < 3:
        time.sleep(0.002)
        before, raw = raw, told(fd, size)
        same = same + 1 if raw == before and is_idle(disk) else 0
    runs = []
    for page, byte in enumerate(raw):
        if not byte & 1:
            continue
        if runs and runs[-1][0] + runs[-1][1] == page:
            runs[-1][1] += 1
        else:
            runs.append([page, 1])
    return runs


def history(top, script):
    path = os.path.join(top, "f")
    with open(path, "wb") as file:
        file.write(os.urandom(script["size"]))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    device = os.stat(top).st_dev
    with open("/proc/mounts") as mounts:
        disk = next(line.split()[0] for line in mounts if line.split()[1] == top).removeprefix("/dev/")
    window = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    # That of btrfs, which does not hang on its device, is named after it alone.
    if os.path.exists(window):
        with open(window, "w") as kib:
            kib.write(str(script["readAhead"]))
    files, seen = {}, []
    looks = os.open(path, os.O_RDONLY)
    for step in script["steps"]:
        what, of = step[0], step[1] if len(step) > 1 else None
        if of is not None and of not in files:
            files[of] = os.open(path, os.O_RDONLY)
        if what == "read":
            os.pread(files[of], step[3], step[2])
        elif what == "map":
            with mmap.mmap(files[of], script["size"], mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
                mapped[0]
        elif what == "advise":
            os.posix_fadvise(files[of], step[3], step[4], ADVICE[step[2]])
        elif what == "drop":
            os.posix_fadvise(looks, 0, 0, os.POSIX_FADV_DONTNEED)
        seen.append(resident(looks, script["size"], disk))
    for fd in [looks, *files.values()]:
        os.close(fd)
    os.unlink(path)
    return seen


# Around pages, windows, and what one request takes.
LENGTHS = [1, 100, 4096, 4096, 5000, 8192, 16384, 65536, 65536, 131072, 131073, 200000, 600000]


def drawn(seed):
    r = random.Random(seed)
    fs = r.choice(["ext4", "xfs", "ext4", "xfs", "btrfs"])
    pages = r.choice([100, 1000, 5000, 9000] if fs == "btrfs" else [40, 100, 300, 1000, 2500, 5000])
    size = pages * PAGE - r.choice([0, 0, 1, 4000])
    steps, ends = [], {}
    for _ in range(r.randint(4, 14)):
        kind, of, length = r.random(), r.choice([0, 0, 0, 1, 2]), r.choice(LENGTHS)
        if kind < 0.82:
            anywhere = r.choice([0, r.randrange(size), r.randrange(pages) * PAGE])
            offset = ends.get(of, 0) if kind < 0.6 else anywhere
            steps.append(["read", of, offset, length])
            ends[of] = offset + length if offset + length <= size else 0
        elif kind < 0.86:
            steps.append(["map", of])
        elif kind < 0.92:
            steps.append(["drop"])
        elif kind < 0.98:
            steps.append(["advise", of, r.choice(["random", "sequential", "normal"]), 0, 0])
        else:
            steps.append(["advise", of, "willneed", r.randrange(pages) * PAGE, r.choice([0, 4096, 100000, 3000000])])
    return {"fs": fs, "size": size, "readAhead": r.choice([0, 16, 64, 128, 128, 128, 256, 1024]), "steps": steps}


def main():
    first, count = int(sys.argv[1]), int(sys.argv[2])
    scripts = [drawn(seed) for seed in range(first, first + count)]
    for fs, make in MAKE.items():
        with fresh_disk.mounted(DISK_BYTES, *make) as top:
            for script in scripts:
                if script["fs"] == fs:
                    script["resident"] = history(top, script)
    print(json.dumps(scripts, separators=(",", ":")))


main()
