#!/usr/bin/env python3
"""Fills directories of fresh ext4 filesystems, and tells how they grow and in which order they are read.

One JSON object a line on standard input, one answer a line on standard output:
  {"seed": UUID, "prefix": text, "pad": number, "steps": [...]}   s_hash_seed; names are `prefix`, n, and n * 37 % pad times "x" (pad 0: none);
                                                                  a step n >= 0 makes the name of n, a step ~n removes it
The answer: {"sizes": [step, st_size of the directory from that step on, ...], "order": [the n of each name, as getdents64 tells them]}

Root and Linux only. Run it in a mount namespace of its own (unshare --mount): whatever happens, its mounts end with it.
"""
import json
import os
import subprocess
import sys

from fresh_disk import mounted

DISK_BYTES = 256 << 20


def name_of(case, n):
    pad = n * 37 % case["pad"] if case["pad"] > 0 else 0
    return f"{case['prefix']}{n}{'x' * pad}"


def answer(case, top):
    folder = os.path.join(top, "d")
    os.mkdir(folder)
    sizes, by_name = [0, os.stat(folder).st_size], {".": -1, "..": -2}
    for at, step in enumerate(case["steps"]):
        n = step if step >= 0 else ~step
        name = name_of(case, n)
        by_name[name] = n
        path = os.path.join(folder, name)
        if step >= 0:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        else:
            os.unlink(path)
        size = os.stat(folder).st_size
        if size != sizes[-1]:
            sizes += [at, size]
    with os.scandir(folder) as entries:
        return {"sizes": sizes, "order": [by_name[entry.name] for entry in entries]}


for line in sys.stdin:
    asked = json.loads(line)

    def set_seed(image):
        # Not by mke2fs, which takes no seed of zeros.
        command = f"set_super_value hash_seed {asked['seed']}"
        subprocess.run(["debugfs", "-w", "-R", command, image], check=True, capture_output=True)

    with mounted(DISK_BYTES, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-N", "65536", prepare=set_seed) as top:
        print(json.dumps(answer(asked, top)), flush=True)
