"""Asks this machine's kernel where the blocks of files lie on fresh disks of ext4 or xfs (FIEMAP), as root: files that are written, extended, cut, removed.
ext4-flat is ext4 on a disk that does not turn: a file in memory.

  python3 test/kernel/places.py ext4 5000 20      scripts of twenty seeds from 5000 on with what the kernel answers, as JSON
  python3 test/kernel/places.py ext4 --write      writes test/data/ext4-places.json anew
  python3 test/kernel/places.py ext4              asks the scripts of that file again, and tells which answers differ

A script: the disk's MiB, and steps [what, the file, from which block, how many blocks]; a "map" is answered by [free blocks, extents]: of each the file's
first block, the disk's, and how many. A group of small files is kept for each processor, so that all is done on one. xfs frees removed files beside, and
uses their blocks again when its log has told of it: a sync waits for both.
"""
import ctypes
import fcntl
import json
import os
import random
import struct
import sys
import time

from fresh_disk import mounted

FILE = os.path.join(os.path.dirname(__file__), "../data/%s-places.json")
# MiB: a group of ext4 or sixteen, where its searches are optimized, or thirty-two; on xfs four groups, of 80 MiB or 512.
SIZES = {"ext4": [64, 2048], "ext4-flat": [2048, 4096], "xfs": [320, 2048]}
MKE2FS = ["mkfs.ext4", "-q", "-b", "4096"]
MAKE = {"ext4": MKE2FS, "ext4-flat": MKE2FS, "xfs": ["mkfs.xfs", "-q"]}
MEMORY = "/dev/shm"
XFS_FREED_S, XFS_LOGGED_S = 0.03, 0.02
LIBC = ctypes.CDLL(None, use_errno=True)
BLOCK = 4096
FS_IOC_FIEMAP = 0xC020660B
EXTENTS_MAX = 2000
KEEP_SIZE, PUNCH_HOLE = 1, 2
LENGTHS = [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20, 31, 32, 33, 50, 64, 100, 128, 200, 256, 300, 512, 700, 1024, 1500, 2048, 2049, 3000]


class Script:
    """Random steps; `ends` tells where each file ends that is there, `opened` which are open to be written."""

    def __init__(self, filesystem, seed):
        self.chance = random.Random(seed)
        self.size = self.chance.choice(SIZES[filesystem])
        self.lengths = [length for length in LENGTHS if length <= 700 or self.size >= 2048]
        self.steps, self.ends, self.opened, self.made = [], {}, set(), 0
        for _ in range(self.chance.randrange(15, 45)):
            self.step()

    def add(self, *words):
        self.steps.append(list(words))

    def some(self):
        return self.chance.choice(sorted(self.ends))

    def open(self, name):
        if name not in self.opened:
            self.add("open", name)
            self.opened.add(name)

    def close(self, name):
        if name in self.opened:
            self.add("close", name)
            self.opened.discard(name)

    def new(self):
        name = "f%d" % self.made
        self.made += 1
        self.ends[name] = 0
        self.open(name)
        return name

    def fill(self, what, name, first):
        count = self.chance.choice(self.lengths)
        self.add(what, name, first, count)
        self.ends[name] = max(self.ends[name], first + count)

    def write(self, name, first):
        self.fill("write", name, first)
        if self.chance.random() < 0.6:
            self.close(name)
        self.add("fsync", name)
        self.add("map", name)

    def step(self):
        chance, kind = self.chance, self.chance.random()
        if kind < 0.35 or not self.ends:
            self.write(self.new(), 0)
        elif kind < 0.5:
            name = self.some()
            self.close(name)
            del self.ends[name]
            self.add("unlink", name)
            self.add("sync", "")
        elif kind < 0.68:
            name = self.some()
            self.open(name)
            self.write(name, self.ends[name] + chance.choice([0, 0, 0, 1, 10, 100]))
        elif kind < 0.86:
            name = self.new()
            self.fill("fallocate", name, chance.choice([0, 0, 1, 20, 100]))
            self.add("map", name)
        elif kind < 0.95:
            name = self.some()
            end = self.ends[name]
            self.open(name)
            if chance.random() < 0.5:
                self.ends[name] = chance.choice([0, end // 2, max(0, end - 1)])
                self.add("truncate", name, self.ends[name])
            else:
                self.add("punch", name, chance.randrange(max(1, end)), chance.choice([1, 3, 10]))
            self.add("sync", "")
            self.add("map", name)
        elif self.opened:
            self.close(chance.choice(sorted(self.opened)))


def read_only(path, act):
    file = os.open(path, os.O_RDONLY)
    try:
        return act(file)
    finally:
        os.close(file)


def extents(file):
    asked = bytearray(32 + 56 * EXTENTS_MAX)
    struct.pack_into("QQIIII", asked, 0, 0, 2**64 - 1, 0, 0, EXTENTS_MAX, 0)
    fcntl.ioctl(file, FS_IOC_FIEMAP, asked)
    found = []
    for index in range(struct.unpack_from("I", asked, 20)[0]):
        logical, physical, length = (value // BLOCK for value in struct.unpack_from("QQQ", asked, 32 + 56 * index))
        last = found[-1] if found else None
        if last and last[0] + last[2] == logical and last[1] + last[2] == physical:
            last[2] += length
        else:
            found.append([logical, physical, length])
    return found


def allocate(file, mode, first, count):
    LIBC.fallocate(file, mode, ctypes.c_long(first * BLOCK), ctypes.c_long(count * BLOCK))


def sync(filesystem, top):
    if filesystem == "xfs":
        os.statvfs(top)
        time.sleep(XFS_FREED_S)
        read_only(top, LIBC.syncfs)
        time.sleep(XFS_LOGGED_S)
    read_only(top, LIBC.syncfs)


def act(filesystem, top, files, what, name, first=0, count=0):
    path = os.path.join(top, name)
    if what == "open":
        files[name] = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    elif what == "close":
        os.close(files.pop(name))
    elif what == "write":
        os.pwrite(files[name], b"x" * (count * BLOCK), first * BLOCK)
    elif what == "truncate":
        os.ftruncate(files[name], first * BLOCK)
    elif what == "fallocate":
        allocate(files[name], 0, first, count)
    elif what == "punch":
        allocate(files[name], PUNCH_HOLE | KEEP_SIZE, first, count)
    elif what == "unlink":
        os.unlink(path)
    elif what == "fsync":
        read_only(path, os.fsync)
    elif what == "sync":
        sync(filesystem, top)
    elif what == "map":
        return [os.statvfs(top).f_bfree, read_only(path, extents)]
    return None


def read_bitmaps(top):
    """Groups whose bitmaps were not read yet are in no list: the kernel reads them some seconds after the mount, or when somebody wants to see them."""
    device = os.stat(top).st_dev
    name = os.path.basename(os.path.realpath("/sys/dev/block/%d:%d" % (os.major(device), os.minor(device))))
    with open("/proc/fs/ext4/%s/mb_groups" % name) as file:
        file.read()


def ask(filesystem, size, steps):
    files = {}
    is_flat = filesystem == "ext4-flat"
    with mounted(size << 20, *MAKE[filesystem], below=MEMORY if is_flat else None) as top:
        if is_flat:
            read_bitmaps(top)
        try:
            answers = [act(filesystem, top, files, *step) for step in steps]
        finally:
            for file in files.values():
                os.close(file)
        return {"size": size, "steps": steps, "maps": [answer for answer in answers if answer is not None]}


def asked(filesystem, seeds):
    scripts = [Script(filesystem, seed) for seed in seeds]
    return [ask(filesystem, script.size, script.steps) for script in scripts]


def listed(cases):
    return "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n"


def main():
    os.sched_setaffinity(0, {0})
    filesystem, *words = sys.argv[1:]
    if words == ["--write"]:
        with open(FILE % filesystem, "w") as file:
            file.write(listed(asked(filesystem, range(30))))
    elif len(words) == 2:
        first, count = map(int, words)
        print(listed(asked(filesystem, range(first, first + count))))
    else:
        with open(FILE % filesystem) as file:
            cases = json.load(file)
        for index, case in enumerate(cases):
            if ask(filesystem, case["size"], case["steps"]) != case:
                print("script %d: other answers" % index)


main()
