#!/usr/bin/env python3
"""
Records what this machine's coreutils ask of the kernel: each case is a small tree and a command line that a shell runs in it, as root, on a
real overlayfs over ext4 ("overlay2", the tree lying in the lower layer) or on a real btrfs. Needs Linux, root, strace, mkfs.ext4, mkfs.btrfs.

usage: record.py CASES.json OUT.json

A call is one text: its name, the paths (a directory descriptor and a name joined), flags and lengths, and what came of it. Left out are calls
that no filesystem sees (fcntl, dup2, fadvise, umask), closes, and those on files outside the tree.
"""
import json, os, re, subprocess, sys, tempfile

KEPT = set("""creat newfstatat statx openat read write lseek ftruncate truncate fsync fdatasync syncfs sync getdents64 ioctl copy_file_range fchmod
fchmodat chmod mknod mknodat fchown fchownat utimensat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat readlink
readlinkat setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr
fallocate""".split())

def run(*words, **more):
    return subprocess.run(words, check=True, **more)

def split(text):
    """The arguments of a call as strace writes them."""
    out, depth, quoted, at = [], 0, False, ""
    for n, c in enumerate(text):
        if c == '"' and (n == 0 or text[n - 1] != "\\"): quoted = not quoted
        elif not quoted and c in "[{<": depth += 1
        elif not quoted and c in "]}>": depth -= 1
        if c == "," and depth == 0 and not quoted: out.append(at.strip()); at = ""
        else: at += c
    return [*out, at.strip()] if at.strip() else out

def fd_path(word, base):
    found = re.match(r"^(?:AT_FDCWD|\d+)<(.*?)(?:\(deleted\))?>(?:\(deleted\))?$", word)
    if not found: return None
    path = found.group(1)
    if path == base: return "."
    return path[len(base) + 1:] if path.startswith(base + "/") else False

def told(name, words, result, base):
    """One call as a text, or None for one that is left out."""
    if "xattr" in name:
        of, attribute = (words[0] if not fd_path(words[0], base) else f"<{fd_path(words[0], base)}>"), words[1:2] if "list" not in name else []
        if fd_path(words[0], base) is False or words[0].startswith('"/'): return None
        shown = ", ".join([of, *attribute])
        value = re.sub("-1 ([A-Z0-9]+).*", r"\1", result).split(" ")[0]
        return f"{name}({shown}) = {value}"
    if name == "sync": return "sync() = 0"
    if name not in KEPT: return None
    if name == "ioctl" and "FICLONE" not in words[1]: return None
    paths, rest, at = [], [], None
    for word in words:
        place = fd_path(word, base)
        if place is False: return None
        if place is not None:
            if word.startswith("AT_FDCWD"): at = "."; continue
            if (name.endswith("at") or name == "renameat2" or name == "statx") and at is None: at = place; continue
            rest.append(f"<{place}>")
        elif word.startswith('"') and not name.startswith(("read", "write")) or name.startswith("readlink") and word.startswith('"') and not paths:
            text = word.strip('"')
            if text == "" and "AT_EMPTY_PATH" in words: paths.append(f"<{at}>"); at = None; continue
            if name in ("symlink", "symlinkat") and not paths and not rest: rest.append(f'"{text}"'); continue
            if text.startswith("/"): return None
            paths.append('"' + (text if at in (None, ".") else f"{at}/{text}") + '"'); at = None
        elif re.match(r"^(0[0-7]*$|O_|AT_|RENAME_|SEEK_|S_IF)", word) and "EMPTY" not in word and word != "0": rest.append(word)
        elif name in ("read", "lseek", "ftruncate", "fchownat", "fchown") and re.match(r"^-?\d+$", word): rest.append(word)
    if at is not None and not paths: paths.append(f"<{at}>")
    if name == "statx": rest = [w for w in ["AT_SYMLINK_NOFOLLOW"] if any(w in word for word in words)]
    value = re.sub(r"-1 (\w+).*", r"\1", result)
    if name in ("openat", "creat") and value[0].isdigit(): value = "fd"
    elif name in ("getdents64",) : value = "0" if value == "0" else "…" 
    order = paths + rest if not (rest and rest[0].startswith(("<", '"'))) else rest + paths
    return re.sub(r'\bCu[A-Za-z0-9]{6}\b', "Cu??????", f"{name}({', '.join(order)}) = {value.split('<')[0]}")

def calls(path, base):
    out, waiting, shell = [], {}, None
    for line in open(path, errors="replace"):
        pid, text = re.match(r"(\d+) +(.*)", line.rstrip("\n")).groups()
        shell = shell or pid
        if "<unfinished" in text: waiting[pid] = text.split(" <unfinished")[0]; continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed: text = waiting.pop(pid, "") + resumed.group(1)
        found = re.match(r"(\w+)\((.*)\)\s+= (.*)$", text)
        if not found: continue
        name, words, result = found.groups()
        if pid == shell and name == "newfstatat" and split(words)[1] == '"."': continue
        one = told(name, split(words), result, base)
        if one is not None: out.append(one)
    return out

def record(case, top):
    fs = "btrfs" if case["on"] == "btrfs" else "ext4"
    image = os.path.join(top, f"{fs}.img")
    if not os.path.exists(image):
        run("truncate", "-s", "600M", image)
        run("mkfs.ext4", "-q", image) if fs == "ext4" else run("mkfs.btrfs", "-q", image)
    disk, tree = os.path.join(top, "disk"), os.path.join(top, "tree")
    os.makedirs(disk, exist_ok=True); os.makedirs(tree, exist_ok=True)
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    run("mount", "-o", "loop", image, disk)
    try:
        run("sh", "-c", "rm -rf l u w && mkdir l u w", cwd=disk)
        run("sh", "-c", f"umask 022; {case['setup']}", cwd=os.path.join(disk, "l"), env=env)
        if fs == "btrfs": run("mount", "--bind", os.path.join(disk, "l"), tree)
        else: run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={disk}/l,upperdir={disk}/u,workdir={disk}/w,redirect_dir=off,index=off", tree)
        try:
            log = os.path.join(top, "log")
            done = subprocess.run(["strace", "-f", "-y", "-v", "-s", "4096", "-o", log, "sh", "-c", f"umask 022; {case['script']}"], cwd=tree, env=env,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
            return {**case, "status": done.returncode, "stdout": done.stdout, "stderr": re.sub(r"copied, .*", "copied, …", done.stderr), "calls": calls(log, tree)}
        finally: run("umount", tree)
    finally: run("umount", disk)

if __name__ == "__main__":
    cases = json.load(open(sys.argv[1]))
    with tempfile.TemporaryDirectory(prefix="coreutils-") as top:
        done = [record(case, top) for case in cases]
    json.dump(done, open(sys.argv[2], "w"), indent=1, ensure_ascii=False); print(file=open(sys.argv[2], "a"))
