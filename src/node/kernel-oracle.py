#!/usr/bin/env python3
"""Makes the steps of trace scripts on the running Linux kernel, and tells what it answered.

One JSON object a line on standard input, one answer a line on standard output:
  {"open": {"target": …, "backing": …, "mountOptions": …}}  a new lab, on a loop-mounted filesystem that stays for the next lab;
                                                            with "fresh": true on one of its own, on which nothing was before
  {"lab": …} and {"on": …, "call": …}                       a step in the trace format; the answer is its result, or {"ok": true}
  {"lab": "figures", "name": …}                             what the disk and a layer's own folder take, once everything is written
  {"close": true}                                           ends the lab
  {"mounts": [{"do": …, "path": …, "options": …}]}          made one after the other in a fresh tmpfs; an answer for each (see Mounts)
Targets: overlay2 (folders stacked by overlay), nested (the same over an overlay), vfs (cp -a), btrfs (subvolumes, snapshots), and the bare backing filesystems.

Root and Linux only. Run it in a mount namespace of its own (unshare --mount): whatever happens, its mounts end with it.
"""
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
HERE = -100  # AT_FDCWD
DISK_BYTES = 2 << 30
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFCHR: "char",
    stat.S_IFBLK: "block", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
}
TYPE_BITS = {name: bits for bits, name in KINDS.items()}
RENAME_FLAGS = {"NOREPLACE": 1, "EXCHANGE": 2, "WHITEOUT": 4}
FALLOC_FLAGS = {"KEEP_SIZE": 1, "PUNCH_HOLE": 2, "COLLAPSE_RANGE": 8, "ZERO_RANGE": 16, "INSERT_RANGE": 32, "UNSHARE": 64}
CAPABILITIES = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_LINUX_IMMUTABLE": 9,
    "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_MKNOD": 27, "CAP_SETFCAP": 31,
}
XATTR_FLAGS = {"CREATE": os.XATTR_CREATE, "REPLACE": os.XATTR_REPLACE}
FICLONE = 0x40049409
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_NOATIME_FL = 0x80086601, 0x40086602, 0x80
FLAG_LETTERS = {"S": 0x08, "i": 0x10, "a": 0x20, "d": 0x40, "A": 0x80}
AT_EMPTY_PATH = 0x1000
SPECIAL_TIMES = {"NOW": (1 << 30) - 1, "OMIT": (1 << 30) - 2}


def libc(name, *words):
    """A libc call that reports failure by -1 and errno. Texts go as bytes, numbers as longs."""
    converted = [w.encode() if isinstance(w, str) else ctypes.c_long(w) if isinstance(w, int) else w for w in words]
    answer = getattr(LIBC, name)(*converted)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def bits(names, table):
    return sum(table[name] for name in names)


def told(data):
    printable = len(data) <= 64 and all(32 <= byte < 127 for byte in data)
    return {"data": data.decode()} if printable else {"len": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def given(data):
    if isinstance(data, str):
        return data.encode()
    unit = data["fill"].encode()
    return (unit * (data["len"] // len(unit) + 1))[: data["len"]]


class Tree:
    """The state of the process in one tree: its descriptors by name, and numbers given to inodes in the order they were seen."""

    def __init__(self):
        self.fds = {}
        self.inodes = {}
        self.devices = {}
        self.times = {}
        self.pins = []

    def number(self, st, opened):
        """Names instead of numbers; an inode that was seen is held open, so that its number cannot come back for another."""
        key = (st.st_dev, st.st_ino)
        if key not in self.inodes:
            self.inodes[key] = len(self.inodes) + 1
            try:
                self.pins.append(opened())
            except OSError:
                pass
        return self.inodes[key], self.devices.setdefault(st.st_dev, len(self.devices) + 1)


def attributes(tree, st, opened, with_links=False):
    ino, dev = tree.number(st, opened)
    kind = KINDS[stat.S_IFMT(st.st_mode)]
    row = {"type": kind, "mode": "%04o" % stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "ino": ino, "dev": dev}
    if kind != "dir" or with_links:
        row["nlink"] = st.st_nlink
    if kind in ("file", "symlink"):
        row["size"] = st.st_size
    if kind in ("char", "block"):
        row["rdev"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    return row


def stat_path(tree, s, follow):
    flags = os.O_PATH | (0 if follow else os.O_NOFOLLOW)
    st = os.stat(s["path"], follow_symlinks=follow)
    return attributes(tree, st, lambda: os.open(s["path"], flags), s.get("dirnlink", False))


def open_file(tree, s):
    flags = 0
    for name in s["flags"]:
        flags |= getattr(os, name)
    tree.fds[s["fd"]] = os.open(s["path"], flags, int(s.get("mode", "0644"), 8))


def sync_tree(tree, s):
    top = os.open("/", os.O_RDONLY)
    try:
        libc("syncfs", top)
    finally:
        os.close(top)


def set_times(tree, s):
    words = (ctypes.c_long * 4)()
    for index, key in enumerate(("atime", "mtime")):
        value = s[key]
        words[2 * index], words[2 * index + 1] = (0, SPECIAL_TIMES[value]) if value in SPECIAL_TIMES else divmod(value, 10**9)
    libc("utimensat", HERE, s["path"], words, 0x100 if s.get("nofollow") else 0)


def time_of(s, which):
    return getattr(os.stat(s["path"], follow_symlinks=not s.get("nofollow")), "st_%s_ns" % which)


def compare_times(tree, s):
    now = time_of(s, s["of"])
    before = tree.times.get(s["key"])
    tree.times[s["key"]] = now
    if before is None:
        return None
    return "same" if now == before else "later" if now > before else "earlier"


def kind_of(entry):
    """What the directory tells where that is enough, as the recorder does."""
    if entry.is_dir(follow_symlinks=False):
        return "dir"
    return "symlink" if entry.is_symlink() else KINDS[stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)]


def list_names(tree, s):
    with os.scandir(s["path"]) as entries:
        return sorted([e.name, kind_of(e)] for e in entries)


def whole_tree(tree, s):
    rows = []
    for folder, folders, files in os.walk(s.get("path", "/")):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            kind = KINDS[stat.S_IFMT(st.st_mode)]
            content = None
            if kind == "file":
                with open(path, "rb") as file:
                    content = told(file.read())
            elif kind == "symlink":
                content = os.readlink(path)
            names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith("user.")]
            xattrs = {n: os.getxattr(path, n, follow_symlinks=False).decode("latin1") for n in names}
            links = None if kind == "dir" else st.st_nlink
            rows.append([path, kind, "%04o" % stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, links, content, xattrs])
    return sorted(rows, key=lambda row: row[0])


def with_file(path, work):
    fd = os.open(path, os.O_RDONLY)
    try:
        return work(fd)
    finally:
        os.close(fd)


def cached_pages(fd):
    size = os.fstat(fd).st_size
    if size == 0:
        return 0
    present = (ctypes.c_ubyte * ((size + 4095) // 4096))()
    LIBC.mmap.restype = ctypes.c_void_p
    address = LIBC.mmap(None, ctypes.c_size_t(size), 1, 1, fd, ctypes.c_long(0))
    LIBC.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), present)
    LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return sum(one & 1 for one in present)


def drop_pages(fd):
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def map_page(tree, s):
    protection = bits(s["prot"], {"r": mmap.PROT_READ, "w": mmap.PROT_WRITE})
    share = mmap.MAP_SHARED if s.get("share", "shared") == "shared" else mmap.MAP_PRIVATE
    with mmap.mmap(tree.fds[s["fd"]], 4096, share, protection) as area:
        byte = area[0]
        if "w" in s["prot"]:
            area[0] = byte


def check_access(tree, s):
    libc("faccessat", HERE, s["path"], bits(s["want"], {"r": 4, "w": 2, "x": 1}), 0x200)


def make_node(tree, s):
    os.mknod(s["path"], int(s.get("mode", "0644"), 8) | TYPE_BITS[s["type"]], os.makedev(*s.get("rdev", (0, 0))))


def rename(tree, s):
    libc("renameat2", HERE, s["path"], HERE, s["to"], bits(s.get("flags", ()), RENAME_FLAGS))


def set_xattr(tree, s):
    """Of a path or a descriptor; the value is a text, or its bytes in hex."""
    value = bytes.fromhex(s["hex"]) if "hex" in s else s["value"].encode()
    target = tree.fds[s["fd"]] if "fd" in s else s["path"]
    os.setxattr(target, s["name"], value, bits(s.get("flags", ()), XATTR_FLAGS), follow_symlinks="nofollow" not in s)


def visible_xattrs(tree, s):
    return sorted(name for name in os.listxattr(s["path"]) if name != "security.selinux")


def set_noatime(fd):
    flags = bytearray(8)
    fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, (int.from_bytes(flags, "little") | FS_NOATIME_FL).to_bytes(8, "little"))


def send(fd):
    to = os.memfd_create("to")
    try:
        os.sendfile(to, fd, 0, 100)
    finally:
        os.close(to)


def execute(path):
    """Only whether execve(2) fails: a child that becomes the program would run it."""
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code > 0:
        raise OSError(code, os.strerror(code))


def watch(path):
    fd = libc("inotify_init")
    try:
        libc("inotify_add_watch", fd, path, 0xFFF)
    finally:
        os.close(fd)


def make_link(tree, s):
    if "fd" in s:
        libc("linkat", tree.fds[s["fd"]], "", HERE, s["to"], AT_EMPTY_PATH)
    else:
        libc("linkat", HERE, s["path"], HERE, s["to"], 0)


def flags_of(fd):
    flags = bytearray(8)
    fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
    return int.from_bytes(flags, "little")


def named_flags(fd):
    flags = flags_of(fd)
    return "".join(letter for letter, bit in FLAG_LETTERS.items() if flags & bit)


def set_flags(fd, letters):
    flags = flags_of(fd) & ~sum(FLAG_LETTERS.values()) | bits(letters, FLAG_LETTERS)
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags.to_bytes(8, "little"))


OTHERS = {
    "flock": lambda p: with_file(p, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX)),
    "lock": lambda p: with_file(p, lambda fd: fcntl.lockf(fd, fcntl.LOCK_SH)),
    "fadvise": lambda p: with_file(p, lambda fd: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)),
    "sendfile": lambda p: with_file(p, send),
    "getflags": lambda p: with_file(p, lambda fd: fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytearray(8))),
    "setnoatime": lambda p: with_file(p, set_noatime),
    "inotify": watch,
    "exec": execute,
}

CALLS = {
    "other": lambda t, s: OTHERS[s["what"]](s["path"]),
    "open": open_file,
    "close": lambda t, s: os.close(t.fds.pop(s["fd"])),
    "read": lambda t, s: told(os.read(t.fds[s["fd"]], s["len"])),
    "pread": lambda t, s: told(os.pread(t.fds[s["fd"]], s["len"], s["offset"])),
    "write": lambda t, s: os.write(t.fds[s["fd"]], given(s["data"])),
    "pwrite": lambda t, s: os.pwrite(t.fds[s["fd"]], given(s["data"]), s["offset"]),
    "lseek": lambda t, s: os.lseek(t.fds[s["fd"]], s["offset"], getattr(os, s["whence"])),
    "truncate": lambda t, s: os.truncate(s["path"], s["len"]),
    "ftruncate": lambda t, s: os.ftruncate(t.fds[s["fd"]], s["len"]),
    "fsync": lambda t, s: os.fsync(t.fds[s["fd"]]),
    "fdatasync": lambda t, s: os.fdatasync(t.fds[s["fd"]]),
    "fadvise": lambda t, s: os.posix_fadvise(t.fds[s["fd"]], s.get("offset", 0), s.get("len", 0), getattr(os, "POSIX_FADV_" + s["advice"].upper())),
    "sync": sync_tree,
    "fallocate": lambda t, s: libc("fallocate", t.fds[s["fd"]], bits(s.get("flags", ()), FALLOC_FLAGS), s["offset"], s["len"]) and None,
    "copy_file_range": lambda t, s: os.copy_file_range(t.fds[s["fd"]], t.fds[s["to"]], s["len"]),
    "clone": lambda t, s: fcntl.ioctl(t.fds[s["to"]], FICLONE, t.fds[s["fd"]]) and None,
    "stat": lambda t, s: stat_path(t, s, True),
    "lstat": lambda t, s: stat_path(t, s, False),
    "fstat": lambda t, s: attributes(t, os.fstat(t.fds[s["fd"]]), lambda: os.dup(t.fds[s["fd"]])),
    "access": check_access,
    "mkdir": lambda t, s: os.mkdir(s["path"], int(s.get("mode", "0755"), 8)),
    "rmdir": lambda t, s: os.rmdir(s["path"]),
    "unlink": lambda t, s: os.unlink(s["path"]),
    "link": make_link,
    "getflags": lambda t, s: with_file(s["path"], named_flags),
    "setflags": lambda t, s: with_file(s["path"], lambda fd: set_flags(fd, s["flags"])),
    "symlink": lambda t, s: os.symlink(s["target"], s["path"]),
    "readlink": lambda t, s: os.readlink(s["path"]),
    "rename": rename,
    "mknod": make_node,
    "chmod": lambda t, s: os.chmod(s["path"], int(s["mode"], 8)),
    "fchmod": lambda t, s: os.fchmod(t.fds[s["fd"]], int(s["mode"], 8)),
    "chown": lambda t, s: os.chown(s["path"], s["uid"], s["gid"]),
    "lchown": lambda t, s: os.lchown(s["path"], s["uid"], s["gid"]),
    "fchown": lambda t, s: os.fchown(t.fds[s["fd"]], s["uid"], s["gid"]),
    "utimens": set_times,
    "atime": lambda t, s: time_of(s, "atime"),
    "mtime": lambda t, s: time_of(s, "mtime"),
    "times": compare_times,
    "readdir": list_names,
    "setxattr": set_xattr,
    "getxattr": lambda t, s: os.getxattr(s["path"], s["name"]).decode("latin1"),
    "removexattr": lambda t, s: os.removexattr(s["path"], s["name"]),
    "listxattr": visible_xattrs,
    "tree": whole_tree,
    "mmap": map_page,
    "cached": lambda t, s: with_file(s["path"], cached_pages),
    "drop": lambda t, s: with_file(s["path"], drop_pages),
}
SILENT = {"other", "rename", "fallocate", "link", "clone", "access", "sync", "utimens"}


def lose(names):
    """Root's effective capabilities without some: capset(2), in its third version. A process that is forked later has them again as well."""
    header = struct.pack("Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    libc("capget", header, data)
    words = list(struct.unpack("6I", data.raw))
    words[0], words[3] = words[1], words[4]
    for name in names:
        number = CAPABILITIES[name]
        words[0 if number < 32 else 3] &= ~(1 << number % 32)
    libc("capset", header, struct.pack("6I", *words))


def become(user):
    os.setgroups(user.get("groups", []))
    os.setresgid(-1, user["gid"], -1)
    os.setresuid(-1, user["uid"], -1)
    if "without" in user:
        lose(user["without"])


def become_root():
    os.setresuid(-1, 0, -1)
    lose([])
    os.setresgid(-1, 0, -1)
    os.setgroups([])


def answer(tree, step):
    """One call's result in the trace format."""
    named = [step[key] for key in ("fd", "to") if key in step and (key, step["call"]) not in (("fd", "open"), ("to", "rename"), ("to", "link"))]
    try:
        if "as" in step:
            become(step["as"])
        os.umask(int(step.get("umask", "0"), 8))
        if any(name not in tree.fds for name in named):
            return {"errno": "EBADF"}
        value = CALLS[step["call"]](tree, step)
        return {"ok": True} if value is None or step["call"] in SILENT else {"value": value}
    except OSError as error:
        return {"errno": errno.errorcode[error.errno]}
    finally:
        if "as" in step:
            become_root()


class Process:
    """A child with its root in a tree; asked by lines, like this program itself."""

    def __init__(self, root, others):
        ask_out, ask_in = os.pipe()
        tell_out, tell_in = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for one in [ask_in, tell_out, *others]:
                os.close(one)
            os.chroot(root)
            os.chdir("/")
            tree = Tree()
            with os.fdopen(ask_out) as questions, os.fdopen(tell_in, "w") as answers:
                for line in questions:
                    print(json.dumps(answer(tree, json.loads(line))), file=answers, flush=True)
            os._exit(0)
        os.close(ask_out)
        os.close(tell_in)
        self.ends = (ask_in, tell_out)
        self.questions, self.answers = os.fdopen(ask_in, "w"), os.fdopen(tell_out)

    def ask(self, line):
        print(line, file=self.questions, flush=True)
        return json.loads(self.answers.readline())

    def end(self):
        self.questions.close()
        self.answers.close()
        os.waitpid(self.pid, 0)


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


MS_RDONLY = 1
MS_REMOUNT = 32


def mount(kind, source, target, options="", flags=0):
    """mount(2) without a process: a hundred thousand of them cost too much."""
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()) < 0:
        number = ctypes.get_errno()
        raise OSError(number, "mount %s: %s (%s)" % (kind, os.strerror(number), options))


class Lab:
    def __init__(self, home, header):
        self.home, self.target, self.options = home, header["target"], header.get("mountOptions", "")
        self.backing = header["backing"]
        self.parents, self.own, self.roots, self.processes, self.mounts = {}, {}, {}, {}, []
        self.has_flags = False
        os.mkdir(home)

    def add(self, name, parent, raw):
        home = os.path.join(self.home, name)
        self.parents[name] = parent
        if parent is not None:
            self.seal(parent)
        if self.target in ("overlay2", "nested"):
            self.roots[name] = self.add_overlay(name, parent, home, raw)
            return
        if self.target == "btrfs":
            run("btrfs", "subvolume", *(["create"] if parent is None else ["snapshot", self.roots[parent]]), home)
        elif self.target == "vfs" and parent is not None:
            run("cp", "-a", self.roots[parent], home)
        else:
            os.mkdir(home)
        self.roots[name] = home

    def seal(self, name):
        """A layer that something is put over: its process ends, and its union is unmounted."""
        if name in self.processes:
            self.processes.pop(name).end()
        if self.roots[name] in self.mounts and self.target != "nested":
            self.mounts.remove(self.roots[name])
            libc("umount2", self.roots[name], 0)

    def add_overlay(self, name, parent, home, raw):
        own, work, merged = (os.path.join(home, part) for part in ("diff", "work", "merged"))
        for folder in (home, own, work, merged):
            os.mkdir(folder)
        self.own[name] = own
        if parent is None or raw:
            return own
        lowers = self.lowers_over(parent)
        options = "lowerdir=%s,upperdir=%s,workdir=%s" % (":".join(lowers), own, work)
        mount("overlay", "overlay", merged, options + ("," + self.options if self.options else ""))
        self.mounts.append(merged)
        return merged

    def lowers_over(self, parent):
        """Lower layers, topmost first. Nested: the first layer over a base stays mounted, and its mount is the lowest layer of all above it."""
        lowers = []
        while parent is not None:
            above = self.parents[parent]
            if self.target == "nested" and above is not None and self.parents[above] is None:
                return lowers + [self.roots[parent]]
            lowers.append(self.own[parent])
            parent = above
        return lowers

    def upper(self, name):
        top = self.own.get(name)
        if top is None:
            return {"ok": True}
        rows = []
        for folder, folders, files in os.walk(top):
            for entry in folders + files:
                path = os.path.join(folder, entry)
                st = os.lstat(path)
                kind = KINDS[stat.S_IFMT(st.st_mode)]
                marks = {}
                for mark in ("opaque", "redirect", "metacopy", "whiteout", "protattr"):
                    try:
                        marks[mark] = os.getxattr(path, "trusted.overlay." + mark, follow_symlinks=False).decode("latin1")
                    except OSError:
                        pass
                row = ["/" + os.path.relpath(path, top), "whiteout" if kind == "char" and st.st_rdev == 0 else kind]
                rows.append(row + [marks] if marks else row)
        return {"value": sorted(rows, key=lambda row: row[0])}

    def figures(self, name):
        """Bytes and inodes in use, bytes written to the disk so far, and what the layer's own folder takes."""
        top = os.open(self.home, os.O_RDONLY)
        try:
            libc("syncfs", top)
            if self.backing == "xfs":  # freezing waits for the inodes that are still to be freed in the background
                for request in (FIFREEZE, FITHAW):
                    fcntl.ioctl(top, request, 0)
            space = os.fstatvfs(top)
        finally:
            os.close(top)
        with open("/proc/self/mounts") as mounts:
            disk = [line.split()[0] for line in mounts if line.split()[1] == os.path.dirname(self.home)][-1]
        with open("/sys/block/%s/stat" % os.path.basename(disk)) as counts:
            written = int(counts.read().split()[6]) * 512
        folder, own = self.own.get(name, self.roots[name]), 0
        for below, _, files in os.walk(folder):
            own += sum(os.lstat(os.path.join(below, one)).st_blocks * 512 for one in files + ["."])
        return {"value": {
            "used": (space.f_blocks - space.f_bfree) * space.f_frsize, "inodes": space.f_files - space.f_ffree,
            "written": written, "own": own,
        }}

    def step(self, step, line):
        kind = step.get("lab")
        if kind == "figures":
            return self.figures(step["name"])
        if kind is None:
            name = step["on"]
            self.has_flags = self.has_flags or step["call"] == "setflags"
            if name not in self.processes:
                others = [end for process in self.processes.values() for end in process.ends]
                self.processes[name] = Process(self.roots[name], others)
            return self.processes[name].ask(line)
        if kind in ("layer", "container"):
            self.add(step["name"], step.get("parent"), step.get("raw", False))
        return self.upper(step["name"]) if kind == "upper" else {"ok": True}

    def end(self):
        for process in self.processes.values():
            process.end()
        for merged in reversed(self.mounts):
            libc("umount2", merged, 0)
        if self.target == "btrfs":
            for home in self.roots.values():
                run("btrfs", "subvolume", "delete", home)
        if self.has_flags:
            subprocess.run(["chattr", "-R", "-f", "-i", "-a", self.home], check=False)
        shutil.rmtree(self.home)


class Mounts:
    """Folders, overlay mounts and unmounts in a tmpfs of their own; paths of the options begin there."""

    def __init__(self, folder):
        self.root = tempfile.mkdtemp(dir=folder)
        mount("tmpfs", "tmpfs", self.root)
        self.mounted = [self.root]

    def perform(self, step):
        path = os.path.join(self.root, step["path"])
        if step["do"] == "mkdir":
            os.makedirs(path, exist_ok=True)
        elif step["do"] == "file":
            open(path, "w").close()
        elif step["do"] == "rmdir":
            shutil.rmtree(path)
        elif step["do"] == "umount":
            self.mounted.remove(path)
            libc("umount2", path, 0)
        elif step["do"] == "remount":
            words = step["options"].split(",")
            flags = MS_REMOUNT | (MS_RDONLY if "ro" in words else 0)
            mount("overlay", "overlay", path, ",".join(word for word in words if word != "ro"), flags)
        elif step["do"] == "exists":
            os.lstat(path)
        elif step["do"] == "write":
            with open(path, "w") as file:
                file.write(step["text"])
        elif step["do"] == "symlink":
            os.symlink(step["text"], path)
        elif step["do"] == "metacopy":
            with open(path, "w") as file:
                file.truncate(step["size"])
            os.setxattr(path, "trusted.overlay.metacopy", b"")
            if "redirect" in step:
                os.setxattr(path, "trusted.overlay.redirect", step["redirect"].encode())
        elif step["do"] == "chmod":
            os.chmod(path, 0o600)
        elif step["do"] == "unlink":
            os.unlink(path)
        elif step["do"] == "stat":
            st = os.lstat(path)
            return "%d bytes, %d blocks" % (st.st_size, st.st_blocks)
        elif step["do"] == "read":
            with open(path) as file:
                return "read " + file.read()
        elif step["do"] == "append":
            with open(path, "a") as file:
                file.write(step["text"])
        else:
            os.makedirs(path, exist_ok=True)
            mount("overlay", "overlay", path, step["options"])
            self.mounted.append(path)
        return None

    def make(self, steps):
        here = os.getcwd()
        os.chdir(self.root)
        answers = []
        for step in steps:
            try:
                answers.append(self.perform(step) or "ok")
            except OSError as error:
                answers.append(errno.errorcode[error.errno])
        os.chdir(here)
        for path in reversed(self.mounted):
            libc("umount2", path, 0)
        return answers


class Disk:
    """A loop-mounted filesystem, kept for every lab that stands on it."""

    def __init__(self, folder, kind):
        self.root = os.path.join(folder, kind)
        self.count = 0
        os.mkdir(self.root)
        if kind == "tmpfs":
            mount("tmpfs", "tmpfs", self.root)
            return
        image = self.root + ".disk"
        with open(image, "wb") as file:
            file.truncate(DISK_BYTES)
        run("mkfs." + kind, "-q", image)
        run("mount", "-o", "loop", image, self.root)

    def next_home(self):
        self.count += 1
        return os.path.join(self.root, str(self.count))

    def end(self):
        subprocess.run(["umount", self.root], check=False)
        os.rmdir(self.root)
        if os.path.exists(self.root + ".disk"):
            os.unlink(self.root + ".disk")


def main():
    folder = tempfile.mkdtemp(prefix="cowlab-kernel-")
    disks, lab = {}, None
    try:
        for line in sys.stdin:
            step = json.loads(line)
            if "open" in step:
                kind = step["open"]["backing"]
                if step["open"].get("fresh") and kind in disks:
                    disks.pop(kind).end()
                if kind not in disks:
                    disks[kind] = Disk(folder, kind)
                lab, result = Lab(disks[kind].next_home(), step["open"]), {"ok": True}
            elif "mounts" in step:
                result = Mounts(folder).make(step["mounts"])
            elif "close" in step:
                lab.end()
                lab, result = None, {"ok": True}
            else:
                result = lab.step(step, line.strip())
            print(json.dumps(result), flush=True)
    finally:
        if lab is not None:
            lab.end()
        for disk in disks.values():
            disk.end()
        shutil.rmtree(folder, ignore_errors=True)


main()
