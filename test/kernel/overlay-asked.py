"""Asks this machine's kernel what test/data/overlay-asked.json tells of it: makes the steps of each case on overlayfs over tmpfs, as root; with --full
what overlay-full.json tells, over filesystems that are full; with --reused what overlay-reused.json tells, of numbers of inodes that were used again.

  python3 test/kernel/overlay-asked.py                     answers that differ from the file's
  python3 test/kernel/overlay-asked.py --write             writes the file anew, with what the kernel answers
  python3 test/kernel/overlay-asked.py --write NAME STEPS  the same with one more case: STEPS is JSON, [["mkdir", "/low/d"], …]

A step is what test/union/overlay-asked.test.ts makes of it; its paths begin in the folder of the layers.
"""
import ctypes
import errno
import glob
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time

SETS = [word[2:] for word in sys.argv if word in ("--full", "--reused")] or ["asked"]
FILE = os.path.join(os.path.dirname(__file__), "../data", f"overlay-{SETS[0]}.json")
KINDS = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFCHR: "whiteout"}
FOLDERS = ["m", "up", "up2", "work", "work2", "low", "low2"]
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(kind, target, options, flags=0):
    if LIBC.mount(b"t", target.encode(), kind.encode(), flags, options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def umount(target):
    if LIBC.umount2(target.encode(), 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def below(base, option):
    name, _, value = option.partition("=")
    if not value.startswith("/"):
        return option
    return name + "=" + ":".join(base + path if path.startswith("/") else path for path in value.split(":"))


def rows(folder, path=""):
    """What a folder holds: path, type, mode, links, of files the size, and overlayfs's own xattrs; of names that tell a handle, and of those
    of what is under way, only that they are there."""
    found = []
    for name in sorted(os.listdir(folder)):
        at, shown = os.path.join(folder, name), path + "/" + re.sub("^[0-9a-f]{30,}$", "*", re.sub("^#[0-9a-f]+$", "#", name))
        of = os.lstat(at)
        kind = KINDS[stat.S_IFMT(of.st_mode)]
        row = [shown, kind, oct(of.st_mode & 0o7777)[2:], str(of.st_nlink)] + ([str(of.st_size)] if kind == "file" else [])
        for attribute in sorted(os.listxattr(at, follow_symlinks=False)):
            own = re.fullmatch("(?:trusted|user)[.]overlay[.](.*)", attribute)
            if own is not None and own[1] in ("origin", "upper", "uuid"):
                row.append(own[1])
            elif own is not None:
                row.append(own[1] + "=" + os.getxattr(at, attribute, follow_symlinks=False).decode())
        found.append(" ".join(row))
        if kind == "dir":
            found += rows(at, shown)
    return found


def disk(base, at, kind, size):
    """A disk of so many MiB with a filesystem, mounted in a new folder that has the folders of the layers."""
    with open(at + ".image", "wb") as file:
        file.truncate(size << 20)
    os.mkdir(at)
    blocks = ["-b", "4096"] if kind == "ext4" else []
    subprocess.run(["mkfs." + kind, "-q", *blocks, at + ".image"], check=True)
    subprocess.run(["mount", "-o", "loop", at + ".image", at], check=True)
    for name in FOLDERS:
        os.mkdir(at + "/" + name)


def fill(at, left):
    """Takes space until no more than `left` bytes are free."""
    file = os.open(at, os.O_CREAT | os.O_WRONLY, 0o644)

    def free():
        LIBC.syncfs(file)
        of = os.statvfs(at)
        return of.f_bfree * of.f_bsize - left

    end, want = 0, free()
    while want > 0:
        length = min(want, free())
        if length <= 0:
            break
        if LIBC.fallocate(file, 0, ctypes.c_long(end), ctypes.c_long(length)) == 0:
            end += length
        else:
            want = want // 2 // 4096 * 4096
    os.close(file)


def reuse(at, new):
    """Removes a file or an empty directory and makes others of its kind until one has its number; the others go."""
    number, made, is_directory = os.lstat(at).st_ino, [], os.path.isdir(at)
    make, remove = (os.mkdir, os.rmdir) if is_directory else (lambda path: open(path, "w").close(), os.unlink)
    remove(at)
    # xfs gives a number back later (xfs_inodegc): statfs pushes it on.
    os.statvfs(os.path.dirname(at))
    time.sleep(0.2)
    for turn in range(200):
        path = f"{new}.{turn}"
        make(path)
        if os.lstat(path).st_ino == number:
            os.rename(path, new)
            break
        made.append(path)
    for path in made:
        remove(path)
    return "ok" if os.path.exists(new) else "never"


def act(base, op, path="", *more):
    # Entries of an index are named by handles, which no case can know: a star stands for the only one.
    at = (glob.glob(base + path) + [base + path])[0] if path.endswith("*") else base + path
    if op == "mkdir":
        os.mkdir(at)
    elif op == "put":
        with open(at, "w") as file:
            file.write(str(more[0]) if more else "")
    elif op == "setx":
        os.setxattr(at, more[0], (str(more[1]) if len(more) > 1 else "").encode(), follow_symlinks=False)
    elif op == "rmx":
        os.removexattr(at, more[0], follow_symlinks=False)
    elif op == "mount":
        mount("overlay", base + "/m", ",".join(below(base, option) for option in path.split(",")))
    elif op == "umount":
        umount(base + "/m")
    elif op == "tmpfs":
        mount("tmpfs", at, "", 1 if more and more[0] == "ro" else 0)
    elif op == "stat":
        os.lstat(at)
    elif op == "list":
        return ",".join(sorted(os.listdir(at)))
    elif op == "read":
        with open(at) as file:
            return file.read(100)
    elif op == "rename":
        os.rename(at, base + more[0])
    elif op == "link":
        os.link(at, base + more[0])
    elif op == "unlink":
        os.unlink(at)
    elif op == "rmdir":
        os.rmdir(at)
    elif op == "chmod":
        os.chmod(at, more[0])
    elif op == "type":
        return KINDS[stat.S_IFMT(os.lstat(at).st_mode)]
    elif op == "tree":
        return "; ".join(sorted(rows(at)))
    elif op == "listed":
        here = {entry.name: entry.inode() for entry in os.scandir(at)}
        return ",".join(sorted(name for name, number in here.items() if number == os.lstat(at + "/" + name).st_ino))
    elif op == "append":
        with open(at, "a") as file:
            file.write(more[0])
    elif op == "symlink":
        os.symlink(more[0], at)
    elif op == "number":
        return str(os.lstat(at).st_ino)
    elif op == "numbered":
        same = os.lstat(at).st_ino % 2**32 == os.lstat(base + more[0]).st_ino % 2**32
        return "same" if same else "other"
    elif op == "device":
        return "same" if os.lstat(at).st_dev == os.lstat(base + more[0]).st_dev else "other"
    elif op == "links":
        return str(os.lstat(at).st_nlink)
    elif op == "own":
        return ",".join(sorted(name for name in os.listxattr(at) if ".overlay." in name))
    elif op == "reuse":
        return reuse(at, base + more[0])
    elif op == "disk":
        disk(base, at, more[0], more[1])
    elif op == "fill":
        fill(at, more[0] * 1024)
    elif op == "big":
        with open(at, "wb") as file:
            file.write(os.urandom(more[0] * 1024))
    elif op == "truncate":
        os.truncate(at, more[0])
    elif op == "getx":
        return os.getxattr(at, more[0], follow_symlinks=False).decode()
    else:
        raise ValueError(op)
    return "ok"


def release(target):
    """A loop device lets its image go a little after it is unmounted."""
    for _ in range(50):
        if subprocess.run(["umount", target], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    raise OSError(errno.EBUSY, target)


def ask(steps):
    told = []
    with tempfile.TemporaryDirectory() as base:
        mount("tmpfs", base, "")
        os.umask(0o22)
        for name in FOLDERS:
            os.mkdir(base + "/" + name)
        try:
            for step in steps:
                try:
                    answer = act(base, *step)
                except OSError as error:
                    answer = errno.errorcode[error.errno].replace("EOPNOTSUPP", "ENOTSUP")
                told.append([step, answer])
        finally:
            mounts = [line.split()[1] for line in open("/proc/mounts")]
            for target in reversed([at for at in mounts if at == base or at.startswith(base + "/")]):
                release(target)
    return told


def main():
    cases = {}
    if os.path.exists(FILE):
        with open(FILE) as file:
            cases = json.load(file)
    words = [word for word in sys.argv[1:] if word not in ("--write", "--full", "--reused")]
    asked = {name: [step for step, _ in steps] for name, steps in cases.items()}
    asked.update({name: json.loads(steps) for name, steps in zip(words[::2], words[1::2])})
    answers = {name: ask(steps) for name, steps in asked.items()}
    if "--write" in sys.argv:
        with open(FILE, "w") as file:
            rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(steps)}" for name, steps in answers.items())
            file.write("{\n" + rows + "\n}\n")
        return
    for name, steps in answers.items():
        for (step, answer), (_, before) in zip(steps, cases.get(name, steps)):
            if answer != before:
                print(f"{name}: {step} is {answer}, not {before}")


main()
