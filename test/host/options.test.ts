/**
 * What mkfs and mount(8) are told with -o, -E, -m … on each filesystem: what an option does, and the refusal of one that is not known or says too
 * little, in the kernel's words.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { makeSubvolume, subvolumeIdOf } from "../../sim/cow/btrfs/ioctl.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../drivers/docker-host.ts";

let host: Host;
beforeEach(() => {
  host = createHost({ seed: 1, memory: MIB(64) });
  host.addDisk({ size: MIB(512) });
  must(host.task.mkdir("/m", 0o755));
});

/** The code that making gives, or "made". */
function made(type: string, options = ""): string {
  return host.mkfs(type, "vda", options)?.code ?? "made";
}

/** Why a mount is refused, or "mounted", which is ended again. */
function mounted(type: string, options = "", source = "vda"): string {
  const failed = host.mount({ type, source, target: "/m", options });
  if (failed !== undefined) return `${failed.errno.code} ${failed.message}`;
  expect(host.unmount("/m")).toBeUndefined();
  return "mounted";
}

/** A filesystem that is mounted, and the space that it has. */
function spaceOf(type: string, options = ""): { blocks: number; files: number; available: number } {
  expect(host.mount({ type, source: "vda", target: "/m", options })).toBeUndefined();
  const { blocks, files, blocksAvailable } = must(host.task.statfs("/m"));
  expect(host.unmount("/m")).toBeUndefined();
  return { blocks, files, available: blocksAvailable };
}

describe("making", () => {
  test.each([
    ["ext4", "-N 64"],
    ["ext4", "-i 65536 -m 0"],
    ["ext4", "-E nodiscard,lazy_itable_init=0"],
    ["ext4", "-E lazy_itable_init=1,lazy_journal_init=1,discard"],
    ["xfs", "-f -q -K"],
    ["xfs", "-n ftype=1 -m reflink=0,crc=1,finobt=1"],
    ["xfs", "-m crc=0,finobt=0 -n ftype=0"],
    ["xfs", "-d sw=1,su=64k"],
    ["xfs", "-d sunit=128,swidth=512"],
    ["xfs", "-d noalign"],
    ["btrfs", ""],
    ["zfs", "-O compression=lz4 -o ashift=12"],
    ["zfs", "-O recordsize=16k -O quota=100M"],
    ["zfs", "-o version=v23"],
  ])("%s takes %s", (type, options) => {
    expect(made(type, options)).toBe("made");
    expect(mounted(type)).toBe("mounted");
  });

  test.each([
    ["ext4", "-N many"],
    ["ext4", "-N -5"],
    ["ext4", "-z 4"],
    ["ext4", "-E stride=16"],
    ["ext4", "-E"],
    ["xfs", "-n ftype=2"],
    ["xfs", "-m rmapbt=1"],
    ["xfs", "-m"],
    ["xfs", "-d agcount=9"],
    ["xfs", "-d su=64k"],
    ["xfs", "-d su=6k,sw=1"],
    ["xfs", "-d sunit=128,swidth=130"],
    ["xfs", "-d su=64k,sw=1,noalign"],
    ["xfs", "-n ftype=0"],
    ["xfs", "-m crc=0,reflink=1"],
    ["btrfs", "-d raid1"],
    ["zfs", "-f yes"],
    ["zfs", "-o feature@async_destroy=disabled"],
    ["zfs", "-o version=5000"],
    ["zfs", "-O compression=strong"],
    ["zfs", "-O strength=9"],
    ["zfs", "-O"],
  ])("%s does not take %s", (type, options) => expect(made(type, options)).toBe("EINVAL"));

  test("-N says how many inodes ext4 has, and -m how much only root may fill", () => {
    made("ext4", "-N 1024 -m 0");
    const few = spaceOf("ext4");
    made("ext4", "-m 50");
    const half = spaceOf("ext4");
    expect(few.files).toBeGreaterThanOrEqual(1024);
    expect(few.files).toBeLessThan(half.files);
    expect(half.available).toBeLessThan(0.6 * few.available);
  });

  test.each(["ext4", "xfs", "btrfs"])("%s needs a disk that it fits on", (type) => {
    host.addDisk({ name: "small", size: 2 ** 16 });
    expect(host.mkfs(type, "small")?.code).toBe("EINVAL");
  });

  test("needs a disk that is there; growing one too, and a type that can", () => {
    expect(host.mkfs("ext4", "vdz")?.code).toBe("ENOENT");
    expect([host.grow("ext4", "vdz")?.code, host.grow("btrfs", "vda")?.code]).toEqual(["ENOENT", "ENOTSUP"]);
    expect([host.grow("ext4", "vda")?.code, host.grow("xfs", "vda")?.code]).toEqual(["EINVAL", "EINVAL"]);
    made("xfs");
    expect(host.grow("xfs", "vda")).toBeUndefined();
    made("ext4");
    expect(host.grow("ext4", "vda")).toBeUndefined();
  });
});

describe("mounting", () => {
  test.each([
    ["ext4", "rw,data=ordered,discard"],
    ["ext4", "noatime,nodev,noexec,user_xattr"],
    ["xfs", "inode64,nouuid,discard,pquota"],
    ["btrfs", "rw,ssd,space_cache=v2,compress=zstd:3"],
    ["btrfs", "compress,nodatacow"],
    ["btrfs", "compress-force=no,max_inline=0,subvolid=5,subvol=/"],
    ["zfs", "zfsutil"],
  ])("%s takes %s", (type, options) => {
    made(type);
    expect(mounted(type, options)).toBe("mounted");
  });

  test.each([
    ["ext4", "data=none", "EINVAL EXT4-fs: Unknown parameter 'data=none'"],
    ["xfs", "sunit=8", "EINVAL xfs: Unknown parameter 'sunit=8'"],
    ["btrfs", "compress=brotli", "EINVAL btrfs: Unknown parameter 'compress=brotli'"],
    ["btrfs", "max_inline=much", "EINVAL btrfs: Unknown parameter 'max_inline=much'"],
    ["btrfs", "subvolid=one", "EINVAL btrfs: Unknown parameter 'subvolid=one'"],
    ["btrfs", "subvol=/none", "ENOENT "],
    ["btrfs", "subvolid=999", "ENOENT "],
    ["zfs", "xattr=sa", "EINVAL filesystem 'vda' cannot be mounted: invalid option"],
  ])("%s does not take %s", (type, options, said) => {
    made(type);
    expect(mounted(type, options)).toBe(said);
  });

  test.each([
    ["ext4", "EINVAL EXT4-fs (vda): VFS: Can't find ext4 filesystem"],
    ["xfs", "EINVAL XFS (vda): Invalid superblock magic number"],
    ["btrfs", "EINVAL BTRFS: vda has no valid super block"],
    ["zfs", "ENOENT filesystem 'vda' cannot be mounted, unable to open the dataset"],
  ])("%s does not find itself on a blank disk", (type, said) => expect(mounted(type)).toBe(said));

  test.each([
    ["ext4", "ENOENT Can't open blockdev vdz"],
    ["xfs", "ENOENT Can't open blockdev vdz"],
    ["btrfs", "ENOENT Can't open blockdev vdz"],
    ["zfs", "ENOENT filesystem 'vdz' cannot be mounted, unable to open the dataset"],
  ])("%s needs a disk that is there", (type, said) => expect(mounted(type, "", "vdz")).toBe(said));

  test("sizes of tmpfs are bytes, have units, or are a share of memory; so many inodes, and no more, are made", () => {
    const blocks = (options: string): number => spaceOf("tmpfs", options).blocks;
    expect(["size=8192", "size=64k", "size=1M", "size=50%"].map(blocks)).toEqual([2, 16, 256, 8192]);
    expect(mounted("tmpfs", "size=1x")).toBe("EINVAL tmpfs: Bad value for 'size'");
    expect(mounted("tmpfs", "nr_inodes=few")).toBe("EINVAL tmpfs: Bad value for 'nr_inodes'");
    expect(mounted("tmpfs", "mode=9")).toBe("EINVAL tmpfs: Bad value for 'mode'");
    expect(host.mount({ type: "tmpfs", source: "none", target: "/m", options: "nr_inodes=3" })).toBeUndefined();
    must(host.task.mkdir("/m/one"));
    must(host.task.mkdir("/m/two"));
    expect(host.task.mkdir("/m/three")).toMatchObject({ code: "ENOSPC" });
    expect(must(host.task.statfs("/m"))).toMatchObject({ files: 3, filesFree: 0 });
  });

  test("a tmpfs without a limit has no blocks to tell of, and takes what memory holds", () => {
    expect(host.mount({ type: "tmpfs", source: "none", target: "/m", options: "size=0,nr_inodes=0" })).toBeUndefined();
    expect(must(host.task.statfs("/m"))).toMatchObject({ blocks: 0, blocksFree: 0, files: 0, filesFree: 0 });
    const fd = must(host.task.open("/m/f", O_CREAT | O_RDWR));
    expect(host.task.write(fd, Content.zeros(MIB(8)))).toBe(MIB(8));
    must(host.task.setxattr("/m/f", "user.a", new Uint8Array(1000)));
    must(host.task.unlink("/m/f"));
    host.check();
  });

  test("a subvolume of btrfs is shown by its name or its number, and both must mean the same", () => {
    made("btrfs");
    expect(host.mount({ type: "btrfs", source: "vda", target: "/m" })).toBeUndefined();
    const { fs } = must(host.task.resolve("/m")).mount;
    if (!(fs instanceof Btrfs)) throw new Error("no btrfs");
    must(makeSubvolume(fs, fs.root, host.names.intern("sub")));
    must(host.task.mkdir("/m/folder"));
    must(host.task.mkdir("/m/sub/inside"));
    const id = subvolumeIdOf(fs, must(host.task.resolve("/m/sub")).inode);
    expect(host.unmount("/m")).toBeUndefined();
    expect(mounted("btrfs", `subvol=/sub,subvolid=${id}`)).toBe("mounted");
    expect(mounted("btrfs", `subvol=/sub,subvolid=5`)).toBe("EINVAL BTRFS error: subvol '/sub' does not match subvolid 5");
    expect(mounted("btrfs", "subvol=folder")).toBe("EINVAL BTRFS error: 'folder' is not a valid subvolume");
    expect(host.mount({ type: "btrfs", source: "vda", target: "/m", options: `subvolid=${id}` })).toBeUndefined();
    expect(must(host.task.readdir("/m")).map(({ name }) => name)).toEqual(["inside"]);
  });

  test("a file of an aufs's inode numbers is made anew, in a folder that is there", () => {
    for (const folder of ["/up", "/low"]) must(host.task.mkdir(folder));
    const aufs = (xino: string): string => mounted("aufs", `br:/up=rw:/low=ro,xino=${xino}`, "none");
    expect(aufs("/low/.xino")).toBe("mounted");
    expect(aufs("/none/.xino")).toBe("ENOENT aufs: open /none/.xino");
    expect(aufs("/.xino")).toBe("mounted");
    expect(aufs("/low")).toBe("EEXIST aufs: open /low");
  });

  test("what is mounted can be mounted again with other flags, and with options where the filesystem says so", () => {
    made("ext4");
    expect(host.remount("/m", "noatime")?.errno.code).toBe("EINVAL");
    expect(host.mount({ type: "ext4", source: "vda", target: "/m", options: "noexec" })).toBeUndefined();
    expect(host.remount("/m", "noatime,data=ordered")?.errno.code).toBe("EINVAL");
    expect(host.remount("/m", "noatime")).toBeUndefined();
    expect(must(host.task.resolve("/m")).mount.options).toMatchObject({ noatime: true, noexec: true });
  });

  test("a filesystem becomes read-only by a remount when no file of it is open for writing, and writable again", () => {
    made("ext4");
    const { task } = host;
    expect(host.mount({ type: "ext4", source: "vda", target: "/m" })).toBeUndefined();
    const fd = must(task.open("/m/f", O_CREAT | O_RDWR, 0o666));
    expect(host.remount("/m", "ro")?.errno.code).toBe("EBUSY");
    must(task.close(fd));
    expect(host.remount("/m", "ro")).toBeUndefined();
    const other = task.withCredentials(credentialsOf(1000, 1000));
    expect([other.chmod("/m/f", 0), task.mkdir("/m/d", 0o755)]).toMatchObject([{ code: "EROFS" }, { code: "EROFS" }]);
    expect(host.remount("/m", "rw")).toBeUndefined();
    expect(task.mkdir("/m/d", 0o755)).toBeUndefined();
  });

  test("of two filesystems at one place the later one shows and ends first", () => {
    made("ext4");
    expect(host.mount({ type: "ext4", source: "vda", target: "/m" })).toBeUndefined();
    expect(host.mount({ type: "tmpfs", source: "none", target: "/m" })).toBeUndefined();
    const type = (): string => must(host.task.resolve("/m")).mount.fs.type;
    expect([type(), host.unmount("/m"), type(), host.unmount("/m"), type()]).toEqual([
      "tmpfs",
      undefined,
      "ext4",
      undefined,
      "tmpfs",
    ]);
    expect(host.unmount("/m")?.code).toBe("EINVAL");
  });

  test("the same filesystem twice at one place is EBUSY, at another it shows there as well", () => {
    made("btrfs");
    must(host.task.mkdir("/other"));
    expect(host.mount({ type: "btrfs", source: "vda", target: "/m" })).toBeUndefined();
    expect(host.mount({ type: "btrfs", source: "vda", target: "/m" })?.errno.code).toBe("EBUSY");
    expect(host.mount({ type: "btrfs", source: "vda", target: "/other" })).toBeUndefined();
    must(host.task.mkdir("/m/seen"));
    expect(must(host.task.readdir("/other")).map(({ name }) => name)).toEqual(["seen"]);
  });
});
