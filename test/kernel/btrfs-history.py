"""Makes a history of changes on a real btrfs (test/cow/btrfs-history.ts says which there are): argv: a file with the history, the mount point.
Prints a JSON list: what is told at first, and after each change. Needs root; all that it makes is below the mount point, and beside it: the image, its copies.
With "bios" each change also tells what it made the kernel write to the disk. "cut" copies the image as a power cut would leave it: mounted again when the history is
over, its log replayed, its tree is what that change comes to."""
import ctypes, errno, fcntl, hashlib, json, os, random, re, stat, struct, subprocess, sys, time

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
    if one.get("kind") == "n": return (f"{one.get('seed', 0) + more}.".encode() * length)[:length]
    return random.Random(one.get("seed", 0) + more).randbytes(length)

# What is told

SPACE_INFO = 0xC0109414
TYPES = {1: "data", 2: "system", 4: "metadata"}

def space(folder=top):
    raw = bytearray(struct.pack("QQ", 16, 0) + bytes(24 * 16))
    fd = os.open(folder, os.O_RDONLY)
    fcntl.ioctl(fd, SPACE_INFO, raw)
    os.close(fd)
    out = {}
    for slot in range(struct.unpack_from("QQ", raw)[1]):
        flags, total, used = struct.unpack_from("QQQ", raw, 16 + 24 * slot)
        # The global reserve has a bit of its own, and a type.
        if not flags >> 49 & 1: out[TYPES[flags & 7]] = [total, used]
    return out

def settle(folder=top):
    """Everything is written, and what was deleted is gone, but for what somebody still stands in: that would be waited for without an end."""
    for verb in ("filesystem", "subvolume", "filesystem"):
        try: subprocess.run(["btrfs", verb, "sync", folder], capture_output=True, timeout=10)
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

# What is written

TRACING = "/sys/kernel/tracing"

class Bios:
    """The writes that are queued for the disk below the mount point: pairs of sector and count, or "flush"."""
    def __init__(self):
        if not os.path.exists(f"{TRACING}/instances"): subprocess.run(["mount", "-t", "tracefs", "none", TRACING], check=True)
        self.folder = f"{TRACING}/instances/btrfs-history-{os.getpid()}"
        os.mkdir(self.folder)
        disk = subprocess.run(["findmnt", "-n", "-o", "SOURCE", "-M", top], capture_output=True, text=True, check=True).stdout.strip()
        number = os.stat(disk).st_rdev
        self.disk = f"{os.major(number)},{os.minor(number)}"
        self.put("events/block/block_bio_queue/filter", f"dev == {os.major(number) << 20 | os.minor(number)}")
        self.put("events/block/block_bio_queue/enable", "1")

    def put(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file: file.write(text)

    def take(self):
        out = []
        for line in open(f"{self.folder}/trace"):
            words = line.split()
            if line.startswith("#") or "block_bio_queue:" not in words: continue
            disk, kind, sector, _, count = words[words.index("block_bio_queue:") + 1:][:5]
            if disk != self.disk or kind[0] not in "WF": continue
            # A write that asks for a flush before it; what asks for none after it but its own place is the superblock's.
            if kind[0] == "F": out.append("flush")
            if int(count): out.append([int(sector), int(count)])
        self.put("trace", "")
        return out

    def end(self):
        self.put("events/block/block_bio_queue/enable", "0")
        os.rmdir(self.folder)

# What is left

def listed(folder, base=""):
    out = []
    for name in sorted(os.listdir(folder), key=os.fsencode):
        path = os.path.join(folder, name)
        of = os.lstat(path)
        content = os.readlink(path) if stat.S_ISLNK(of.st_mode) else ""
        if stat.S_ISREG(of.st_mode): content = hashlib.sha256(open(path, "rb").read()).hexdigest()
        attributes = {key: hashlib.sha256(os.getxattr(path, key, follow_symlinks=False)).hexdigest() for key in os.listxattr(path, follow_symlinks=False)}
        size = None if stat.S_ISDIR(of.st_mode) else of.st_size
        out.append([base + name, of.st_ino, f"{of.st_mode:o}", of.st_nlink, size, of.st_blocks, content[:16], attributes])
        if stat.S_ISDIR(of.st_mode): out += listed(path, f"{base}{name}/")
    return out

def after_cut(copy):
    """What a copy of the image holds when it is mounted: its tree, its chunks and used bytes, and whether there is a log."""
    log = subprocess.run(["btrfs", "inspect-internal", "dump-super", copy], capture_output=True, text=True).stdout
    has_log = any(line.split()[0] == "log_root" and line.split()[1] != "0" for line in log.splitlines() if line.startswith("log_root"))
    os.makedirs("after", exist_ok=True)
    subprocess.run(["mount", "-o", "loop", copy, "after"], check=True)
    try:
        tree = listed("after")
        settle("after")
        return {"log": has_log, "tree": tree, **space("after")}
    finally:
        subprocess.run(["umount", "after"], check=True)
        os.unlink(copy)

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

def dedupe(source, target, offset, length, to):
    """FIDEDUPERANGE of one range: how many bytes are shared now."""
    asked = bytearray(struct.pack("QQHHIqQQiI", offset, length, 1, 0, 0, target, to, 0, 0, 0))
    fcntl.ioctl(source, 0xC0189436, asked)
    done, status = struct.unpack_from("Qi", asked, 40)
    if status < 0: raise OSError(-status, "")
    return done if status == 0 else "differs"

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
    elif do == "mknod": os.mknod(path, one.get("flags", 0o10644), one.get("to", 0))
    elif do == "setxattr": os.setxattr(path, one["name"], one["value"].encode() * one.get("times", 1))
    elif do == "getxattr": return os.getxattr(path, one["name"]).decode()
    elif do == "fill-xattrs":
        for n in range(offset):
            try: os.setxattr(path, f"user.{n}", b"v" * length)
            except OSError as failed: return [n, errno.errorcode[failed.errno]]
        return [offset, None]
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

def filled(fd, one):
    """Writes one piece behind the other until no more goes in: how far, and why no further."""
    at = one.get("offset", 0)
    for n in range(one["times"]):
        try: done = os.pwrite(fd, content(one, n), at)
        except OSError as failed: return [at, errno.errorcode[failed.errno]]
        at += done
    return [at, None]

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
    elif do == "dedupe": return on_both(path, other, lambda a, b: dedupe(a, b, offset, length, to))
    elif do == "copyrange": return on_both(path, other, lambda a, b: os.copy_file_range(a, b, length, offset, to))
    elif do == "fsync": on_file(path, os.O_RDONLY, os.fsync)
    elif do == "fdatasync": on_file(path, os.O_RDONLY, os.fdatasync)
    elif do == "syncwrite": return on_file(path, os.O_RDWR | os.O_CREAT | os.O_SYNC, lambda fd: os.pwrite(fd, content(one), offset))
    elif do == "chmod": os.chmod(path, one["flags"])
    elif do == "chown": os.chown(path, one["flags"], one["flags"])
    elif do == "cut":
        subprocess.run(["cp", "--sparse=always", "image", f"cut{len(out)}"], check=True)
    elif do == "many":
        for n in range(offset): on_file(f"{path}/n{n}", os.O_RDWR | os.O_CREAT, lambda fd: os.write(fd, content(one, n)))
    elif do == "fill": return on_file(path, os.O_RDWR | os.O_CREAT, lambda fd: filled(fd, one))
    elif do == "fill-many":
        for n in range(offset):
            try:
                if on_file(f"{path}/n{n}", os.O_RDWR | os.O_CREAT, lambda fd: os.write(fd, content(one, n))) < length: return [n, "short"]
            except OSError as failed: return [n, errno.errorcode[failed.errno]]
        return [offset, None]
    elif do == "statfs":
        of = os.statvfs(path)
        return [of.f_bfree, of.f_bavail]
    elif do == "unlink-many":
        for n in range(offset): os.unlink(f"{path}/n{n}")
    elif do == "hold":
        fd = os.open(path, os.O_RDWR)
        let_go(one["name"])
        held[one["name"]] = fd
    elif do == "nameless":
        fd = os.open(path, os.O_RDWR | os.O_TMPFILE, 0o644)
        let_go(one["name"])
        held[one["name"]] = fd
    elif do == "name":
        # AT_SYMLINK_FOLLOW: what the descriptor is, not what stands for it.
        if one["name"] in held: checked(libc.linkat(-100, f"/proc/self/fd/{held[one['name']]}".encode(), -100, path.encode(), 0x400))
    elif do == "letgo": let_go(one["name"])
    elif do == "ffsync": os.fsync(held[one["name"]]) if one["name"] in held else None
    elif do == "fwrite": return os.pwrite(held[one["name"]], content(one), offset) if one["name"] in held else None
    else: return volumes(one, do, path, other, length)

def sent(path, parent, sources):
    """The commands of a subvolume's stream, as the receiver prints them, without what depends on the sender."""
    words = ["btrfs", "send", "-q", *(["-p", parent] if parent else []), *(word for one in sources for word in ("-c", at(one))), path]
    stream = subprocess.run(words, capture_output=True)
    if stream.returncode: return stream.stderr.decode().strip().splitlines()[-1]
    told = subprocess.run(["btrfs", "receive", "--dump"], input=stream.stdout, capture_output=True, check=True).stdout.decode()
    for pattern, put in ((r"uuid=[0-9a-f-]+", "uuid=U"), (r"transid=\d+", "transid=T"), (r" [acm]time=\S+", ""), (r"\bo(\d+)-\d+-", r"o\1-G-"), (r" +", " ")):
        told = re.sub(pattern, put, told)
    return [line.strip() for line in told.splitlines()]

def let_go(name):
    if name in held: os.close(held.pop(name))

def volumes(one, do, path, other, length):
    if do == "subvolume": named(path, 0x5000940E)
    elif do == "snapshot": snapshot(path, other, 0)
    elif do == "send": return sent(path, other if one.get("other") else None, [word for word in one.get("value", "").split(",") if word])
    elif do == "rosnap": snapshot(path, other, 2)
    elif do == "delete": named(path, 0x5000940F)
    elif do == "setro": on_file(path, os.O_RDONLY, lambda fd: fcntl.ioctl(fd, 0x4008941A, struct.pack("Q", one["flags"])))
    elif do == "limit":
        kind = ["-e"] if one.get("flags") == 1 else []
        return btrfs("qgroup", "limit", *kind, str(length) if length else "none", path).returncode
    elif do in ("qcreate", "qdestroy"): return btrfs("qgroup", do[1:], one["name"], top).returncode
    elif do in ("qassign", "qremove"): return min(1, btrfs("qgroup", do[1:], one["name"], one["value"], top).returncode)
    elif do == "sync": os.sync()
    elif do == "wait": time.sleep(length)
    elif do == "remount":
        for name in list(held): let_go(name)
        subprocess.run(["umount", top], check=True)
        options = ",".join(["loop", "commit=600", *filter(None, [history.get("options")])])
        subprocess.run(["mount", "-o", options, "image", top], check=True)
    else: raise SystemExit(f"what is {do}?")

if history.get("quota"): btrfs("quota", "enable", top)
out = [{"r": None, "st": [], "fig": figures()}]
bios = Bios() if history.get("bios") else None
for index, one in enumerate(history["steps"], 1):
    try: r = names(one, one["do"], at(one.get("path", "")), at(one.get("other", "")), one.get("offset", 0), one.get("length", 0))
    except OSError as failed: r = errno.errorcode[failed.errno]
    told = {"r": r, "st": seen(one)}
    every = history.get("every", 1)
    due = every and (index % every == 0 or index == len(history["steps"]))
    out.append({**told, "fig": figures() if due else None})
    if bios: out[-1]["w"] = bios.take()
if bios: bios.end()
for name in list(held): let_go(name)
cuts = [index for index, one in enumerate(history["steps"], 1) if one["do"] == "cut"]
if cuts: subprocess.run(["umount", top], check=True)
for index in cuts: out[index]["r"] = after_cut(f"cut{index}")
print(json.dumps(out))
