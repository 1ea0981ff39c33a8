/** Random operations against a plain tree; the device alone gives the same tree again; power cuts keep what was synced. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BlockDevice } from "../../sim/block/device.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { type Inode, RENAME_EXCHANGE, RENAME_WHITEOUT, S_IFDIR, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { runs } from "../runs.ts";
import { folder, type Lab, type Mounted, make, must, put, stat } from "./disk-helpers.ts";
import * as ext4 from "./ext4-helpers.ts";
import * as xfs from "./xfs-helpers.ts";

/** A filesystem that the same is asked of. */
interface Ground {
  readonly name: string;
  /** A small disk with it; `untorn`: one that never tears a block, where one that is torn needs the filesystem's own repair. */
  readonly lab: (untorn?: boolean) => Lab;
  readonly mounted: (device: BlockDevice) => Mounted;
  /** Bytes of that disk. */
  readonly size: number;
}

const EXT4_SIZE = MIB(16);
const XFS_SIZE = MIB(300);
const GROUNDS: readonly Ground[] = [
  {
    name: "ext4",
    lab: (untorn = false) => ext4.lab(EXT4_SIZE, untorn ? { sectorSize: 4096 } : {}),
    mounted: (device) => ext4.mounted(device),
    size: EXT4_SIZE,
  },
  { name: "xfs", lab: () => xfs.lab(XFS_SIZE), mounted: (device) => xfs.mounted(device), size: XFS_SIZE },
];

type Tree = { [name: string]: Tree | string };

/** Everything that is to be seen, as plain data: folders as objects, files as text of links, size and digest. */
function seen(on: Mounted, directory: Inode = on.fs.root): Tree {
  const out: Tree = {};
  const found: [name: string, inode: number, type: number][] = [];
  on.fs.iterate(directory, (name, inode, type) => void found.push([on.names.text(name), inode, type]));
  for (const [name, inode, type] of found.sort()) {
    if (name === "lost+found") continue;
    const told = stat(on, inode);
    if (type === S_IFDIR) out[name] = seen(on, inode as Inode);
    else {
      const text =
        type === S_IFREG ? new TextDecoder("latin1").decode(must(on.fs.read(inode as never, 0, told.size)).toBytes()) : "";
      out[name] = `${told.mode.toString(8)} ${told.nlink} ${told.size} ${text}`;
    }
  }
  return out;
}

interface Step {
  op:
    | "create"
    | "mkdir"
    | "write"
    | "unlink"
    | "rename"
    | "exchange"
    | "whiteout"
    | "link"
    | "truncate"
    | "sync"
    | "fallocate"
    | "punch"
    | "xattr"
    | "clone";
  a: number;
  b: number;
  n: number;
}
const steps = fc.array(
  fc.record<Step>({
    op: fc.constantFrom(
      "create",
      "mkdir",
      "write",
      "write",
      "unlink",
      "rename",
      "exchange",
      "whiteout",
      "link",
      "truncate",
      "sync",
      "fallocate",
      "punch",
      "xattr",
      "clone",
      "clone",
    ),
    a: fc.nat(7),
    b: fc.nat(7),
    n: fc.nat(40_000),
  }),
  { minLength: 1, maxLength: 60 },
);

/** Two folders of four names each. */
function place(on: Mounted, at: number): { directory: Inode; name: ReturnType<Lab["names"]["intern"]> } | undefined {
  const name = on.names.intern(`n${at % 4}`);
  if (at < 4) return { directory: on.fs.root, name };
  const found = on.fs.lookup(on.fs.root, on.names.intern("sub"));
  return isErrno(found) ? undefined : { directory: found, name };
}

function apply(on: Mounted, step: Step): void {
  const { fs } = on;
  const one = place(on, step.a);
  const other = place(on, step.b);
  if (one === undefined || other === undefined) return;
  const found = fs.lookup(one.directory, one.name);
  const target = fs.lookup(other.directory, other.name);
  const init = { uid: 0, gid: 0, rdev: 0, target: "" };
  if (step.op === "sync") must(fs.sync());
  else if (isErrno(found)) {
    if (step.op === "create" || step.op === "write") must(fs.create(one.directory, one.name, { ...init, mode: S_IFREG | 0o644 }));
    if (step.op === "mkdir") must(fs.create(one.directory, one.name, { ...init, mode: S_IFDIR | 0o755 }));
  } else {
    const isFolder = (fs.mode(found) & S_IFMT) === S_IFDIR;
    const isFile = (fs.mode(found) & S_IFMT) === S_IFREG;
    const targetIsFolder = !isErrno(target) && (fs.mode(target) & S_IFMT) === S_IFDIR;
    if (step.op === "unlink") isFolder ? fs.rmdir(one.directory, one.name) : must(fs.unlink(one.directory, one.name));
    else if (step.op === "write" && isFile) put(on, found, step.n, Content.pattern(step.n, 1 + (step.n % 9000)));
    else if (step.op === "truncate" && isFile) must(fs.setattr(found, { size: step.n }));
    else if (step.op === "fallocate" && isFile) must(fs.fallocate(found as never, step.b & 1, step.n, 10_000));
    else if (step.op === "punch" && isFile) must(fs.fallocate(found as never, 3, step.n, 10_000));
    else if (step.op === "xattr") fs.setxattr(found, `user.x${step.b}`, new Uint8Array(step.n % 2000), 0);
    else if (step.op === "clone" && isFile && !isErrno(target) && (fs.mode(target) & S_IFMT) === S_IFREG) {
      const answer = fs.clone(found as never, 0, target as never, (step.n % 3) * 4096, 0);
      expect(answer?.code ?? "ok").toMatch(fs.type === "xfs" ? /ok|EINVAL/ : /ENOTSUP/);
    } else if (step.op === "link" && !isFolder && isErrno(target)) must(fs.link(found, other.directory, other.name));
    else if (step.op === "exchange" && !isErrno(target))
      fs.rename(one.directory, one.name, other.directory, other.name, RENAME_EXCHANGE);
    else if ((step.op === "rename" || step.op === "whiteout") && (isErrno(target) || targetIsFolder === isFolder))
      fs.rename(one.directory, one.name, other.directory, other.name, step.op === "whiteout" ? RENAME_WHITEOUT : 0);
  }
}

describe.each(GROUNDS)("$name", ({ lab, mounted, size }) => {
  it("keeps its invariants after every operation, and its tree through a mount from the device alone", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const on = lab();
        folder(on, on.fs.root, "sub");
        for (const step of list) {
          apply(on, step);
          on.fs.check();
        }
        const before = seen(on);
        must(on.fs.unmount());
        const again = mounted(on.disk);
        again.fs.check();
        expect(seen(again)).toEqual(before);
      }),
      runs(60),
    );
  });

  it("shows after a power cut what the last sync showed, and its invariants hold", () => {
    fc.assert(
      fc.property(steps, fc.nat(1_000_000), (list, seed) => {
        const on = lab(true);
        folder(on, on.fs.root, "sub");
        must(on.fs.sync());
        for (const step of list) apply(on, step);
        must(on.fs.sync());
        const synced = seen(on);
        make(on, on.fs.root, "late");
        let state = seed;
        on.disk.powerCut(() => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          return state % 3 === 0;
        });
        const again = mounted(on.disk);
        again.fs.check();
        const { late: _late, ...rest } = seen(again);
        expect(rest).toEqual(synced);
      }),
      runs(60),
    );
  });

  it("mounts with its invariants after a power cut at any write, and what fsync promised before is there", () => {
    fc.assert(
      fc.property(steps, fc.nat(1_000_000), (list, seed) => {
        const on = lab(true);
        folder(on, on.fs.root, "sub");
        const kept = make(on, on.fs.root, "kept");
        put(on, kept, 0, Content.pattern(9, 20_000));
        must(on.fs.fsync(kept as never, false));
        const history = new DiskHistory(on.disk);
        for (const step of list) apply(on, step);
        must(on.fs.unmount());
        history.stop();
        let state = seed;
        const choice = (): boolean => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          return (state >>> 16) % 2 === 0;
        };
        for (let n = 0; n <= history.writes; n++) {
          const again = mounted(history.imageAfter(n, choice));
          again.fs.check();
          const found = must(again.fs.lookup(again.fs.root, again.names.intern("kept")));
          expect(must(again.fs.read(found as never, 0, 30_000)).equals(Content.pattern(9, 20_000))).toBe(true);
        }
      }),
      runs(15),
    );
  });

  it("answers ENOSPC when blocks or inodes run out, and keeps its invariants", () => {
    const on = lab();
    const file = make(on, on.fs.root, "full");
    const written = put(on, file, 0, Content.pattern(1, 2 * size));
    expect(written).toBeLessThan(size);
    must(on.fs.sync());
    on.fs.check();
    let made = 0;
    while (
      !isErrno(on.fs.create(on.fs.root, on.names.intern(`i${made}`), { mode: S_IFREG, uid: 0, gid: 0, rdev: 0, target: "" }))
    )
      made += 1;
    expect(made).toBeGreaterThan(100);
    on.fs.check();
    must(on.fs.unmount());
    mounted(on.disk).fs.check();
  });

  it("frees an inode that lost its name while it was open at the next mount, when the power fails", () => {
    const on = lab();
    const file = make(on, on.fs.root, "gone");
    put(on, file, 0, Content.pattern(1, 100_000));
    must(on.fs.sync());
    const free = on.fs.statfs().filesFree;
    on.fs.hold(file);
    must(on.fs.unlink(on.fs.root, on.names.intern("gone")));
    must(on.fs.sync());
    expect(on.fs.statfs().filesFree).toBe(free);
    on.disk.powerCut(() => false);
    const again = mounted(on.disk);
    again.fs.check();
    expect(again.fs.statfs().filesFree).toBe(free + 1);
  });

  it("indexes a directory of many names and finds them all after a mount", () => {
    const on = lab();
    const big = folder(on, on.fs.root, "big");
    for (let n = 0; n < 3000; n++) make(on, big, `name-${n}`);
    for (let n = 0; n < 3000; n += 3) must(on.fs.unlink(big, on.names.intern(`name-${n}`)));
    on.fs.check();
    must(on.fs.unmount());
    const again = mounted(on.disk);
    again.fs.check();
    expect(Object.keys(seen(again)["big"] as Tree)).toHaveLength(2000);
  });
});
