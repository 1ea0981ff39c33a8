/**
 * Our own filesystems on a thin volume: how many 64 KiB blocks each kind of change provisions, and takes from a snapshot that was made just
 * before, beside what the real filesystems' bios do (spec/block-cow.md §1.13).
 */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { snapshot } from "../../sim/core/counters.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, GIB, MIB } from "../../sim/core/units.ts";
import { Host } from "../../sim/host.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { BLOCK, openPool, openVolume } from "./thin-lab.ts";

/** mke2fs as Docker calls it. The bios of xfs were recorded on a device that tells no stripes of itself. */
const MKFS: Readonly<Record<string, string>> = {
  ext4: "-E nodiscard,lazy_itable_init=0,lazy_journal_init=0",
  xfs: "-d noalign",
};
/** The recorded bios themselves differ by as much from one run to the next. */
const TOLERANCE = 2;

interface Lab {
  readonly host: Host;
  readonly pool: ThinPool;
  readonly volume: ThinVolume;
}

function lab(type: string, size: number): Lab {
  const host = new Host();
  const data = new Disk({ name: "data", size: GIB(40) });
  const pool = openPool({ data, metadata: new Disk({ name: "meta", size: MIB(256) }) });
  sendMessage(pool, "create_thin 0");
  const volume = openVolume(pool, 0, size / BLOCK);
  host.addDevice("thin", volume, deviceNumber(253, 2));
  expect(host.mkfs(type, "thin", MKFS[type])).toBeUndefined();
  host.task.mkdir("/mnt", 0o755);
  return { host, pool, volume };
}

type Work = (task: Task) => void;

function write(path: string, size: number, offset = 0): Work {
  return (task) => {
    const fd = task.open(path, O_CREAT | O_RDWR, 0o644);
    if (isErrno(fd)) throw new Error(`${path}: ${fd.code}`);
    if (size > 0) expect(task.pwrite(fd, Content.pattern(size, size), offset)).toBe(size);
    task.close(fd);
  };
}

function hundred(work: (task: Task, path: string) => void): Work {
  return (task) => {
    for (let index = 0; index < 100; index++) work(task, `/folder/file-${index}`);
  };
}

/** Blocks provisioned and taken from the snapshot: from the call to sync, and at unmount. */
type Row = readonly [name: string, work: Work, ext4: readonly [number, number], xfs: readonly [number, number]];

const ROWS: readonly Row[] = [
  ["idle", () => {}, [0, 0], [0, 0]],
  ["create an empty file", write("/empty", 0), [0, 4], [0, 0]],
  ["1-byte file", write("/one", 1), [1, 5], [0, 1]],
  ["4096-byte file", write("/page", 4096), [1, 6], [0, 1]],
  ["65536-byte file", write("/block", BLOCK), [1, 7], [1, 1]],
  ["1048577-byte file", write("/mib", MIB(1) + 1), [17, 6], [16, 1]],
  ["mkdir", (task) => expect(task.mkdir("/folder", 0o755)).toBeUndefined(), [2, 7], [0, 0]],
  ["100 files of 4 KiB", hundred((task, path) => write(path, 4096)(task)), [7, 7], [7, 2]],
  ["1 GiB file", write("/big", GIB(1)), [16385, 8], [16384, 1]],
  ["1 byte overwritten in it", write("/big", 1, MIB(512)), [0, 4], [0, 1]],
  ["64 KiB aligned overwritten in it", write("/big", BLOCK, MIB(256)), [0, 4], [0, 2]],
  ["truncate", (task) => expect(task.truncate("/mib", MIB(1) / 2)).toBeUndefined(), [0, 5], [0, 0]],
  ["chmod", (task) => expect(task.chmod("/one", 0o600)).toBeUndefined(), [0, 3], [0, 0]],
  ["rename", (task) => expect(task.rename("/page", "/folder/page")).toBeUndefined(), [0, 6], [0, 0]],
  ["delete 100 files", hundred((task, path) => expect(task.unlink(path)).toBeUndefined()), [0, 7], [0, 0]],
  ["delete the 1 GiB file", (task) => expect(task.unlink("/big")).toBeUndefined(), [0, 7], [0, 0]],
];

/** What mounting costs before the work: ext4 its superblock, xfs 2 MiB of its log. */
const MOUNT_BREAKS = { ext4: 1, xfs: 33 } as const;
/** Unmounting breaks no block of ext4's that was not broken yet, and at most these of xfs's. */
const UNMOUNT_BREAKS_MAX = { ext4: 0, xfs: 3 } as const;

/** Mounts, works, syncs and unmounts. @returns blocks provisioned and broken in each of the three. */
function phases({ host, pool }: Lab, type: string, work: Work): number[][] {
  const counted: number[][] = [];
  const phase = (step: () => void): void => {
    const before = snapshot(pool.counters);
    step();
    counted.push([pool.counters.provisioned - before.provisioned, pool.counters.broken - before.broken]);
  };
  phase(() => expect(host.mount({ type, source: "thin", target: "/mnt" })).toBeUndefined());
  phase(() => {
    const task = host.task.chroot("/mnt");
    if (isErrno(task)) throw new Error(task.code);
    work(task);
    task.syncfs();
    task.exit();
  });
  phase(() => expect(host.unmount("/mnt")).toBeUndefined());
  return counted;
}

function near(got: readonly number[] | undefined, want: readonly number[]): boolean {
  return want.every((count, index) => Math.abs((got?.[index] ?? Number.NaN) - count) <= TOLERANCE);
}

for (const type of ["ext4", "xfs"] as const) {
  test(`each kind of change costs the blocks on ${type} that the real one's bios cost`, () => {
    const thin = lab(type, GIB(10));
    let snapshots = 0;
    const wrong: unknown[] = [];
    for (const [name, work, ext4, xfs] of ROWS) {
      snapshots += 1;
      expect(sendMessage(thin.pool, `create_snap ${snapshots} 0`)).toBeUndefined();
      const [mounting, working, unmounting] = phases(thin, type, work);
      const want = type === "ext4" ? ext4 : xfs;
      if (!near(working, want)) wrong.push({ name, working, want });
      expect([name, mounting]).toEqual([name, [0, MOUNT_BREAKS[type]]]);
      expect(unmounting?.[0], name).toBe(0);
      expect(unmounting?.[1], name).toBeLessThanOrEqual(UNMOUNT_BREAKS_MAX[type]);
    }
    expect(wrong).toEqual([]);
    checkPool(thin.pool);
  });
}

test("what was changed once since the snapshot costs at most a block of the log when it is changed again", () => {
  const thin = lab("ext4", GIB(10));
  const change = write("/file", 1, MIB(4));
  phases(thin, "ext4", change);
  sendMessage(thin.pool, "create_snap 1 0");
  const costs = [0, 1].map(() => phases(thin, "ext4", change).map(([, broken]) => broken));
  expect(costs[0]?.[1]).toBeGreaterThan(2);
  expect([costs[1]?.[0], costs[1]?.[2]]).toEqual([0, 0]);
  expect(costs[1]?.[1]).toBeLessThanOrEqual(1);
});

test("a base device of Docker's maps 3664 blocks with 10 GiB of ext4 and 783 with 1 GiB, and 1031 with 10 GiB of unaligned xfs", () => {
  const { volume } = lab("ext4", GIB(10));
  expect(volume.mapped).toBe(3664);
  expect(lab("ext4", GIB(1)).volume.mapped).toBe(783);
  expect(Math.abs(lab("xfs", GIB(10)).volume.mapped - 1031)).toBeLessThanOrEqual(TOLERANCE);
});
