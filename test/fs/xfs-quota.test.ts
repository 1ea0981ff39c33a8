/**
 * Projects of xfs. Ids, the flag of inheritance, EXDEV, and ENOSYS without quotas are what Linux 6.18 answers; what limits do is by its source
 * (fs/xfs/xfs_trans_dquot.c, xfs_qm_bhv.c, xfs_iomap.c) and by spec/drivers.md 5.5.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC, ENOSYS, type Errno, EXDEV, isErrno } from "../../sim/core/errno.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { Projects } from "../../sim/fs/xfs/projects.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { fileHandle, type Inode, S_IFDIR, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { folder, type Lab, type Mounted, make, must, put, stat } from "./disk-helpers.ts";
import { lab, mounted, ROOT } from "./xfs-helpers.ts";

type On = Mounted<Xfs>;
const PROJECT_FLAG = 0x20000000;
const INIT = { uid: 0, gid: 0, rdev: 0, target: "" };

/** A folder that is limited, on a filesystem that keeps limits. */
function limited(size: number, project = 7): Lab<Xfs> & { top: Inode } {
  const on = lab(MIB(600), { projectQuota: true });
  const top = folder(on, ROOT, "top");
  must(on.fs.projects.setProject(top, project, true));
  must(on.fs.projects.setLimit(project, size as never));
  return { ...on, top };
}

/** Writes in pieces until no more goes. @returns the bytes written and what stopped it. */
function fill(on: On, inode: Inode, length: number, piece: number = length): { written: number; failed: Errno | undefined } {
  const file = must(on.fs.open(inode, 1));
  let written = 0;
  let failed: Errno | undefined;
  while (written < length && failed === undefined) {
    const answer = on.fs.write(file, written, Content.pattern(3, Math.min(piece, length - written)));
    if (isErrno(answer)) failed = answer;
    else written += answer;
  }
  on.fs.close(file, 1);
  return { written, failed };
}

test("folders pass their project on, files take it over; what has the flag no more keeps its project", () => {
  const on = lab(MIB(400));
  const { projects } = on.fs;
  const directory = folder(on, ROOT, "d");
  const file = make(on, ROOT, "f");
  must(projects.setProject(directory, 7, true));
  must(projects.setProject(file, 7, true));
  const below = folder(on, directory, "s");
  const inside = make(on, directory, "f");
  expect([directory, file, below, inside].map((inode) => projects.projectOf(inode))).toEqual([7, 7, 7, 7]);
  const flags = [directory, file, below, inside].map((inode) => must(on.fs.fileFlags(inode)) & PROJECT_FLAG);
  expect(flags).toEqual([PROJECT_FLAG, 0, PROJECT_FLAG, 0]);
  must(projects.setProject(directory, 7, false));
  expect(projects.projectOf(make(on, directory, "later"))).toBe(0);
  expect(projects.projectOf(directory)).toBe(7);
  on.fs.check();
});

test("without quotas a limit is ENOSYS, and names still do not come into another project", () => {
  const on = lab(MIB(400));
  const { projects } = on.fs;
  expect(projects.enforced).toBe(false);
  expect(projects.setLimit(7, MIB(1))).toBe(ENOSYS);
  const directory = folder(on, ROOT, "d");
  const file = make(on, ROOT, "f");
  must(projects.setProject(directory, 7, true));
  const name = on.names.intern("f");
  expect(on.fs.link(file, directory, name)).toBe(EXDEV);
  expect(on.fs.rename(ROOT, name, directory, name, 0)).toBe(EXDEV);
  must(projects.setProject(file, 7, false));
  expect(on.fs.rename(ROOT, name, directory, name, 0)).toBeUndefined();
  expect(on.fs.statfs(directory)).toEqual(on.fs.statfs());
  on.fs.check();
});

test("a project of 50 MiB takes 25, and of 50 more what is left; then nothing is written or made: ENOSPC", () => {
  const on = limited(MIB(50));
  const { fs, top } = on;
  const small = make(on, top, "small");
  expect(fill(on, small, MIB(25))).toEqual({ written: MIB(25), failed: undefined });
  fs.check();
  const big = make(on, top, "big");
  const { written, failed } = fill(on, big, MIB(50));
  expect(failed).toBe(ENOSPC);
  // A mapping of a large write is 4 MiB, which find room together or not at all; smaller ones fill the rest.
  expect(written).toBeGreaterThan(MIB(21));
  expect(written).toBeLessThanOrEqual(MIB(25));
  fs.check();
  const rest = fill(on, make(on, top, "rest"), MIB(2), KIB(4));
  expect(rest.failed).toBe(ENOSPC);
  fs.check();
  must(fs.sync());
  expect(fs.statfs(top).blocksFree).toBeLessThan(16);
  fs.check();
  const entry = (name: string, mode: number): unknown => fs.create(top, on.names.intern(name), { ...INIT, mode });
  expect(entry("file", S_IFREG | 0o644)).toBe(ENOSPC);
  expect(entry("folder", S_IFDIR | 0o755)).toBe(ENOSPC);
  expect(fs.fallocate(fileHandle(big), 0, MIB(60), MIB(60))).toBe(ENOSPC);
  fs.check();
  // Beside it there is room.
  expect(fill(on, make(on, ROOT, "beside"), MIB(60)).failed).toBeUndefined();
  must(fs.unlink(top, on.names.intern("big")));
  expect(fill(on, small, MIB(40)).failed).toBeUndefined();
  fs.check();
});

test("a limited folder shows its limit as its size, and what is left of it as free; a file, and folders elsewhere, show the whole", () => {
  const on = limited(MIB(50) + 1);
  const { fs, top } = on;
  const whole = fs.statfs();
  // Of a block that is begun the whole counts.
  const blocks = MIB(50) / KIB(4) + 1;
  expect(fs.statfs(top)).toEqual({ ...whole, blocks, blocksFree: blocks, blocksAvailable: blocks });
  const below = folder(on, top, "below");
  const file = make(on, below, "f");
  put(on, file, 0, Content.pattern(1, MIB(10)));
  must(fs.sync());
  const used = stat(on, file).blocks / 8;
  expect(used).toBeGreaterThanOrEqual(MIB(10) / KIB(4));
  for (const inode of [top, below]) expect(fs.statfs(inode)).toMatchObject({ blocks, blocksFree: blocks - used });
  expect(fs.statfs(file)).toEqual(fs.statfs());
  // A limit above what there is shows what there is.
  must(fs.projects.setLimit(7, MIB(10_000)));
  expect(fs.statfs(top)).toEqual(fs.statfs());
  must(fs.projects.setLimit(7, 0 as never));
  expect(fs.statfs(top)).toEqual(fs.statfs());
  fs.check();
});

test("the nearer a project is to its limit, the less of what is left is taken in advance", () => {
  const projects = new Projects(true);
  projects.setLimit(7, 10_000);
  const answers: unknown[] = [];
  let used = 0;
  for (const [next, wanted] of [
    [5000, 4999],
    [5000, 5000],
    [9000, 4000],
    [9600, 4000],
    [9800, 4000],
    [9950, 4000],
  ] as const) {
    projects.charge(7, next - used);
    used = next;
    const { most, shift, free } = projects.throttle(7, wanted);
    answers.push([most, shift, free]);
  }
  expect(answers).toEqual([
    [4999, 0, Number.POSITIVE_INFINITY],
    [5000, 0, 5000],
    [1000, 0, 1000],
    [400, 2, 400],
    [200, 4, 200],
    [50, 6, 50],
  ]);
  const inside = limited(MIB(10));
  const file = make(inside, inside.top, "f");
  const beside = make(inside, ROOT, "f");
  for (let at = 0; at < MIB(9); at += KIB(512))
    for (const one of [file, beside]) put(inside, one, at, Content.pattern(1, KIB(512)));
  expect(stat(inside, beside).blocks * 512).toBeGreaterThan(MIB(10));
  expect(stat(inside, file).blocks * 512).toBeLessThanOrEqual(MIB(10));
  inside.fs.check();
});

test("a file that comes into a project brings all its blocks, promised ones too, also above the limit", () => {
  const on = limited(MIB(1), 0xffff_fff0);
  const { fs, top } = on;
  const file = make(on, ROOT, "f");
  put(on, file, 0, Content.pattern(1, MIB(2)));
  must(fs.projects.setProject(file, 0xffff_fff0, false));
  fs.check();
  expect(fs.projects.projectOf(file)).toBe(0xffff_fff0);
  expect(fs.statfs(top)).toMatchObject({ blocks: 256, blocksFree: 0 });
  must(fs.sync());
  fs.check();
  must(fs.projects.setProject(file, 0, false));
  expect(fs.statfs(top).blocksFree).toBe(256);
  fs.check();
});

test("limits and ids are there after a mount, and after a crash once they are durable", () => {
  const on = limited(MIB(50));
  put(on, make(on, on.top, "f"), 0, Content.pattern(1, MIB(5)));
  must(on.fs.sync());
  const told = on.fs.statfs(on.top);
  must(on.fs.projects.setLimit(7, MIB(9)));
  on.disk.powerCut();
  const crashed = mounted(on.disk, { projectQuota: true });
  expect(crashed.fs.statfs(on.top)).toMatchObject({ blocks: told.blocks });
  crashed.fs.check();
  must(crashed.fs.unmount());
  const again = mounted(on.disk, { projectQuota: true });
  expect(again.fs.statfs(on.top)).toMatchObject({ blocks: told.blocks, blocksFree: (MIB(50) - MIB(5)) / KIB(4) });
  again.fs.check();
  must(again.fs.unmount());
  const unlimited = mounted(on.disk);
  expect(unlimited.fs.statfs(on.top)).toEqual(unlimited.fs.statfs());
  unlimited.fs.check();
});

test("whatever is written, made, removed and moved between projects, charges add up and no project grows above its limit", () => {
  const steps = fc.array(
    fc.record({
      op: fc.constantFrom("write", "write", "make", "unlink", "move", "clone", "sync", "truncate"),
      a: fc.nat(5),
      b: fc.nat(5),
      n: fc.nat(MIB(2)),
    }),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const on = limited(MIB(3));
      const { fs, top } = on;
      const at = (n: number): [Inode, ReturnType<typeof on.names.intern>] => [n < 3 ? top : ROOT, on.names.intern(`f${n}`)];
      for (const { op, a, b, n } of list) {
        const [directory, name] = at(a);
        const found = fs.lookup(directory, name);
        const other = fs.lookup(...at(b));
        if (op === "make" && isErrno(found)) fs.create(directory, name, { ...INIT, mode: S_IFREG | 0o644 });
        if (op === "sync") must(fs.sync());
        if (!isErrno(found)) {
          const isInside = fs.projects.projectOf(found) === 7;
          const before = fs.statfs(top).blocksFree;
          if (op === "write") fill(on, found, n);
          if (op === "truncate") must(fs.setattr(found, { size: n }));
          if (op === "unlink") must(fs.unlink(directory, name));
          if (op === "move") must(fs.projects.setProject(found, isInside ? 0 : 7, false));
          if (op === "clone" && !isErrno(other)) fs.clone(fileHandle(found), 0, fileHandle(other), 0, 0);
          if (op === "write" && !isInside) expect(fs.statfs(top).blocksFree).toBeGreaterThanOrEqual(before);
        }
        fs.check();
      }
    }),
    { numRuns: 40 },
  );
});
