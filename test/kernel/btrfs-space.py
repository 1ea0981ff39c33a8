"""Makes changes on a real btrfs, and tells its figures after each: argv: changes (JSON), mount point. Prints a JSON list."""
import ctypes, fcntl, json, os, random, re, subprocess, sys

FICLONE = 0x40049409
libc = ctypes.CDLL(None, use_errno=True)
steps, top = json.loads(sys.argv[1]), sys.argv[2]
data = random.Random(1)

def btrfs(*words):
    return subprocess.run(["btrfs", *words], capture_output=True, text=True).stdout

def figures():
    for verb in ("filesystem", "subvolume", "filesystem"):
        btrfs(verb, "sync", top)
    used = [int(one) for one in re.findall(r"used=(\d+)", btrfs("filesystem", "df", "-b", top))]
    groups = {}
    for line in btrfs("qgroup", "show", "--raw", top).splitlines()[2:]:
        words = line.split()
        groups[words[0].split("/")[1]] = [int(words[1]), int(words[2])]
    return {"data": used[0], "metadata": used[2], "groups": groups}

def opened(path, flags, work):
    fd = os.open(path, flags, 0o644)
    work(fd)
    os.close(fd)

def make(do, path, other, offset, length):
    path = os.path.join(top, path)
    if do == "subvolume": btrfs("subvolume", "create", path)
    elif do == "snapshot": btrfs("subvolume", "snapshot", path, os.path.join(top, other))
    elif do == "delete": btrfs("subvolume", "delete", path)
    elif do == "write": opened(path, os.O_RDWR | os.O_CREAT, lambda fd: os.pwrite(fd, data.randbytes(length), offset))
    elif do == "truncate": os.truncate(path, length)
    elif do == "unlink": os.unlink(path)
    elif do == "clone":
        source = os.open(path, os.O_RDONLY)
        opened(os.path.join(top, other), os.O_RDWR | os.O_CREAT, lambda fd: fcntl.ioctl(fd, FICLONE, source))
        os.close(source)
    elif do in ("punch", "fallocate"):
        mode = 3 if do == "punch" else 0
        opened(path, os.O_RDWR, lambda fd: libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))
    elif do == "many":
        for n in range(offset): opened(f"{path}/n{n}", os.O_RDWR | os.O_CREAT, lambda fd: os.write(fd, data.randbytes(length)))
    elif do == "unlink-many":
        for n in range(offset): os.unlink(f"{path}/n{n}")

btrfs("quota", "enable", top)
out = [figures()]
for step in steps:
    try:
        make(step["do"], step["path"], step["other"], step["offset"], step["length"])
    except OSError:
        pass
    out.append(figures())
print(json.dumps(out))
