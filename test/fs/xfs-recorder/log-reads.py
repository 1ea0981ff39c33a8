#!/usr/bin/env python3
"""Notes which sectors of its log the kernel's xfs reads at a mount, with what lay in the log before.

usage: log-reads.py | gzip -9n > xfs-log-reads.json.gz      (root, Linux with xfs, xfsprogs and tracefs)

Each case is what was done before the mount. "log" has runs of sectors in their order, [cycle, sectors] where no record begins, and records as
[cycle, sectors, cycle and sector of the tail, whether it is an unmount record], and how many sectors it should have where it has fewer: what was
overwritten, or goes on at the log's beginning. "spoilt" are sectors that were made zeros before, as [sector, sectors], or that one byte is wrong of, as
[sector].
"reads" are the reads in the log as [sector, sectors], "stale" the writes of the mount into it, "refused" the error number of a mount that failed.
"""
import ctypes, json, os, struct, subprocess, tempfile

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
            runs.append([cycle, 1, tail_cycle, tail, int(operations == 1 and flags & 0x20 != 0), length // 512 + 1])
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
    return [run[:5] if len(run) > 2 and run[1] == run[5] else run for run in runs]


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


def mount_error(device, root):
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(device.encode(), root.encode(), b"xfs", 0, None)
    return 0 if done == 0 else ctypes.get_errno()


def case(title, work, spoilt=()):
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
        with open(device, "r+b") as file:
            for sector, *sectors in spoilt:
                if sectors:
                    file.seek((first + sector) * 512)
                    file.write(bytes(sectors[0] * 512))
                else:
                    file.seek((first + sector) * 512 + 100)
                    byte = file.read(1)[0]
                    file.seek((first + sector) * 512 + 100)
                    file.write(bytes([byte ^ 255]))
        sh("sync", image)
        sh("blockdev", "--flushbufs", device)
        log = log_runs(image, first, count)
        with Traced(device) as traced:
            refused = mount_error(device, root)
        if refused == 0:
            sh("umount", root)
    finally:
        sh("losetup", "-d", device)
    inside = [(flags, sector - first, sectors) for flags, sector, sectors in traced.bios if first <= sector < first + count]
    answer = {
        "before": title,
        "sectors": count,
        "log": log,
        "reads": [[sector, sectors] for flags, sector, sectors in inside if flags.startswith("R") and "A" not in flags],
        "stale": [[sector, sectors] for flags, sector, sectors in inside if flags.startswith("W")],
    }
    return {**answer, **({"spoilt": spoilt} if spoilt else {}), **({"refused": refused} if refused else {})}


def told(title, work, spoilt=()):
    """The tracer may miss a mount: there is none without reads."""
    while True:
        answer = case(title, work, spoilt)
        if answer["reads"]:
            return json.dumps(answer, separators=(",", ":"))


# Of a log of 40 fsyncs, some 195 sectors: records in the middle and at the head, headers and content, the tail; and of one of 9000 sectors.
SPOILT = [[[190, 1]], [[194, 1]], [[150, 1]], [[150, 30]], [[100, 1]], [[20, 1]], [[2, 1]], [[3, 1]], [[2, 5]], [[0, 2]], [[60, 1], [180, 2]]]
SPOILT += [[[194]], [[150]], [[100]], [[20]], [[4]], [[20], [101]], [[4], [194]]]
SPOILT_LARGE = [[[9000]], [[8000]], [[3000]], [[100]], [[6000, 100]], [[3000, 100]]]

answers = [told(title, work) for title, work in CASES.items()]
for title, cases in (("shut down after 40 fsyncs", SPOILT), ("shut down after large checkpoints", SPOILT_LARGE)):
    answers += [told(title, CASES[title], spoilt) for spoilt in cases]
print("[" + ",\n".join(answers) + "]")
