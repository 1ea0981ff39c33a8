import { Disk } from "/work/wt/zfs/sim/block/disk.ts";
import { Content } from "/work/wt/zfs/sim/core/content.ts";
import { GIB } from "/work/wt/zfs/sim/core/units.ts";
import { ZfsLab, Files, must } from "/work/wt/zfs/test/cow/zfs-lab.ts";
import { zfsCreate, zfsSnapshot, zfsClone, findDataset } from "/work/wt/zfs/sim/cow/zfs/commands.ts";
import { zfsDestroy } from "/work/wt/zfs/sim/cow/zfs/destroy.ts";
const N = Number(process.argv[2] ?? 1000000);
const lab = new ZfsLab();
const pool = lab.create({ tops: [[new Disk({ size: GIB(64) })]] });
zfsCreate(pool, "tank/a");
const files = new Files(lab, lab.mount(pool, "tank/a"));
let t = performance.now();
for (let d = 0; d < N / 1000; d++) {
  const dir = files.mkdir(`/d${d}`);
  for (let f = 0; f < 1000; f++) {
    const made = must(files.fs.create(dir, lab.names.intern(`f${f}`), { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: "" }));
    if (f < 3) { files.fs.write(must(files.fs.open(made, 0)), 0, Content.pattern(f, 100)); files.fs.close(made as never, 0); }
  }
}
console.log("create us/file", ((performance.now() - t) * 1000) / N);
t = performance.now(); pool.syncIfDirty(); console.log("sync s", (performance.now() - t) / 1000);
globalThis.gc?.();
const mem = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
let before = mem(); console.log("heap MB", before / 1e6);
t = performance.now();
for (let n = 0; n < 10000; n++) zfsSnapshot(pool, `tank/a@s${n}`);
console.log("snapshot us", ((performance.now() - t) * 1000) / 10000);
globalThis.gc?.(); console.log("10000 snapshots MB", (mem() - before) / 1e6); before = mem();
t = performance.now();
for (let n = 0; n < 1000; n++) zfsClone(pool, "tank/a@s9999", `tank/c${n}`, { mountpoint: "legacy" });
console.log("clone us", ((performance.now() - t) * 1000) / 1000);
globalThis.gc?.(); console.log("1000 clones MB", (mem() - before) / 1e6);
t = performance.now();
for (let n = 0; n < 1000; n++) zfsDestroy(pool, `tank/c${n}`);
console.log("destroy clone us", ((performance.now() - t) * 1000) / 1000);
t = performance.now();
for (let n = 0; n < 1000; n++) zfsDestroy(pool, `tank/a@s${n}`);
console.log("destroy snapshot us", ((performance.now() - t) * 1000) / 1000);
