/** Random histories of files, subvolumes and snapshots: they agree with a model, add up after each step, and outlive a power cut at any write. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { keepAll, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import { Random } from "../../sim/core/random.ts";
import { deviceNumber, KIB, MIB } from "../../sim/core/units.ts";
import { mountBtrfs } from "../../sim/cow/btrfs/mount.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_RDWR, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { runs } from "../runs.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

/** Everything below a folder: a line a file. */
function treeOf(task: Task, folder: string, out: string[] = []): string[] {
  const names: string[] = [];
  for (const { name } of must(task.readdir(folder))) names.push(name);
  for (const name of names.sort()) {
    const path = `${folder}/${name}`;
    const of = must(task.lstat(path));
    const isFolder = (of.mode & S_IFMT) === S_IFDIR;
    let content = "";
    if (!isFolder) {
      const fd = must(task.open(path, O_RDONLY));
      content = must(task.pread(fd, of.size, 0)).sha256();
      task.close(fd);
    }
    out.push(`${path} ${of.mode.toString(8)} ${isFolder ? "" : of.size} ${of.nlink} ${content}`);
    if (isFolder) treeOf(task, path, out);
  }
  return out;
}

interface Step {
  readonly kind: number;
  readonly one: number;
  readonly other: number;
  readonly offset: number;
  readonly length: number;
}

const STEP = fc.record({
  kind: fc.integer({ min: 0, max: 11 }),
  one: fc.integer({ min: 0, max: 5 }),
  other: fc.integer({ min: 0, max: 5 }),
  offset: fc.integer({ min: 0, max: 40_000 }),
  length: fc.integer({ min: 1, max: 30_000 }),
});

function reflink(task: Task, source: string, target: string): void {
  const from = task.open(source, O_RDONLY);
  const to = task.open(target, O_RDWR | O_CREAT, 0o644);
  if (!isErrno(from) && !isErrno(to)) task.clone(from, to);
  if (!isErrno(from)) task.close(from);
  if (!isErrno(to)) task.close(to);
}

/** One step; errors are answers like others. */
function apply(lab: BtrfsLab, step: Step, salt: number): void {
  const { task } = lab.host;
  const { kind, one, other, offset, length } = step;
  const volume = (n: number): string => `/m/v${n % 3}`;
  const file = (n: number): string => `${volume(n)}/f${n % 2}`;
  if (kind <= 3) lab.write(file(one), Content.pattern(salt, kind === 0 ? length % 3000 : length), kind === 0 ? 0 : offset);
  else if (kind === 4) task.truncate(file(one), offset);
  else if (kind === 5) task.unlink(file(one));
  else if (kind === 6) task.rename(file(one), file(other));
  else if (kind === 7) reflink(task, file(one), file(other));
  else if (kind === 8 && !isErrno(task.lstat(volume(other)))) lab.snapshot(volume(other), volume(one));
  else if (kind === 9) lab.remove(volume(one));
  else if (kind === 10) task.link(file(one), `${volume(one)}/l${other}`);
  else if (kind === 11) task.mkdir(`${volume(one)}/d${other}`, 0o755);
}

test("quota groups, references and space add up after every step, and all comes back when everything is removed", () => {
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 5, maxLength: 50 }), (steps) => {
      const lab = new BtrfsLab({ size: MIB(600) });
      lab.quota();
      for (const name of ["v0", "v1"]) must(lab.subvolume(`/m/${name}`));
      let salt = 1;
      for (const step of steps) {
        apply(lab, step, salt++);
        lab.fs.check();
        if (salt % 3 === 0) must(lab.fs.sync());
        if (salt % 7 === 0) lab.settle();
        lab.fs.check();
      }
      // What single subvolumes have alone and what several share is all there is.
      lab.settle();
      const groups = [...(lab.fs.state.quotas?.groups.values() ?? [])];
      const alone = groups.reduce((sum, { exclusive }) => sum + exclusive, 0);
      const { data, metadata } = usage(lab.fs.state);
      expect(alone).toBeLessThanOrEqual(data.used + metadata.used);
      for (const name of ["v0", "v1", "v2"]) lab.remove(`/m/${name}`);
      lab.settle();
      expect(usage(lab.fs.state)).toMatchObject({ data: { total: 8_388_608, used: 0 }, metadata: { used: 147_456 } });
      lab.fs.check();
    }),
    runs(25),
  );
});

test("a filesystem that is mounted again holds what was written", () => {
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 5, maxLength: 60 }), (steps) => {
      const lab = new BtrfsLab({ size: MIB(600) });
      for (const name of ["v0", "v1"]) must(lab.subvolume(`/m/${name}`));
      let salt = 1;
      for (const step of steps) apply(lab, step, salt++);
      const before = treeOf(lab.host.task, "/m");
      must(lab.host.unmount("/m"));
      lab.mount();
      lab.fs.check();
      expect(treeOf(lab.host.task, "/m")).toEqual(before);
    }),
    runs(25),
  );
});

test("a power cut at any write leaves a state that was committed", () => {
  // A superblock is one sector of such a disk: it is written whole or not at all.
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 5, maxLength: 25 }), fc.integer({ min: 1, max: 1000 }), (steps, seed) => {
      const lab = new BtrfsLab({ size: MIB(600), sectorSize: KIB(4) });
      for (const name of ["v0", "v1"]) must(lab.subvolume(`/m/${name}`));
      must(lab.fs.sync());
      const disk = lab.host.disks.get("vda");
      if (disk === undefined) throw new Error("no disk");
      const history = new DiskHistory(disk);
      const states: { from: number; tree: string[] }[] = [{ from: 0, tree: treeOf(lab.host.task, "/m") }];
      let salt = 1;
      for (const step of steps) {
        const commits = lab.fs.state.counters.commits;
        apply(lab, step, salt++);
        // A snapshot commits by itself, with everything before it: what is dirty of others is not part of it.
        if (salt % 2 === 0 || lab.fs.state.counters.commits > commits) {
          if (lab.fs.state.counters.commits > commits) states.push({ from: -1, tree: [] });
          must(lab.fs.sync());
          states.push({ from: history.writes, tree: treeOf(lab.host.task, "/m") });
        }
      }
      history.stop();
      const random = new Random(seed);
      for (let count = 0; count <= history.writes; count += 1 + random.below(4)) {
        const choice = random.pick([keepAll, keepNone, keepRandom(() => random.fraction())]);
        const found = mountImage(history, count, choice);
        const last = states.reduce((best, state, index) => (state.from >= 0 && state.from < count ? index : best), 0);
        const next = states[last + 1];
        // The flush that makes a state durable comes behind its last write. Between a state and the next the cut finds the one or the other; a snapshot's own commit stands in between.
        if (next?.from === -1) continue;
        expect([states[last]?.tree, next?.tree]).toContainEqual(found);
      }
    }),
    runs(8),
  );
});

function mountImage(history: DiskHistory, count: number, choice: Parameters<DiskHistory["imageAfter"]>[1]): string[] {
  const image = history.imageAfter(count, choice);
  const host = createHost();
  host.addDevice("image", image, deviceNumber(8, 0));
  must(host.task.mkdir("/m", 0o755));
  const failed = host.mount({ type: "btrfs", source: "image", target: "/m" });
  if (failed !== undefined) throw new Error(`cut after write ${count}: ${failed.message}`);
  host.check();
  return treeOf(host.task, "/m");
}

test("a device without a superblock, and one whose trees are gone, do not mount", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  const { host } = lab;
  const environment = { ...host, newDevice: () => host.anonymousNumber(), profile: k6_18.btrfs };
  const empty = host.addDisk({ size: MIB(600) });
  expect(mountBtrfs(empty, environment)).toMatchObject({ code: "EINVAL" });
  must(lab.fs.sync());
  const disk = host.disks.get("vda");
  for (const group of lab.fs.state.space.groups) {
    if (group.type !== "metadata") continue;
    for (const stripe of group.stripes) disk?.write(stripe as never, Content.zeros(MIB(1)));
  }
  expect(mountBtrfs(disk as NonNullable<typeof disk>, environment)).toMatchObject({ code: "EIO" });
});
