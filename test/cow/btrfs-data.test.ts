/**
 * Where a file's data goes and how it comes back: compressed, in the item, in place, preallocated, shared. Extents as filefrag and lsattr told them on
 * Linux 6.18.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, EIO, ENOSPC, ENXIO, isErrno } from "../../sim/core/errno.ts";
import type { SimEvent } from "../../sim/core/events.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { extentsIn } from "../../sim/cow/btrfs/file-extents.ts";
import { inodeOf } from "../../sim/cow/btrfs/inodes.ts";
import { COMPRESS_FLAG, NOCOMPRESS_FLAG, NOCOW_FLAG } from "../../sim/cow/btrfs/layout.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, O_CREAT, O_RDONLY, O_RDWR, S_IFIFO } from "../../sim/vfs/filesystem.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function labWith(options = "", how: { size?: ReturnType<typeof GIB>; memory?: ReturnType<typeof MIB> } = {}): BtrfsLab {
  return new BtrfsLab({ size: GIB(1), options, ...how });
}

const zeros = (length: number): Content => Content.zeros(length);
const random = (length: number): Content => Content.pattern(length, length);
/** Bytes of 62 values, as text has: compressible by about a quarter. */
function text(length: number): Content {
  let state = 1;
  return Content.literal(
    Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return 48 + ((state >>> 16) % 62);
    }),
  );
}

/** Extents by sectors of the file: "0-31 c", with c for compressed, i for in the item, p for preallocated. */
function extentsOf(lab: BtrfsLab, path: string): string {
  must(lab.fs.sync());
  const inode = inodeOf(lab.fs.state, must(lab.host.task.resolve(path)).inode);
  return extentsIn(inode, 0, Number.MAX_SAFE_INTEGER)
    .map(({ at, extent }) => {
      const kind = extent.kind === "inline" ? "i" : extent.kind === "prealloc" ? "p" : "";
      const mark = `${extent.compression === "none" ? "" : "c"}${kind}`;
      return `${at / 4096}-${Math.ceil((at + extent.length) / 4096) - 1}${mark === "" ? "" : ` ${mark}`}`;
    })
    .join(", ");
}

function flagsOf(lab: BtrfsLab, path: string): number {
  const fd = must(lab.host.task.open(path, O_RDONLY));
  const flags = must(lab.host.task.getFlags(fd));
  lab.host.task.close(fd);
  return flags;
}

function setFlags(lab: BtrfsLab, path: string, flags: number): unknown {
  const fd = must(lab.host.task.open(path, O_RDONLY));
  const answer = lab.host.task.setFlags(fd, flags);
  lab.host.task.close(fd);
  return isErrno(answer) ? answer.code : answer;
}

/** Reads a file from its device. */
function readAgain(lab: BtrfsLab, path: string): string {
  const fd = must(lab.host.task.open(path, O_RDONLY));
  must(lab.host.task.fsync(fd));
  lab.host.task.fadvise(fd);
  lab.fs.dropPages(must(lab.host.task.files.file(fd)).handle);
  lab.host.task.close(fd);
  return lab.read(path);
}

describe("with compress=zstd", () => {
  const around = (...parts: readonly Content[]): Content => Content.concat([...parts]);
  /** Of so many stretches of 256 bytes some do not shrink, the others are zeros. */
  const mixed = (some: number, of: number): Content =>
    around(...Array.from({ length: 512 }, (_, n) => (n % of < some ? Content.pattern(n + 1, 256) : zeros(256))));
  test.each<readonly [what: string, content: Content, extents: string]>([
    ["a twelfth that does not shrink", mixed(1, 12), "0-31 c"],
    ["half that does not shrink", mixed(1, 2), "0-31 c"],
    ["two thirds that do not shrink: too many bytes are common", mixed(2, 3), "0-31"],
    [
      "zeros around what does not shrink: the rest of that chunk of 512 KiB is plain",
      around(zeros(KIB(256)), random(KIB(256)), zeros(MIB(1))),
      "0-31 c, 32-63 c, 64-127, 128-159 c, 160-191 c, 192-223 c, 224-255 c, 256-287 c, 288-319 c, 320-351 c, 352-383 c",
    ],
    ["zeros behind what does not shrink: nothing is tried", around(random(KIB(128)), zeros(MIB(1))), "0-287"],
    [
      "two chunks with what does not shrink across their border",
      around(zeros(KIB(128)), random(900_000), zeros(300_000)),
      "0-31 c, 32-127, 128-255, 256-287 c, 288-319 c, 320-324 c",
    ],
    ["a little that does not shrink with much that does", around(random(40_000), zeros(200_000)), "0-31 c, 32-58 c"],
    ["600,000 zeros", zeros(600_000), "0-31 c, 32-63 c, 64-95 c, 96-127 c, 128-146 c"],
    ["a sector of zeros", zeros(4096), "0-0 ci"],
    ["3000 zeros", zeros(3000), "0-0 ci"],
    ["two sectors of zeros", zeros(8192), "0-1 c"],
    ["5000 zeros", zeros(5000), "0-1 c"],
    ["a sector that does not shrink", random(4096), "0-0"],
  ])("%s", (_, content, extents) => {
    const lab = labWith("compress=zstd");
    must(lab.write("/m/f", content));
    expect(extentsOf(lab, "/m/f")).toBe(extents);
    expect(flagsOf(lab, "/m/f") & NOCOMPRESS_FLAG).toBe(0);
    expect(readAgain(lab, "/m/f")).toBe(content.sha256());
    lab.fs.check();
  });

  test("a file whose data did not look bad and was it is not tried again (chattr's m), one that was asked for by chattr is", () => {
    const lab = labWith("compress=zstd");
    for (const name of ["asked", "not"]) must(lab.write(`/m/${name}`, ""));
    expect(setFlags(lab, "/m/asked", COMPRESS_FLAG)).toBeUndefined();
    for (const name of ["asked", "not"]) must(lab.write(`/m/${name}`, text(8192)));
    expect(["asked", "not"].map((name) => [extentsOf(lab, `/m/${name}`), flagsOf(lab, `/m/${name}`)])).toEqual([
      ["0-1", COMPRESS_FLAG],
      ["0-1", NOCOMPRESS_FLAG],
    ]);
    for (const name of ["asked", "not"]) must(lab.write(`/m/${name}`, zeros(8192)));
    expect(["asked", "not"].map((name) => extentsOf(lab, `/m/${name}`))).toEqual(["0-1 c", "0-1"]);
    lab.fs.check();
  });

  test("a sector in the middle is written plain, and what is left of the extent stays compressed", () => {
    const lab = labWith("compress=zstd");
    must(lab.write("/m/f", zeros(KIB(256))));
    must(lab.fs.sync());
    must(lab.write("/m/f", random(8192), 40_960));
    expect(extentsOf(lab, "/m/f")).toBe("0-9 c, 10-11, 12-31 c, 32-63 c");
    must(lab.write("/m/f", zeros(4096), 163_840));
    expect(extentsOf(lab, "/m/f")).toBe("0-9 c, 10-11, 12-31 c, 32-39 c, 40-40, 41-63 c");
    const whole = Content.concat([zeros(40_960), random(8192), zeros(KIB(256) - 49_152)]);
    expect(readAgain(lab, "/m/f")).toBe(whole.sha256());
    expect(flagsOf(lab, "/m/f")).toBe(0);
    lab.fs.check();
  });

  test("a file in its item is cut, and keeps what is left", () => {
    const lab = labWith("compress=zlib");
    must(lab.write("/m/f", Content.text("abcdefgh\n".repeat(300))));
    expect(extentsOf(lab, "/m/f")).toBe("0-0 ci");
    must(lab.host.task.truncate("/m/f", 100));
    expect(extentsOf(lab, "/m/f")).toBe("0-0 ci");
    expect(readAgain(lab, "/m/f")).toBe(Content.text("abcdefgh\n".repeat(300)).slice(0, 100).sha256());
    lab.fs.check();
  });

  test("other bytes than were written are an error and no zeros", () => {
    const lab = labWith("compress=zstd", { memory: MIB(64) });
    must(lab.write("/m/f", zeros(KIB(128))));
    must(lab.fs.sync());
    const inode = inodeOf(lab.fs.state, must(lab.host.task.resolve("/m/f")).inode);
    const [first] = extentsIn(inode, 0, 1);
    if (first === undefined || first.extent.kind === "inline") throw new Error("the file has an extent");
    lab.fs.state.write(first.extent.start, zeros(4096));
    const fd = must(lab.host.task.open("/m/f", O_RDONLY));
    lab.fs.dropPages(must(lab.host.task.files.file(fd)).handle);
    expect(lab.host.task.pread(fd, 4096, 0)).toBe(EIO);
  });
});

test("compress-force tries what does not look as if it would shrink, again and again", () => {
  const lab = labWith("compress-force=lzo");
  must(lab.write("/m/f", Content.concat([random(KIB(128)), zeros(KIB(128))])));
  expect([extentsOf(lab, "/m/f"), flagsOf(lab, "/m/f")]).toEqual(["0-63", 0]);
  must(lab.write("/m/f", zeros(KIB(128))));
  expect(extentsOf(lab, "/m/f")).toBe("0-31 c, 32-63");
  lab.fs.check();
});

test("what has no long piece left is written plain in many (submit_uncompressed_range)", () => {
  const lab = new BtrfsLab({ size: MIB(128), options: "compress-force=zlib" });
  const { task } = lab.host;
  // All but 1 MiB goes to one file, the rest to files of one sector each, every other of which goes again.
  must(lab.write("/m/fill", random(MIB(256))));
  must(lab.fs.sync());
  must(task.truncate("/m/fill", must(task.stat("/m/fill")).size - MIB(1)));
  lab.settle();
  let count = 0;
  while (!isErrno(lab.write(`/m/${count}`, random(4096)))) count += 1;
  lab.settle();
  expect(count).toBeGreaterThan(200);
  for (let n = 0; n < count; n += 2) must(task.unlink(`/m/${n}`));
  lab.settle();
  // Compressed it would need two thirds of its 128 KiB in one piece.
  const content = text(KIB(128));
  must(lab.write("/m/big", content));
  lab.settle();
  const extents = extentsOf(lab, "/m/big").split(", ");
  expect(extents.length).toBeGreaterThan(10);
  expect(extents.at(-1)).toMatch(/^31-31$/);
  expect(readAgain(lab, "/m/big")).toBe(content.sha256());
  lab.fs.check();
});

describe("chattr", () => {
  test.each<readonly [what: string, before: number, flags: number, answer: unknown]>([
    ["c of a file that is not copied", NOCOW_FLAG, NOCOW_FLAG | COMPRESS_FLAG, "EINVAL"],
    ["m of a file that is not copied", NOCOW_FLAG, NOCOW_FLAG | NOCOMPRESS_FLAG, "EINVAL"],
    ["C of a compressed file", COMPRESS_FLAG, NOCOW_FLAG | COMPRESS_FLAG, "EINVAL"],
    ["C instead of c", COMPRESS_FLAG, NOCOW_FLAG, "EINVAL"],
    ["C of a file with m", NOCOMPRESS_FLAG, NOCOW_FLAG | NOCOMPRESS_FLAG, "EINVAL"],
    ["m of a compressed file", COMPRESS_FLAG, COMPRESS_FLAG | NOCOMPRESS_FLAG, "EINVAL"],
    ["C and m at once", 0, NOCOW_FLAG | NOCOMPRESS_FLAG, undefined],
    ["c instead of m", NOCOMPRESS_FLAG, COMPRESS_FLAG, undefined],
    ["nothing of a file with m", NOCOMPRESS_FLAG, 0, undefined],
    ["a flag that btrfs does not have", 0, 0x1, "ENOTSUP"],
  ])("%s", (_, before, flags, answer) => {
    const lab = labWith();
    must(lab.write("/m/f", ""));
    expect(setFlags(lab, "/m/f", before)).toBeUndefined();
    expect(setFlags(lab, "/m/f", flags)).toBe(answer);
    expect(flagsOf(lab, "/m/f")).toBe(answer === undefined ? flags : before);
    lab.fs.check();
  });

  test.each([COMPRESS_FLAG, NOCOMPRESS_FLAG, NOCOW_FLAG])(
    "%i of a folder is what is made in it has (btrfs_inherit_iflags)",
    (flag) => {
      const lab = labWith();
      const { task } = lab.host;
      must(task.mkdir("/m/d", 0o755));
      expect(setFlags(lab, "/m/d", flag)).toBeUndefined();
      must(lab.write("/m/d/f", zeros(8192)));
      must(task.mkdir("/m/d/e", 0o755));
      expect([flagsOf(lab, "/m/d/f"), flagsOf(lab, "/m/d/e")]).toEqual([flag, flag]);
      // Without an option of the mount it is zlib.
      expect(extentsOf(lab, "/m/d/f")).toBe(flag === COMPRESS_FLAG ? "0-1 c" : "0-1");
    },
  );
});

describe("what is written into a file that was cut to nothing", () => {
  test("goes to the device when it is closed, once", () => {
    const lab = labWith("");
    const { state } = lab.fs;
    must(lab.write("/m/f", random(8192)));
    must(lab.fs.sync());
    must(lab.host.task.truncate("/m/f", 0));
    const fd = must(lab.host.task.open("/m/f", O_RDWR));
    must(lab.host.task.pwrite(fd, random(5000), 0));
    expect(state.delayedBytes).toBe(8192);
    lab.host.task.close(fd);
    expect(state.delayedBytes).toBe(0);
    must(lab.write("/m/f", random(100)));
    expect(state.delayedBytes).toBe(4096);
    lab.fs.check();
  });
});

describe("data that is not copied on write", () => {
  test("with nodatacow is overwritten in place, but for what a snapshot has", () => {
    const lab = labWith("nodatacow");
    must(lab.host.task.mknod("/m/p", S_IFIFO | 0o600));
    must(lab.write("/m/f", random(KIB(64))));
    expect(flagsOf(lab, "/m/f")).toBe(NOCOW_FLAG);
    const { data } = lab.settle();
    const events: SimEvent[] = [];
    const stop = lab.host.events.subscribe(({ event }) => events.push(event));
    must(lab.write("/m/f", zeros(8192), 8192));
    must(lab.write("/m/f", zeros(100), 50));
    const fd = must(lab.host.task.open("/m/g", O_RDWR | O_CREAT, 0o644));
    must(lab.host.task.fallocate(fd, 0, 0, 16_384));
    must(lab.host.task.pwrite(fd, random(4096), 4096));
    expect(extentsOf(lab, "/m/g")).toBe("0-0 p, 1-1, 2-3 p");
    must(lab.host.task.unlink("/m/g"));
    lab.host.task.close(fd);
    must(lab.fs.sync());
    events.length = 0;
    expect([lab.settle().data, extentsOf(lab, "/m/f")]).toEqual([data, "0-15"]);
    const newExtents = (): number => events.filter(({ op }) => op === "extent").length;
    expect(newExtents()).toBe(0);
    must(lab.snapshot("/m", "/m/s"));
    must(lab.write("/m/f", zeros(8192), 4096));
    expect([lab.settle().data, extentsOf(lab, "/m/f")]).toEqual([data + 8192, "0-0, 1-2, 3-15"]);
    expect(newExtents()).toBe(1);
    stop();
    lab.fs.check();
  });

  test("cannot be shared with what has checksums", () => {
    const lab = labWith();
    const { task } = lab.host;
    must(lab.write("/m/f", random(8192)));
    must(lab.write("/m/nocow", ""));
    expect(setFlags(lab, "/m/nocow", NOCOW_FLAG)).toBeUndefined();
    const from = must(task.open("/m/f", O_RDONLY));
    const to = must(task.open("/m/nocow", O_RDWR));
    expect(task.clone(from, to)).toBe(EINVAL);
    lab.fs.check();
  });

  test("and what is preallocated are written on a device that is full", () => {
    const lab = new BtrfsLab({ size: MIB(128) });
    const { task } = lab.host;
    must(lab.write("/m/nocow", ""));
    expect(setFlags(lab, "/m/nocow", NOCOW_FLAG)).toBeUndefined();
    must(lab.write("/m/nocow", random(8192)));
    const fd = must(task.open("/m/prealloc", O_RDWR | O_CREAT, 0o644));
    must(task.fallocate(fd, 0, 0, 16_384));
    must(lab.fs.sync());
    must(lab.write("/m/fill", random(MIB(128))));
    lab.settle();
    expect(lab.write("/m/fill", random(4096))).toBe(ENOSPC);
    expect(lab.write("/m/nocow", zeros(8192))).toBe(8192);
    expect(lab.write("/m/prealloc", random(4096), 4096)).toBe(4096);
    lab.settle();
    expect(extentsOf(lab, "/m/prealloc")).toBe("0-0 p, 1-1, 2-3 p");
    expect(lab.write("/m/prealloc", random(8192), 12_288)).toBe(4096);
    lab.settle();
    expect(extentsOf(lab, "/m/prealloc")).toBe("0-0 p, 1-1, 2-2 p, 3-3");
    expect(usage(lab.fs.state).data.used).toBe(usage(lab.fs.state).data.total);
    lab.fs.check();
  });
});

test("max_inline of a sector keeps files below a sector in their items, and a whole sector outside", () => {
  const lab = labWith("max_inline=4096");
  must(lab.write("/m/most", random(4095)));
  must(lab.write("/m/sector", random(4096)));
  expect([extentsOf(lab, "/m/most"), extentsOf(lab, "/m/sector")]).toEqual(["0-0 i", "0-0"]);
  lab.fs.check();
});

test("SEEK_DATA and SEEK_HOLE see what is in an item as data up to the end", () => {
  const lab = labWith();
  must(lab.write("/m/f", random(100)));
  must(lab.fs.sync());
  const { task } = lab.host;
  const fd = must(task.open("/m/f", O_RDONLY));
  expect([task.lseek(fd, 0, 3), task.lseek(fd, 0, 4), task.lseek(fd, 50, 3), task.lseek(fd, 100, 3)]).toEqual([
    0,
    100,
    50,
    ENXIO,
  ]);
});

test("clones tell what is shared, and zeroing gives zeros whatever was there", () => {
  const lab = labWith();
  const { task } = lab.host;
  must(lab.write("/m/f", random(KIB(32))));
  must(lab.fs.sync());
  const events: SimEvent[] = [];
  const stop = lab.host.events.subscribe(({ event }) => events.push(event));
  const from = must(task.open("/m/f", O_RDONLY));
  const to = must(task.open("/m/g", O_RDWR | O_CREAT, 0o644));
  must(task.clone(from, to));
  stop();
  const told = events.filter(({ op }) => op === "extentShare");
  expect(told).toMatchObject([{ blocks: 8 }]);
  must(task.fallocate(to, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 5000, 10_000));
  must(lab.fs.sync());
  const whole = Content.concat([random(KIB(32)).slice(0, 5000), zeros(10_000), random(KIB(32)).slice(15_000, KIB(32))]);
  expect(readAgain(lab, "/m/g")).toBe(whole.sha256());
  expect(lab.read("/m/f")).toBe(random(KIB(32)).sha256());
  lab.fs.check();
});

test("a file larger than the memory keeps its size in snapshots and over a mount, whatever was written back before the size covered it", () => {
  for (const memory of [MIB(8), MIB(25), MIB(50)]) {
    const lab = labWith("", { memory });
    must(lab.subvolume("/m/s"));
    must(lab.write("/m/s/f", random(MIB(16))));
    must(lab.snapshot("/m/s", "/m/t"));
    expect(must(lab.host.task.stat("/m/t/f")).size).toBe(MIB(16));
    expect(lab.read("/m/t/f")).toBe(random(MIB(16)).sha256());
    expect(readAgain(lab, "/m/s/f")).toBe(random(MIB(16)).sha256());
    lab.fs.check();
  }
});

test("zeroing leaves the extent that it begins in, where it is preallocated, and makes one extent of the rest", () => {
  const lab = labWith();
  const { task } = lab.host;
  const after = (
    path: string,
    ranges: readonly (readonly [offset: number, length: number])[],
    zeroed: readonly [number, number],
  ): string => {
    const fd = must(task.open(path, O_RDWR | O_CREAT, 0o644));
    for (const [offset, length] of ranges) must(task.fallocate(fd, 0, offset, length));
    must(task.fallocate(fd, FALLOC_FL_ZERO_RANGE, ...zeroed));
    task.close(fd);
    return extentsOf(lab, path);
  };
  const thirds = [0, 2, 1].map((at) => [MIB(at), MIB(1)] as const);
  expect(after("/m/thirds", thirds, [4096, MIB(3) - 4096])).toBe("0-255 p, 256-767 p");
  expect(after("/m/edges", [], [100, 9900])).toBe("0-2 p");
  expect(
    after(
      "/m/within",
      [
        [0, 8192],
        [8192, 8192],
      ],
      [100, 12_000],
    ),
  ).toBe("0-1 p, 2-3 p");
  lab.fs.check();
});
