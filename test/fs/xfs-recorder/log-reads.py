#!/usr/bin/env python3
"""Notes which sectors of its log the kernel's xfs reads at a mount, with what lay in the log before.

usage: log-reads.py | gzip -9n > xfs-log-reads.json.gz      (root, Linux with xfs, xfsprogs and tracefs)

Each case is what was done before the mount. "log" has runs of sectors in their order, [cycle, sectors] where no record begins, and records as
[cycle, sectors, cycle and sector of the tail, whether it is an unmount record]. One that goes round the log's end begins at the end.
"reads" are the reads in the log as [sector, sectors], "stale" the writes of the mount into it.
"""
import json, os, struct, subprocess, tempfile

TRACE = "/sys/kernel/tracing/"
MAGIC = 0xFEEDBABE
MIB = 2**20


def sh(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def log_place(image):
    words = sh("xfs_db", "-r", "-c", "sb 0", "-c", "p logstart logblocks agblklog agblocks", image).split()
    at = dict(zip(words[0::3], (int(word) for word in words[2::3])))
    group, block = at["logstart"] >> at["agblklog"], at["logstart"] & ((1 << at["agblklog"]) - 1)
    return (group * at["agblocks"] + block) * 8, at["logblocks"] * 8


def log_runs(image, first, count):
    with open(image, "rb") as file:
        file.seek(first * 512)
        raw = file.read(count * 512)
    runs, left = [], 0
    for at in range(count):
        word, cycle = struct.unpack_from(">II", raw, at * 512)
        length, = struct.unpack_from(">I", raw, at * 512 + 12)
        if word == MAGIC and length > 0:
            tail_cycle, tail = struct.unpack_from(">II", raw, at * 512 + 24)
            operations, = struct.unpack_from(">I", raw, at * 512 + 40)
            flags = raw[(at + 1) % count * 512 + 9]
            runs.append([cycle, 1, tail_cycle, tail, int(operations == 1 and flags & 0x20 != 0)])
            left = length // 512
            continue
        here = cycle if word == MAGIC else word
        if word != MAGIC and left > 0 and runs[-1][0] in (here, here - 1):
            runs[-1][1] += 1
        elif runs and len(runs[-1]) == 2 and runs[-1][0] == here:
            runs[-1][1] += 1
        else:
            runs.append([here, 1])
            left = 0
        left = max(0, left - 1)
    return runs


class Traced:
    """Bios of a device while the block runs."""

    def __init__(self, device):
        number = os.stat(device).st_rdev
        self.filter = "dev == %d" % ((os.major(number) << 20) | os.minor(number))

    def __enter__(self):
        open(TRACE + "trace", "w").close()
        event = TRACE + "events/block/block_bio_queue/"
        open(event + "filter", "w").write(self.filter)
        open(event + "enable", "w").write("1")
        open(TRACE + "tracing_on", "w").write("1")
        return self

    def __exit__(self, *_):
        open(TRACE + "events/block/block_bio_queue/enable", "w").write("0")
        self.bios = []
        for line in open(TRACE + "trace"):
            words = line.split()
            if "block_bio_queue:" in words:
                at = words.index("block_bio_queue:")
                self.bios.append((words[at + 2], int(words[at + 3]), int(words[at + 5])))


def write_files(root, files, rounds):
    for turn in range(rounds):
        for n in range(files):
            with open("%s/f%d-%d" % (root, turn % 7, n), "w") as file:
                file.write("x" * (turn % 50))
                os.fsync(file.fileno())


def head_of(device):
    cycle, sector = open("/sys/fs/xfs/%s/log/log_head_lsn" % os.path.basename(device)).read().split(":")
    return int(cycle), int(sector)


def fill_log(root, cycle, sector):
    """Makes large checkpoints until the log's head has come so far."""
    device = os.path.realpath(sh("findmnt", "-n", "-o", "SOURCE", root).strip())
    turn = 0
    while head_of(device) < (cycle, sector):
        for n in range(1500):
            path = "%s/fill-%d" % (root, n)
            open(path, "w").close() if turn % 2 == 0 else os.unlink(path)
        sh("sync", "-f", root)
        turn += 1


def shut_down(root, flush):
    sh("xfs_io", "-x", "-c", "shutdown" + (" -f" if flush else ""), root)


CASES = {
    "made": [],
    "unmounted": [lambda root: write_files(root, 3, 1)],
    "shut down after 3 fsyncs": [lambda root: write_files(root, 3, 1), lambda root: shut_down(root, True)],
    "shut down after 40 fsyncs": [lambda root: write_files(root, 40, 1), lambda root: shut_down(root, True)],
    "shut down after large checkpoints": [lambda root: fill_log(root, 1, 9000), lambda root: shut_down(root, True)],
    "unmounted in the second round": [lambda root: fill_log(root, 2, 5000)],
    "shut down in the second round": [lambda root: fill_log(root, 2, 700), lambda root: write_files(root, 20, 1), lambda root: shut_down(root, True)],
    "shut down at the end of the first round": [lambda root: fill_log(root, 1, 129500), lambda root: shut_down(root, True)],
}


def case(title, work):
    folder = tempfile.mkdtemp()
    image, root = folder + "/image", folder + "/mounted"
    os.mkdir(root)
    with open(image, "w") as file:
        file.truncate(400 * MIB)
    sh("mkfs.xfs", "-q", image)
    first, count = log_place(image)
    device = sh("losetup", "-f", "--show", image).strip()
    try:
        if work:
            sh("mount", device, root)
            for one in work:
                one(root)
            sh("umount", root)
        sh("sync", image)
        sh("blockdev", "--flushbufs", device)
        log = log_runs(image, first, count)
        with Traced(device) as traced:
            sh("mount", device, root)
        sh("umount", root)
    finally:
        sh("losetup", "-d", device)
    inside = [(flags, sector - first, sectors) for flags, sector, sectors in traced.bios if first <= sector < first + count]
    return {
        "before": title,
        "sectors": count,
        "log": log,
        "reads": [[sector, sectors] for flags, sector, sectors in inside if flags.startswith("R") and "A" not in flags],
        "stale": [[sector, sectors] for flags, sector, sectors in inside if flags.startswith("W")],
    }


def told(title, work):
    """The tracer may miss a mount: there is none without reads."""
    while True:
        answer = case(title, work)
        if answer["reads"]:
            return json.dumps(answer, separators=(",", ":"))


print("[" + ",\n".join(told(title, work) for title, work in CASES.items()) + "]")
