#!/usr/bin/env python3
"""Runs scripts on the kernel's own xfs and notes what each step cost: free blocks and inodes, and what stat and fiemap tell of its file.

usage: record.py SCRIPT.json > ANSWERS.json      (root, Linux with xfs, xfsprogs)

A script is {"size": MiB, "make": options of mkfs.xfs, "steps": [...]}; see xfs-script.ts for the steps. The answer is the script with
"told" beside each step.
"""
import ctypes, errno, fcntl, json, os, shutil, stat, struct, subprocess, sys, tempfile, time

FICLONERANGE = 0x4020940D
FIEMAP = 0xC020660B
libc = ctypes.CDLL(None, use_errno=True)


def extents(path):
    """Triples of logical start, blocks, physical start; None where one has no place yet."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        room = 400
        head = struct.pack("=QQIIII", 0, 2**63 - 1, 0, 0, room, 0)
        buffer = bytearray(head + bytes(56 * room))
        fcntl.ioctl(fd, FIEMAP, buffer)
        count = struct.unpack_from("=I", buffer, 20)[0]
        if count == room:
            return None
        out = []
        for n in range(count):
            logical, physical, length = struct.unpack_from("=QQQ", buffer, 32 + 56 * n)
            flags = struct.unpack_from("=I", buffer, 32 + 56 * n + 40)[0]
            if flags & 0x6:
                return None
            start = [logical // 4096, length // 4096, physical // 4096]
            if out and out[-1][0] + out[-1][1] == start[0] and out[-1][2] + out[-1][1] == start[2]:
                out[-1][1] += start[1]
            else:
                out += [start]
        return [value for one in out for value in one]
    finally:
        os.close(fd)


def data(length):
    return b"x" * length


class Run:
    def __init__(self, root):
        self.root = root
        self.fds = {}

    def path(self, name):
        return self.root + name

    def sync(self):
        fd = os.open(self.root, os.O_RDONLY)
        libc.syncfs(fd)
        os.close(fd)

    def step(self, s):
        call = s["call"]
        p = self.path(s["path"]) if "path" in s else None
        if call == "write":
            fd = os.open(p, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                return os.pwrite(fd, data(s["length"]), s.get("offset", 0))
            finally:
                os.close(fd)
        if call == "open":
            self.fds[s["fd"]] = os.open(p, os.O_RDWR | os.O_CREAT, 0o644)
        elif call == "pwrite":
            return os.pwrite(self.fds[s["fd"]], data(s["length"]), s["offset"])
        elif call == "close":
            os.close(self.fds.pop(s["fd"]))
        elif call == "mkdir":
            os.mkdir(p, 0o755)
        elif call == "symlink":
            os.symlink("y" * s["length"], p)
        elif call == "mknod":
            os.mknod(p, stat.S_IFIFO | 0o644)
        elif call == "link":
            os.link(p, self.path(s["to"]))
        elif call == "rename":
            os.rename(p, self.path(s["to"]))
        elif call == "truncate":
            os.truncate(p, s["length"])
        elif call == "fallocate":
            fd = os.open(p, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if libc.fallocate(fd, s["mode"], ctypes.c_long(s["offset"]), ctypes.c_long(s["length"])) != 0:
                    raise OSError(ctypes.get_errno(), "")
            finally:
                os.close(fd)
        elif call == "clone":
            one = os.open(p, os.O_RDONLY)
            two = os.open(self.path(s["to"]), os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                fcntl.ioctl(two, FICLONERANGE, struct.pack("=qQQQ", one, s.get("from", 0), s.get("length", 0), s.get("offset", 0)))
            finally:
                os.close(one)
                os.close(two)
        elif call == "unlink":
            os.unlink(p)
        elif call == "rmdir":
            os.rmdir(p)
        elif call == "setxattr":
            os.setxattr(p, s["name"], data(s["length"]))
        elif call == "removexattr":
            os.removexattr(p, s["name"])
        elif call == "files":
            for n in range(s["first"], s["first"] + s["count"]):
                fd = os.open(p + "/" + str(n).rjust(s["name"], "n"), os.O_WRONLY | os.O_CREAT, 0o644)
                if s["length"] > 0:
                    os.write(fd, data(s["length"]))
                os.close(fd)
        elif call == "unlinkFiles":
            for n in range(s["first"], s["first"] + s["count"], s.get("by", 1)):
                os.unlink(p + "/" + str(n).rjust(s["name"], "n"))
        elif call == "sync":
            self.sync()
        else:
            raise ValueError(call)

    def told(self, s):
        try:
            value = self.step(s)
            told = {} if value is None else {"value": value}
        except OSError as error:
            told = {"errno": errno.errorcode[error.errno]}
        if s["call"] in ("unlink", "rmdir", "unlinkFiles", "rename", "close"):
            time.sleep(0.03)
        if s.get("synced"):
            self.sync()
        f = os.statvfs(self.root)
        if s["call"] in ("unlink", "rmdir", "unlinkFiles", "rename", "close"):
            time.sleep(0.03)
            f = os.statvfs(self.root)
        told["free"] = f.f_bfree
        told["inodes"] = f.f_files - f.f_ffree
        shown = s.get("to", s.get("path"))
        if shown is not None and os.path.lexists(self.path(shown)):
            found = os.lstat(self.path(shown))
            told["ino"] = found.st_ino
            told["size"] = found.st_size
            told["sectors"] = found.st_blocks
            if stat.S_ISREG(found.st_mode):
                where = extents(self.path(shown))
                if where is not None:
                    told["extents"] = where
        return told


def main():
    script = json.load(open(sys.argv[1]))
    folder = tempfile.mkdtemp(prefix="xfs-record-")
    image, mount = folder + "/image", folder + "/mount"
    os.mkdir(mount)
    loop = None
    try:
        subprocess.run(["truncate", "-s", f"{script['size']}M", image], check=True)
        subprocess.run(["mkfs.xfs", "-q", "-f", "-K", *script.get("make", "").split(), image], check=True)
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["mount", "-t", "xfs", loop, mount], check=True)
        run = Run(mount)
        f = os.statvfs(mount)
        script["fresh"] = {"blocks": f.f_blocks, "free": f.f_bfree, "files": f.f_files, "inodes": f.f_files - f.f_ffree}
        for s in script["steps"]:
            s["told"] = run.told(s)
        for fd in run.fds.values():
            os.close(fd)
    finally:
        subprocess.run(["umount", mount], stderr=subprocess.DEVNULL)
        if loop:
            subprocess.run(["losetup", "-d", loop])
        shutil.rmtree(folder)
    steps = script.pop("steps")
    head = json.dumps(script)
    print(head[:-1] + ',"steps":[\n' + ",\n".join(json.dumps(s) for s in steps) + "\n]}")


main()
