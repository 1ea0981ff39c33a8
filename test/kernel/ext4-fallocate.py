"""Asks this machine's kernel how many blocks are free after each fallocate(2) on small disks of ext4 that fill up, as root, and writes
test/data/ext4-fallocate.json: for each disk its MiB and steps, [what, the file, from which block, how many blocks, the answer, free blocks].

  python3 test/kernel/ext4-fallocate.py            answers that differ from the file's
  python3 test/kernel/ext4-fallocate.py --write    writes the file anew, with what the kernel answers
"""
import ctypes
import errno
import json
import os
import random
import sys

from fresh_disk import mounted

FILE = os.path.join(os.path.dirname(__file__), "../data/ext4-fallocate.json")
LIBC = ctypes.CDLL(None, use_errno=True)
BLOCK = 4096
# Half of a disk's cases are of one group.
DISKS = [(16, 6), (32, 12), (64, 6), (300, 6)]


def script(seed):
    """Files of a few blocks, half of them removed, then large ones, until nothing is left."""
    chance, steps, names = random.Random(seed), [], []
    for number in range(chance.randrange(20, 120)):
        names.append(f"f{number}")
        steps.append(["fallocate", names[-1], 0, chance.choice([1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33, 64, 100])])
    for name in list(names):
        if chance.random() < 0.5:
            names.remove(name)
            steps.append(["unlink", name, 0, 0])
    steps.append(["sync", "", 0, 0])
    for number in range(12):
        kind = chance.random()
        if kind < 0.6:
            steps.append(["fallocate", f"g{number}", 0, chance.choice([5, 50, 300, 1000, 2000, 6000])])
        elif kind < 0.8 and names:
            steps += [["unlink", names.pop(chance.randrange(len(names))), 0, 0], ["sync", "", 0, 0]]
        else:
            name = chance.choice(names) if names else f"g{number}"
            steps.append(["fallocate", name, chance.choice([50, 200, 1000]), chance.choice([3, 40, 700])])
    return steps + [["fallocate", "last", 0, 20000]]


def act(at, what, name, first, count):
    path = os.path.join(at, name)
    if what == "unlink":
        os.unlink(path)
        return "ok"
    file = os.open(path, os.O_RDONLY) if what == "sync" else os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if what == "sync":
            LIBC.syncfs(file)
            return "ok"
        failed = LIBC.fallocate(file, 0, ctypes.c_long(first * BLOCK), ctypes.c_long(count * BLOCK)) != 0
        return errno.errorcode[ctypes.get_errno()] if failed else "ok"
    finally:
        os.close(file)


def ask(size, steps):
    with mounted(size << 20, "mkfs.ext4", "-q", "-b", str(BLOCK)) as at:
        return [[*step, act(at, *step), os.statvfs(at).f_bfree] for step in steps]


def main():
    before = json.load(open(FILE)) if os.path.exists(FILE) else []
    if "--write" in sys.argv:
        before = [{"size": size, "steps": script(seed)} for size, runs in DISKS for seed in range(runs)]
    answers = [{"size": case["size"], "steps": ask(case["size"], [step[:4] for step in case["steps"]])} for case in before]
    if "--write" in sys.argv:
        with open(FILE, "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in answers) + "\n]\n")
        return
    for old, new in zip(before, answers):
        for number, (step, answer) in enumerate(zip(old["steps"], new["steps"])):
            if step != answer:
                print(f"{old['size']} MiB, step {number}: {answer}, not {step}")


main()
