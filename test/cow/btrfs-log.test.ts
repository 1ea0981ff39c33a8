/**
 * The log tree beside what was recorded (btrfs-log-recorded.test.ts): its space, what it does where there is no room or the disk fails, and power cuts while it is written and
 * while it is replayed.
 */
import { describe, expect, test } from "vitest";
import { type Disk, keepAll, keepNone } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { Content } from "../../sim/core/content.ts";
import { EIO } from "../../sim/core/errno.ts";
import { deviceNumber, GIB, KIB, seconds } from "../../sim/core/units.ts";
import { ITEM_RESERVE, NODE_SIZE } from "../../sim/cow/btrfs/layout.ts";
import { readSuperblock } from "../../sim/cow/btrfs/records.ts";
import { createHost } from "../../sim/host.ts";
import { O_RDONLY } from "../../sim/vfs/filesystem.ts";
import { treeOf } from "./btrfs-changes.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function fsync(lab: BtrfsLab, path: string): ReturnType<BtrfsLab["host"]["task"]["fsync"]> {
  const { task } = lab.host;
  const fd = must(task.open(path, O_RDONLY));
  const failed = task.fsync(fd);
  task.close(fd);
  lab.fs.check();
  return failed;
}

/** A superblock is one sector of its disk: it is written whole or not at all. */
function newLab(faulty = false): BtrfsLab {
  return new BtrfsLab({ size: GIB(1), sectorSize: KIB(4), faulty });
}

function diskOf(lab: BtrfsLab): Disk {
  const disk = lab.host.disks.get("vda");
  if (disk === undefined) throw new Error("there is no disk");
  return disk;
}

const hasLog = (disk: Disk): boolean => must(readSuperblock(disk)).logRoot !== 0;

/** Mounts a disk on another host. @returns its tree. */
function treeOn(disk: Disk): string[] {
  const host = createHost();
  host.addDevice("copy", disk, deviceNumber(253, 2));
  must(host.task.mkdir("/m", 0o755));
  const failed = host.mount({ type: "btrfs", source: "copy", target: "/m" });
  if (failed !== undefined) throw new Error(failed.message);
  host.check();
  return treeOf(host.task, "/m");
}

describe("a log", () => {
  test("takes reserved space that statfs does not see, and gives it back with the commit", () => {
    const lab = newLab();
    const { space, counters } = lab.fs.state;
    must(lab.write("/m/a", Content.pattern(1, 5000)));
    const commits = counters.commits;
    must(fsync(lab, "/m/a"));
    const { blocksFree } = lab.fs.statfs();
    expect([space.logged, counters.commits - commits, hasLog(diskOf(lab))]).toEqual([2 * NODE_SIZE, 0, true]);
    // What was written before is not changed: the next log has nodes of its own, and the old ones wait for the commit.
    const pinned = space.pinned("metadata");
    must(lab.write("/m/a", "x", 100));
    must(fsync(lab, "/m/a"));
    expect([space.logged, space.pinned("metadata") - pinned]).toEqual([2 * NODE_SIZE, 2 * NODE_SIZE]);
    // Nor the sector of data, before the extent tree knows of it.
    expect(lab.fs.statfs().blocksFree).toBe(blocksFree);
    must(lab.fs.sync());
    expect([space.logged, space.pinned("metadata"), hasLog(diskOf(lab))]).toEqual([0, 0, false]);
    lab.fs.check();
  });

  test("goes with the commit that time brings", () => {
    const lab = newLab();
    must(lab.write("/m/a", "x"));
    must(fsync(lab, "/m/a"));
    expect(hasLog(diskOf(lab))).toBe(true);
    lab.host.clock.advance(seconds(31));
    lab.host.clock.runDueTimers();
    expect(hasLog(diskOf(lab))).toBe(false);
    lab.fs.check();
  });

  test("is not begun where metadata has no room for it: fsync commits", () => {
    const lab = newLab();
    must(lab.write("/m/a", Content.pattern(1, 5000)));
    const { space, counters } = lab.fs.state;
    const { total } = space.totals("metadata");
    // What is kept back for commits is nearly used up too.
    const taken: number[] = [];
    while (space.taken("metadata") + ITEM_RESERVE <= total) taken.push(space.reserveNode(NODE_SIZE));
    const commits = counters.commits;
    const { task } = lab.host;
    const fd = must(task.open("/m/a", O_RDONLY));
    must(task.fsync(fd));
    task.close(fd);
    expect([counters.commits - commits, hasLog(diskOf(lab))]).toEqual([1, false]);
    for (const start of taken) space.unreserve(start, NODE_SIZE, false);
    lab.fs.check();
    expect(treeOn(diskOf(lab).clone({ silent: true }))).toEqual(treeOf(task, "/m"));
  });

  test.each([1, 2, 3, 4])("whose write %i of a node fails is given up: fsync commits", (at) => {
    const lab = newLab(true);
    must(lab.write("/m/a", "x"));
    lab.device.inject({ on: "write", at });
    const { commits } = lab.fs.state.counters;
    expect(fsync(lab, "/m/a")).toBeUndefined();
    expect([lab.fs.state.counters.commits - commits, lab.device.failed, hasLog(diskOf(lab))]).toEqual([1, 1, false]);
    expect(treeOn(diskOf(lab).clone({ silent: true }))).toEqual(treeOf(lab.host.task, "/m"));
  });

  test("whose superblock cannot be written ends the filesystem, as a commit's would", () => {
    const lab = newLab(true);
    must(lab.write("/m/a", "x"));
    lab.device.inject({ on: "write", at: 5 });
    expect(fsync(lab, "/m/a")).toBe(EIO);
    expect(lab.write("/m/b", "x")).toMatchObject({ code: "EROFS" });
  });
});

describe("a power cut", () => {
  /** Two files of a commit; then one is changed and synced, the other changed, a third made, synced and renamed. */
  function worked(): {
    readonly lab: BtrfsLab;
    readonly history: DiskHistory;
    readonly states: [writes: number, tree: string[]][];
  } {
    const lab = newLab();
    const { task } = lab.host;
    must(lab.write("/m/a", Content.pattern(1, 20_000)));
    must(lab.write("/m/b", Content.pattern(2, 20_000)));
    must(lab.fs.sync());
    const history = new DiskHistory(diskOf(lab));
    const states: [number, string[]][] = [[0, treeOf(task, "/m")]];
    const synced = (path: string): void => {
      must(fsync(lab, path));
      states.push([history.commands, treeOf(task, "/m")]);
    };
    must(lab.write("/m/a", Content.pattern(3, 5000), 8192));
    synced("/m/a");
    must(lab.write("/m/c", Content.pattern(4, 9000)));
    synced("/m/c");
    must(task.rename("/m/c", "/m/b"));
    must(task.mkdir("/m/d", 0o755));
    must(lab.write("/m/d/e", "x"));
    synced("/m/d/e");
    synced("/m");
    history.stop();
    return { lab, history, states };
  }

  test("after any command finds what the last fsync before it promised, or what the next one would", () => {
    const { history, states } = worked();
    for (let count = 0; count <= history.commands; count++) {
      const last = states.findLastIndex(([commands]) => commands <= count);
      for (const choice of [keepAll, keepNone]) {
        const found = treeOn(history.imageAfterCommands(count, choice));
        expect([states[last]?.[1], states[last + 1]?.[1]], `after command ${count}`).toContainEqual(found);
      }
    }
  });

  test("while a log is replayed leaves it to the next mount", () => {
    const { lab } = worked();
    const disk = diskOf(lab).clone({ silent: true });
    expect(hasLog(disk)).toBe(true);
    const replay = new DiskHistory(disk);
    const whole = treeOn(disk);
    replay.stop();
    expect(whole).toEqual(treeOf(lab.host.task, "/m"));
    expect(replay.writes).toBeGreaterThan(10);
    for (let count = 0; count <= replay.commands; count++) {
      for (const choice of [keepAll, keepNone]) expect(treeOn(replay.imageAfterCommands(count, choice))).toEqual(whole);
    }
  });

  test("leaves quota groups that count what the replay has brought", () => {
    const lab = newLab();
    lab.quota();
    must(lab.subvolume("/m/v"));
    must(lab.fs.sync());
    must(lab.write("/m/v/a", Content.pattern(1, 50_000)));
    must(fsync(lab, "/m/v/a"));
    // Mounting holds the groups to what the subvolumes reach.
    expect(treeOn(diskOf(lab).clone({ silent: true }))).toEqual(treeOf(lab.host.task, "/m"));
  });
});
