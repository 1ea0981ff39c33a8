#!/usr/bin/env python3
"""What is left of files some time after they were written, when the power goes: ext4 and xfs on a loop device, by themselves and below an overlay.

The device's file is copied at that moment: it has every command that the filesystem has given by then, so that the copy is what a power cut leaves
which loses nothing of a drive's cache. The copy is mounted, which recovers it, and the files are read. Nothing else may sync the machine meanwhile.

Prints one JSON document. Root and Linux only, in a mount namespace of its own: whatever happens, its mounts end with it.

  unshare --mount python3 test/kernel/power-cut.py > test/data/power-cut.json
"""
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

DISK_BYTES = 512 << 20
SECONDS = (0, 10, 70)
NAMES = ("plain", "synced", "replaced", "overwritten", "appended", "shortened")


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def write(path, text, mode="w", sync=False):
    with open(path, mode) as file:
        file.write(text)
        file.flush()
        if sync:
            os.fsync(file.fileno())


class Machine:
    """A filesystem on a loop device; files are written in it, or through an overlay whose layers are in it."""

    def __init__(self, folder, kind, union):
        self.kind, self.union, self.folder = kind, union, folder
        self.image = os.path.join(folder, "disk")
        self.top = os.path.join(folder, "top")
        self.root = os.path.join(folder, "merged") if union else os.path.join(self.top, "lower")
        os.makedirs(self.top)
        with open(self.image, "wb") as file:
            file.truncate(DISK_BYTES)
        run(f"mkfs.{kind}", "-q", self.image)
        run("mount", "-o", "loop", self.image, self.top)
        for name in ("lower", "upper", "work"):
            os.makedirs(os.path.join(self.top, name))
        for name in ("replaced", "overwritten", "appended"):
            write(os.path.join(self.top, "lower", name), "old\n")
        write(os.path.join(self.top, "lower", "shortened"), "older\n")
        if union:
            os.makedirs(self.root)
            places = ",".join(f"{name}dir={self.top}/{name}" for name in ("lower", "upper", "work"))
            run("mount", "-t", "overlay", "overlay", "-o", places, self.root)

    def work(self, syncs):
        at = lambda name: os.path.join(self.root, name)
        if syncs:
            write(at("synced"), "text\n", sync=True)
        write(at("plain"), "text\n")
        write(at("replaced.new"), "new\n")
        os.rename(at("replaced.new"), at("replaced"))
        write(at("overwritten"), "new\n")
        write(at("appended"), "new\n", "a")
        os.truncate(at("shortened"), 3)
        write(at("shortened"), "new\n", "a")

    def left(self):
        copy, again = os.path.join(self.folder, "copy"), os.path.join(self.folder, "again")
        run("cp", "--sparse=always", self.image, copy)
        os.makedirs(again)
        run("mount", "-o", "loop,nouuid" if self.kind == "xfs" else "loop", copy, again)
        found = {}
        for name in NAMES:
            paths = [os.path.join(again, folder, name) for folder in (("upper", "lower") if self.union else ("lower",))]
            path = next(filter(os.path.exists, paths), None)
            found[name] = None if path is None else open(path).read()
        run("umount", again)
        return found

    def end(self):
        if self.union:
            run("umount", self.root)
        run("umount", self.top)


def main():
    parent = tempfile.mkdtemp(prefix="cowlab-power-")
    machines = [
        (seconds, Machine(tempfile.mkdtemp(dir=parent), kind, union))
        for kind in ("ext4", "xfs")
        for union in (False, True)
        for seconds in SECONDS
    ]
    os.sync()
    cases = []
    try:
        since = None
        for seconds, machine in sorted(machines, key=lambda one: one[0]):
            if seconds > 0 and since is None:
                since = time.monotonic()
                for later, other in machines:
                    if later > 0:
                        other.work(False)
            if seconds == 0:
                machine.work(True)
            else:
                time.sleep(max(0, since + seconds - time.monotonic()))
            case = {"filesystem": machine.kind, "union": machine.union, "seconds": seconds, "left": machine.left()}
            cases.append(case)
    finally:
        for _, machine in machines:
            machine.end()
        shutil.rmtree(parent)
    json.dump({"kernel": platform.release(), "cases": cases}, sys.stdout, indent=2)
    print()


main()
