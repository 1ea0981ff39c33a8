#!/usr/bin/env python3
"""Notes how many sectors this machine's kernel writes to the device of a filesystem for each of some steps, up to the end of a syncfs behind it.

usage: record.py > written.json                    (root, Linux with overlayfs, ext4, xfs and btrfs; e2fsprogs, xfsprogs, btrfs-progs)
       record.py names FIRST COUNT > names.json    random names in one folder, seeds from FIRST on, each on every filesystem, and attributes on xfs

A call is a list: its name, and its arguments; "each" does a call for every number of a range, with the number in the place of "%". Paths lie below the
filesystem that is asked: the disk's own, or an overlay on it whose lower folder was filled before. "steps" has what was done, the calls, and the sectors of
each of three runs: they differ where a filesystem chooses by chance, or work in the background comes in between.
"""
import ctypes, json, multiprocessing, os, random, subprocess, sys, tempfile, time

LIBC = ctypes.CDLL(None)
MKFS = {
    "ext4": "mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0",
    "xfs": "mkfs.xfs -q -f",
    "btrfs": "mkfs.btrfs -q -f",
}


def each(start, end, *call, by=1):
    return ["each", start, end, by, list(call)]


PLAIN = [
    ("a folder", [["mkdir", "a"]]),
    ("another folder", [["mkdir", "b"]]),
    ("a file", [["create", "a/f0"]]),
    ("ten files", [each(1, 11, "create", "a/f%")]),
    ("a hundred files", [each(11, 111, "create", "a/f%")]),
    ("two thousand files", [each(111, 2111, "create", "a/f%")]),
    ("one more", [["create", "a/f2111"]]),
    ("one goes", [["unlink", "a/f77"]]),
    ("a hundred go", [each(200, 300, "unlink", "a/f%")]),
    ("every second of a thousand goes", [each(1000, 2000, "unlink", "a/f%", by=2)]),
    ("a mode", [["chmod", "a/f1", 0o600]]),
    ("a hundred modes", [each(300, 400, "chmod", "a/f%", 0o600)]),
    ("another name", [["rename", "a/f1", "a/g1"]]),
    ("a hundred go elsewhere", [each(300, 400, "rename", "a/f%", "b/f%")]),
    ("a byte", [["write", "a/f2", 0, 1]]),
    ("a mebibyte", [["write", "a/big", 0, 1 << 20]]),
    ("a block of it again", [["write", "a/big", 8192, 4096]]),
    ("sixteen mebibytes", [["write", "a/large", 0, 16 << 20]]),
    ("sixty blocks of them again", [each(0, 60, "write", "a/large", ["%", 266240], 4096)]),
    ("a hundred files of 5,000 bytes", [each(0, 100, "write", "b/n%", 0, 5000)]),
    ("fifteen mebibytes are cut off", [["truncate", "a/large", 1 << 20]]),
    ("the rest goes", [["unlink", "a/large"]]),
    ("two hundred folders", [each(0, 200, "mkdir", "d%")]),
    ("a hundred symbolic links", [each(0, 100, "symlink", "x" * 40, "d0/s%")]),
    ("ten long ones", [each(0, 10, "symlink", "x" * 200, "d1/s%")]),
    ("attributes of ten files", [each(10, 20, "setxattr", "a/f%", "user.a", 100)]),
    ("ten hard links", [each(10, 20, "link", "a/f%", "b/l%")]),
    ("ten appends, each with fsync", [each(0, 10, "append", "a/log", 100, True)]),
]
LOWER = [
    ["mkdir", "d"],
    ["mkdir", "e"],
    ["mkdir", "d/sub"],
    each(0, 200, "write", "d/f%", 0, 5000),
    each(0, 20, "write", "e/g%", 0, 100),
    ["write", "big", 0, 16 << 20],
    ["write", "big2", 0, 1 << 20],
    ["symlink", "d/f1", "ln"],
    ["link", "e/g1", "e/h1"],
]
OVERLAY = [
    ("a mode", [["chmod", "d/f0", 0o600]]),
    ("another's", [["chmod", "d/f1", 0o600]]),
    ("twenty modes", [each(10, 30, "chmod", "d/f%", 0o600)]),
    ("a byte behind a file", [["append", "d/f40", 1, False]]),
    ("behind a hundred files", [each(50, 150, "append", "d/f%", 1, False)]),
    ("behind sixteen mebibytes", [["append", "big", 1, False]]),
    ("a mebibyte is opened to be written", [["open", "big2"]]),
    ("a file is emptied", [["truncate", "d/f2", 0]]),
    ("another is cut", [["truncate", "d/f3", 100]]),
    ("one goes", [["unlink", "e/g0"]]),
    ("ten go", [each(10, 20, "unlink", "e/g%")]),
    ("another name", [["rename", "d/f5", "d/r5"]]),
    ("another name for what was copied up", [["rename", "d/f0", "d/r0"]]),
    ("a hard link", [["link", "e/g2", "e/l2"]]),
    ("a byte behind one of two names", [["append", "e/h1", 1, False]]),
    ("a link's owner", [["lchown", "ln", 1, 1]]),
    ("a folder", [["mkdir", "new"]]),
    ("ten files in it", [each(0, 10, "write", "new/n%", 0, 10)]),
    ("a lower folder goes", [["rmdir", "d/sub"]]),
    ("and comes", [["mkdir", "d/sub"]]),
    ("an attribute", [["setxattr", "d/f6", "user.x", 1]]),
    ("a byte behind a file, with fsync", [["append", "d/f7", 1, True]]),
]


NAME_STEPS = 80


def names(seed, kind):
    """Files that are made, renamed and removed in one folder, and on xfs given attributes, one a step."""
    chance = random.Random(seed)
    steps, files = [("a folder", [["mkdir", "a"]])], []
    for n in range(1, NAME_STEPS):
        roll = chance.random()
        if roll < 0.5 or len(files) < 3:
            files.append("a/%s%d" % ("n" * chance.choice([1, 4, 9, 20]), n))
            call = ["create", files[-1]]
        elif roll < 0.68:
            call = ["unlink", files.pop(chance.randrange(len(files)))]
        elif roll < 0.86 or kind != "xfs":
            old = files.pop(chance.randrange(len(files)))
            files.append("a/%s%d" % ("r" * chance.choice([1, 4, 9, 20]), n))
            call = ["rename", old, files[-1]]
        else:
            call = ["setxattr", chance.choice(files), "user." + chance.choice("abc"), chance.choice([1, 50, 200, 1000])]
        steps.append((str(n), [call]))
    return steps


def number(value, n):
    if isinstance(value, list):
        return value[1] * n
    return value.replace("%", str(n)) if isinstance(value, str) else value


def do(root, call):
    kind, *rest = call
    if kind == "each":
        start, end, by, inner = rest
        for n in range(start, end, by):
            do(root, [number(value, n) for value in inner])
        return
    path = os.path.join(root, rest[0])
    if kind in ("create", "open", "write", "append"):
        flags = {"create": os.O_CREAT, "open": 0, "write": os.O_CREAT, "append": os.O_CREAT | os.O_APPEND}[kind]
        fd = os.open(path, os.O_RDWR | flags, 0o644)
        if kind == "write":
            os.pwrite(fd, os.urandom(rest[2]), rest[1])
        if kind == "append":
            os.write(fd, b"y" * rest[1])
            if rest[2]:
                os.fsync(fd)
        os.close(fd)
    elif kind == "rename":
        os.rename(path, os.path.join(root, rest[1]))
    elif kind == "link":
        os.link(path, os.path.join(root, rest[1]))
    elif kind == "symlink":
        os.symlink(rest[0], os.path.join(root, rest[1]))
    elif kind == "setxattr":
        os.setxattr(path, rest[1], b"x" * rest[2])
    else:
        {"lchown": os.lchown, "mkdir": os.mkdir, "rmdir": os.rmdir, "unlink": os.unlink, "chmod": os.chmod, "truncate": os.truncate}[kind](
            path, *rest[1:]
        )


def sh(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def record(kind, overlay, asked=None):
    with tempfile.TemporaryDirectory() as folder:
        image, disk, union = (f"{folder}/{name}" for name in ("image", "disk", "union"))
        os.mkdir(disk)
        os.mkdir(union)
        sh(f"truncate -s 2G {image}; {MKFS[kind]} {image}; mount -o loop {image} {disk}")
        device = subprocess.check_output(["findmnt", "-no", "SOURCE", disk]).decode().strip().split("/")[-1]
        root = disk
        if overlay:
            for name in ("lower", "upper", "work"):
                os.mkdir(f"{disk}/{name}")
            for call in LOWER:
                do(f"{disk}/lower", call)
            os.sync()
            sh(f"mount -t overlay o -o lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work {union}")
            root = union
        fd = os.open(disk, os.O_RDONLY)

        def written():
            return int(open(f"/sys/block/{device}/stat").read().split()[6])

        def settle():
            for _ in range(3):
                LIBC.syncfs(fd)
                time.sleep(0.4)

        settle()
        settle()
        steps = []
        for what, calls in asked or (OVERLAY if overlay else PLAIN):
            settle()
            before = written()
            for call in calls:
                do(root, call)
            time.sleep(0.2)
            LIBC.syncfs(fd)
            steps.append([what, calls, written() - before])
        os.close(fd)
        if overlay:
            sh(f"umount {union}")
        sh(f"umount {disk}")
        return {"filesystem": kind, "overlay": overlay, "lower": LOWER if overlay else [], "steps": steps}


CASES = [("ext4", False), ("xfs", False), ("btrfs", False), ("ext4", True), ("xfs", True)]
RUNS = 3


def together(runs):
    steps = [[*same[0][:2], [sectors for _, _, sectors in same]] for same in zip(*(run["steps"] for run in runs))]
    return {**runs[0], "steps": steps}


def cases_asked():
    """Of each case what `record` takes."""
    if sys.argv[1:2] != ["names"]:
        return CASES
    first, count = map(int, sys.argv[2:])
    return [(kind, False, names(seed, kind)) for seed in range(first, first + count) for kind in MKFS]


def main():
    cases = cases_asked()
    # Nothing but the steps is to write: xfs would bring its log to rest every 30 seconds.
    period = "/proc/sys/fs/xfs/xfssyncd_centisecs"
    with open(period) as file:
        before = file.read()
    try:
        with open(period, "w") as file:
            file.write("720000")
        with multiprocessing.Pool(min(16, RUNS * len(cases))) as pool:
            runs = pool.starmap(record, [case for case in cases for _ in range(RUNS)])
    finally:
        with open(period, "w") as file:
            file.write(before)
    cases = [together(runs[at : at + RUNS]) for at in range(0, len(runs), RUNS)]
    json.dump({"kernel": os.uname().release.split("-")[0], "cases": cases}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
