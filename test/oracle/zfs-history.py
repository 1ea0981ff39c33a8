"""Makes histories on a real pool, as root on a Linux with OpenZFS 2.1: reads {name, steps} a line from standard input (test/cow/zfs-history.ts says which
steps there are), and writes {name, steps, answers} a line. argv: a folder with 4 GiB of room. The pool "zp" is made for each on a file of 4087 MiB in it, and
mounted on /m. Such a Linux need not be this one: Debian 12's kernel with zfs-dkms (contrib) built for it boots under qemu, also without KVM."""
import ctypes, errno, json, mmap, os, random, re, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
COLUMNS = "used,referenced,usedbysnapshots,usedbydataset,usedbychildren,usedbyrefreservation,written,logicalused,logicalreferenced,origin,userrefs,defer_destroy"
FALLOCATE = {"punch": 3, "fallocate": 0, "keep": 1, "zero": 0x10}
SENTENCE = b"the quick brown fox jumps over the lazy dog\n"
# Flags of /proc/mounts that are zfs's own.
OWN_FLAGS = re.compile(r",(?:xattr|noxattr|noacl|posixacl|nomand|mand)\b")
held = {}

def tool(*words):
    return subprocess.run(words, capture_output=True, text=True)

def content(one):
    length = one.get("len", 0)
    if one.get("kind") == "z": return b"\0" * length
    if one.get("kind") == "t": return (SENTENCE * (length // len(SENTENCE) + 1))[:length]
    return random.Random(one.get("seed", 0)).randbytes(length)

def on_file(path, flags, work):
    fd = os.open(path, flags, 0o644)
    try: return work(fd)
    finally: os.close(fd)

def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)): raise OSError(ctypes.get_errno(), "")

def written(file, one):
    done = os.pwrite(file, content(one), one.get("off", 0))
    if one.get("sync"): os.fsync(file)
    return done

def direct(file, one):
    space = mmap.mmap(-1, one["len"])
    space.write(content(one))
    return os.pwritev(file, [space], one.get("off", 0))

def stored(file, one):
    start = one.get("off", 0) & ~4095
    into = one.get("off", 0) - start
    with mmap.mmap(file, into + one["len"], offset=start) as space: space[into:] = content(one)
    return one["len"]

def execute(path):
    child = os.fork()
    if child == 0:
        try: os.execv(path, [path])
        except OSError as failed: os._exit(failed.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code: raise OSError(code, "")

def mounts():
    lines = [line.split() for line in open("/proc/mounts")]
    return [(source, place, flags) for source, place, kind, flags, *_ in lines if kind == "zfs"]

def told(of):
    return [of.st_ino, of.st_nlink, of.st_size, of.st_blocks]

def call(one):
    do, path, offset, length, fd = one["do"], one.get("path", ""), one.get("off", 0), one.get("len", 0), held.get(one.get("name"))
    if do == "dwrite": return on_file(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, lambda file: direct(file, one))
    if do == "swrite": return on_file(path, os.O_RDWR | os.O_CREAT | os.O_SYNC, lambda file: os.pwrite(file, content(one), offset))
    if do == "mwrite": return on_file(path, os.O_RDWR, lambda file: stored(file, one))
    if do == "append": return on_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, lambda file: os.write(file, content(one)))
    if do == "create": return on_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, lambda file: None)
    if do == "mknod": return os.mknod(path, one["mode"], os.makedev(one.get("major", 0), one.get("minor", 0)))
    if do == "open": return on_file(path, one.get("flags", 0), lambda file: None)
    if do == "exec": return execute(path)
    if do == "access":
        if libc.access(path.encode(), one["mode"]): raise OSError(ctypes.get_errno(), "")
        return None
    if do == "utimes": return os.utime(path, (1, 1))
    if do == "manymode":
        for number in range(one["first"], one["first"] + one["count"]): os.chmod(f"{path}/{one['stem']}{number}", one["mode"])
        return one["count"]
    if do == "mounts": return [f"{source} {place} {OWN_FLAGS.sub('', flags)}" for source, place, flags in mounts()]
    if do == "write": return on_file(path, os.O_RDWR | os.O_CREAT, lambda file: written(file, one))
    if do == "truncate": return os.truncate(path, length)
    if do == "unlink": return os.unlink(path)
    if do == "rename": return os.rename(path, one["to"])
    if do == "link": return os.link(path, one["to"])
    if do == "chmod": return os.chmod(path, one["mode"])
    if do == "chown": return os.lchown(path, one["uid"], one["gid"])
    if do == "read": return on_file(path, os.O_RDONLY, lambda file: "read" if os.pread(file, length, offset) is not None else None)
    if do == "many":
        for number in range(one["first"], one["first"] + one["count"]):
            on_file(f"{path}/{one['stem']}{number}", os.O_RDWR | os.O_CREAT, lambda file: os.pwrite(file, content({"seed": one["seed"] + number, "len": length}), 0))
        return one["count"]
    if do == "fewer":
        for number in range(one["first"], one["first"] + one["count"]): os.unlink(f"{path}/{one['stem']}{number}")
        return one["count"]
    if do == "mkdir": return os.mkdir(path, 0o755)
    if do == "rmdir": return os.rmdir(path)
    if do == "symlink": return os.symlink("t" * length, path)
    if do == "sync": return os.sync()
    if do == "objects":
        of = os.statvfs(path)
        return of.f_files - of.f_ffree
    if do == "setxattr": return os.setxattr(path, one["name"], content(one), one.get("flags", 0))
    if do == "getxattr": return len(os.getxattr(path, one["name"]))
    if do == "removexattr": return os.removexattr(path, one["name"])
    if do == "listxattr": return sorted(os.listxattr(path))
    if do == "seek": return on_file(path, os.O_RDONLY, lambda file: os.lseek(file, offset, os.SEEK_HOLE if one.get("hole") else os.SEEK_DATA))
    if do == "listdir": return sorted(os.listdir(path))
    if do == "hold": held[one["name"]] = os.open(path, os.O_RDWR)
    elif do == "letgo": os.close(held.pop(one["name"]))
    elif do == "fread": return "read" if os.pread(fd, length, offset) is not None else None
    elif do == "fwrite": return os.pwrite(fd, content(one), offset)
    elif do == "fstat": return told(os.fstat(fd))
    elif do in FALLOCATE: on_file(path, os.O_RDWR, lambda file: fallocate(file, FALLOCATE[do], offset, length))
    else: raise SystemExit(f"what is {do}?")

def seen(path):
    try: return told(os.lstat(path))
    except OSError as failed: return errno.errorcode[failed.errno]

def figures():
    for _ in range(2): tool("zpool", "sync", "zp")
    rows = tool("zfs", "list", "-Hp", "-t", "all", "-o", f"name,{COLUMNS}").stdout.splitlines()
    return {row.split("\t")[0]: row.split("\t")[1:] for row in rows}

def as_user(one):
    if "as" not in one: return call(one)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([]); os.setresgid(one["as"], one["as"], one["as"]); os.setresuid(one["as"], one["as"], one["as"])
        try: told = {"r": call(one)}
        except OSError as failed: told = {"e": failed.errno}
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    told = json.loads(os.read(reader, 1 << 16))
    os.close(reader)
    os.waitpid(child, 0)
    if "e" in told: raise OSError(told["e"], "")
    return told["r"]

def answers(steps):
    last = None
    for one in steps:
        if "cmd" in one:
            done = tool("sh", "-c", one["cmd"])
            # How a command is used is not told here.
            answer = {"r": done.returncode, "err": re.split(r"\n?usage:", done.stderr)[0].strip()}
            if done.stdout: answer["out"] = done.stdout.rstrip("\n")
        else:
            try: answer = {"r": as_user(one)}
            except OSError as failed: answer = {"r": errno.errorcode[failed.errno]}
        now = figures()
        if now != last: answer["fig"] = last = now
        if "path" in one: answer["st"] = seen(one["path"])
        yield answer

os.makedirs("/m", exist_ok=True)
for line in sys.stdin:
    history = json.loads(line)
    image = os.path.join(sys.argv[1], "zp")
    with open(image, "wb") as file: file.truncate(4087 << 20)
    subprocess.run(["zpool", "create", "-f", "-m", "/m", "zp", image], check=True)
    told_of = list(answers(history["steps"]))
    for fd in held.values(): os.close(fd)
    held.clear()
    for _, place, _ in reversed(mounts()): tool("umount", "-l", place)
    tool("zpool", "destroy", "-f", "zp")
    print(json.dumps({**history, "settled": True, "answers": told_of}, separators=(",", ":")), flush=True)
