"""Asks this machine's kernel what test/data/overlay-asked.json tells of it: makes the steps of each case on overlayfs over tmpfs, as root.

  python3 test/kernel/overlay-asked.py                     answers that differ from the file's
  python3 test/kernel/overlay-asked.py --write             writes the file anew, with what the kernel answers
  python3 test/kernel/overlay-asked.py --write NAME STEPS  the same with one more case: STEPS is JSON, [["mkdir", "/low/d"], …]

A step is what test/union/overlay-asked.test.ts makes of it; its paths begin in the folder of the layers.
"""
import ctypes
import errno
import json
import os
import stat
import subprocess
import sys
import tempfile


FILE = os.path.join(os.path.dirname(__file__), "../data/overlay-asked.json")
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


def act(base, op, path="", *more):
    at = base + path
    if op == "mkdir":
        os.mkdir(at)
    elif op == "put":
        with open(at, "w") as file:
            file.write(str(more[0]) if more else "")
    elif op == "setx":
        os.setxattr(at, more[0], (str(more[1]) if len(more) > 1 else "").encode(), follow_symlinks=False)
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
        of = os.lstat(at)
        kinds = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFCHR: "whiteout"}
        return kinds[stat.S_IFMT(of.st_mode)]
    elif op == "number":
        return str(os.lstat(at).st_ino)
    elif op == "numbered":
        same = os.lstat(at).st_ino % 2**32 == os.lstat(base + more[0]).st_ino % 2**32
        return "same" if same else "other"
    elif op == "device":
        return "same" if os.lstat(at).st_dev == os.lstat(base + more[0]).st_dev else "other"
    elif op == "links":
        return str(os.lstat(at).st_nlink)
    elif op == "getx":
        return os.getxattr(at, more[0], follow_symlinks=False).decode()
    else:
        raise ValueError(op)
    return "ok"


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
                subprocess.run(["umount", target], check=True)
    return told


def main():
    with open(FILE) as file:
        cases = json.load(file)
    words = [word for word in sys.argv[1:] if word != "--write"]
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
