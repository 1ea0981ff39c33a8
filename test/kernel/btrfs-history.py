"""Makes a history of changes on a real btrfs (test/cow/btrfs-history.ts says which there are): argv: a file with the history, the mount point.
Prints a JSON list: what is told at first, and after each change. Needs root; all that it makes is below the mount point."""
import ctypes, errno, fcntl, json, os, random, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
history, top = json.load(open(sys.argv[1])), sys.argv[2]
held = {}

def btrfs(*words):
    return subprocess.run(["btrfs", *words], capture_output=True, text=True)

def at(path):
    return os.path.join(top, path)

def content(one, more=0):
    length = one.get("length", 0)
    if one.get("kind") == "z": return b"\0" * length
    if one.get("kind") == "t": return (b"abcdefgh" * (length // 8 + 1))[:length]
    return random.Random(one.get("seed", 0) + more).randbytes(length)

# What is told

SPACE_INFO = 0xC0109414
TYPES = {1: "data", 2: "system", 4: "metadata"}

def space():
    raw = bytearray(struct.pack("QQ", 16, 0) + bytes(24 * 16))
    fd = os.open(top, os.O_RDONLY)
    fcntl.ioctl(fd, SPACE_INFO, raw)
    os.close(fd)
    out = {}
    for slot in range(struct.unpack_from("QQ", raw)[1]):
        flags, total, used = struct.unpack_from("QQQ", raw, 16 + 24 * slot)
        # The global reserve has a bit of its own, and a type.
        if not flags >> 49 & 1: out[TYPES[flags & 7]] = [total, used]
    return out

def settle():
    """Everything is written, and what was deleted is gone, but for what somebody still stands in: that would be waited for without an end."""
    for verb in ("filesystem", "subvolume", "filesystem"):
        try: subprocess.run(["btrfs", verb, "sync", top], capture_output=True, timeout=10)
        except subprocess.TimeoutExpired: pass

def figures():
    settle()
    groups = {}
    if history.get("quota"):
        for line in btrfs("qgroup", "show", "--raw", top).stdout.splitlines()[2:]:
            words = line.split()
            groups[words[0]] = [int(words[1]), int(words[2])]
    of = os.statvfs(top)
    return {**space(), "free": of.f_bfree, "avail": of.f_bavail, "groups": groups}

def seen(one):
    out = []
    for which in ("path", "other"):
        if not one.get(which) or one["do"] == "symlink" and which == "other":
            out.append(None)
            continue
        try:
            of = os.lstat(at(one[which]))
            out.append([of.st_ino, of.st_nlink, of.st_size, of.st_blocks])
        except OSError as failed:
            out.append(errno.errorcode[failed.errno])
    return out

# Changes

def checked(result):
    if result: raise OSError(ctypes.get_errno(), "")

def on_file(path, flags, work):
    fd = os.open(path, flags, 0o644)
    try: return work(fd)
    finally: os.close(fd)

def on_both(path, other, work):
    return on_file(path, os.O_RDONLY, lambda a: on_file(other, os.O_RDWR | os.O_CREAT, lambda b: work(a, b)))

def named(path, request, fd=0, flags=0):
    """An ioctl with struct btrfs_ioctl_vol_args_v2, or the older one, whose name lies elsewhere."""
    folder, name = os.path.split(path)
    is_new = request == 0x50009417
    head = struct.pack("qQQ", fd, 0, flags) + bytes(32) if is_new else struct.pack("q", 0)
    on_file(folder, os.O_RDONLY, lambda into: fcntl.ioctl(into, request, bytearray((head + name.encode()).ljust(4096, b"\0"))))

def snapshot(path, other, flags):
    on_file(path, os.O_RDONLY, lambda fd: named(other, 0x50009417, fd, flags))

RENAME = {"rename": 0, "noreplace": 1, "exchange": 2, "whiteout": 4}
FALLOCATE = {"punch": 3, "fallocate": 0, "keep": 1, "zero": 0x10, "zerokeep": 0x11}

def names(one, do, path, other, offset, length):
    if do in RENAME: checked(libc.renameat2(-100, path.encode(), -100, other.encode(), RENAME[do]))
    elif do == "unlink": os.unlink(path)
    elif do == "rmdir": os.rmdir(path)
    elif do == "mkdir": os.mkdir(path, 0o755)
    elif do == "link": os.link(path, other)
    elif do == "symlink": os.symlink(one["other"], path)
    elif do == "mknod": os.mknod(path, 0o10644)
    elif do == "setxattr": os.setxattr(path, one["name"], one["value"].encode() * one.get("times", 1))
    elif do == "getxattr": return os.getxattr(path, one["name"]).decode()
    elif do == "listxattr": return ",".join(sorted(os.listxattr(path)))
    elif do == "rmxattr": os.removexattr(path, one["name"])
    elif do == "chflags": on_file(path, os.O_RDONLY, lambda fd: fcntl.ioctl(fd, 0x40086602, struct.pack("L", one["flags"])))
    elif do == "flags": return struct.unpack("L", on_file(path, os.O_RDONLY, lambda fd: fcntl.ioctl(fd, 0x80086601, bytes(8))))[0]
    elif do == "links":
        for n in range(offset): os.link(path, f"{other}{'l' * length}{n}")
    elif do == "unlinks":
        for n in range(offset): os.unlink(f"{other}{'l' * length}{n}")
    elif do == "rmrf": return subprocess.run(["rm", "-rf", path], stderr=subprocess.DEVNULL).returncode
    else: return data(one, do, path, other, offset, length)

def data(one, do, path, other, offset, length):
    to = one.get("to", 0)
    if do in FALLOCATE:
        call = lambda fd: checked(libc.fallocate(fd, FALLOCATE[do], ctypes.c_long(offset), ctypes.c_long(length)))
        on_file(path, os.O_RDWR, call)
    elif do == "write": return on_file(path, os.O_RDWR | os.O_CREAT, lambda fd: os.pwrite(fd, content(one), offset))
    elif do == "truncate": os.truncate(path, length)
    elif do == "clone": on_both(path, other, lambda a, b: fcntl.ioctl(b, 0x40049409, a))
    elif do == "clonerange":
        on_both(path, other, lambda a, b: fcntl.ioctl(b, 0x4020940D, struct.pack("qQQQ", a, offset, length, to)))
    elif do == "copyrange": return on_both(path, other, lambda a, b: os.copy_file_range(a, b, length, offset, to))
    elif do == "fsync": on_file(path, os.O_RDONLY, os.fsync)
    elif do == "many":
        for n in range(offset): on_file(f"{path}/n{n}", os.O_RDWR | os.O_CREAT, lambda fd: os.write(fd, content(one, n)))
    elif do == "unlink-many":
        for n in range(offset): os.unlink(f"{path}/n{n}")
    elif do == "hold":
        fd = os.open(path, os.O_RDWR)
        let_go(one["name"])
        held[one["name"]] = fd
    elif do == "letgo": let_go(one["name"])
    elif do == "fwrite": return os.pwrite(held[one["name"]], content(one), offset) if one["name"] in held else None
    else: return volumes(one, do, path, other, length)

def let_go(name):
    if name in held: os.close(held.pop(name))

def volumes(one, do, path, other, length):
    if do == "subvolume": named(path, 0x5000940E)
    elif do == "snapshot": snapshot(path, other, 0)
    elif do == "rosnap": snapshot(path, other, 2)
    elif do == "delete": named(path, 0x5000940F)
    elif do == "setro": on_file(path, os.O_RDONLY, lambda fd: fcntl.ioctl(fd, 0x4008941A, struct.pack("Q", one["flags"])))
    elif do == "limit":
        kind = ["-e"] if one.get("flags") == 1 else []
        return btrfs("qgroup", "limit", *kind, str(length) if length else "none", path).returncode
    elif do in ("qcreate", "qdestroy"): return btrfs("qgroup", do[1:], one["name"], top).returncode
    elif do in ("qassign", "qremove"): return min(1, btrfs("qgroup", do[1:], one["name"], one["value"], top).returncode)
    elif do == "sync": os.sync()
    elif do == "remount":
        for name in list(held): let_go(name)
        subprocess.run(["umount", top], check=True)
        options = ",".join(["loop", *filter(None, [history.get("options")])])
        subprocess.run(["mount", "-o", options, "image", top], check=True)
    else: raise SystemExit(f"what is {do}?")

if history.get("quota"): btrfs("quota", "enable", top)
out = [{"r": None, "st": [], "fig": figures()}]
for index, one in enumerate(history["steps"], 1):
    try: r = names(one, one["do"], at(one.get("path", "")), at(one.get("other", "")), one.get("offset", 0), one.get("length", 0))
    except OSError as failed: r = errno.errorcode[failed.errno]
    st = seen(one)
    due = index % history.get("every", 1) == 0 or index == len(history["steps"])
    out.append({"r": r, "st": st, "fig": figures() if due else None})
for name in list(held): let_go(name)
print(json.dumps(out))
