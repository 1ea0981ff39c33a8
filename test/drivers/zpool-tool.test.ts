/**
 * zpool(8) on a pool's devices, as OpenZFS 2.1.11 answered (test/data/zfs/zpool.json; two partitions of 4086 MiB in a mirror, a third beside them): what commands
 * write, and what `zpool status` shows then. How much was resilvered differs with the pool's own tables; how many commands failed, with how many were under way.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Disk } from "../../sim/block/disk.ts";
import { type Fault, FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { bytes, GIB, MIB } from "../../sim/core/units.ts";
import { checkPool, createPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { createHost } from "../../sim/host.ts";
import { runZpool } from "../../src/drivers/zpool-tool.ts";
import { Files, must, ZfsLab } from "../cow/zfs-lab.ts";

interface Step {
  readonly run?: string;
  readonly out?: string;
  readonly write?: string;
  readonly mebibytes?: number;
  readonly export?: boolean;
  readonly zero?: "space" | "labels" | "all";
  readonly disk?: string;
  readonly fail?: readonly Fault["on"][];
}

const RECORDED = JSON.parse(readFileSync(new URL("../data/zfs/zpool.json", import.meta.url), "utf8")) as {
  readonly name: string;
  readonly steps: readonly Step[];
}[];

/** Without what differs from run to run: times, amounts, guids, how many commands of which kind failed; and where the tool found a disk's partition. */
function shown(text: string): string {
  return text
    .replace(/in \d\d:\d\d:\d\d with (\d+) errors on .*/g, "with $1 errors")
    .replace(/(resilvered|repaired) [1-9][\d.]*[BKM]/g, "$1 some")
    .replace(/\b\d{5,}\b +/g, "GUID ")
    .replace(/^(\tNAME|\tzp| {2}mirror-0) +/gm, "$1 ")
    .replace(/^(\t *\S+) +/gm, "$1 ")
    .replace(/^(\t *\S+ \S+) +(\d+) +(\d+) +(\d+)/gm, (_line, head: string, ...counts: string[]) =>
      [head, counts.slice(0, 3).every((count) => count === "0") ? "no errors" : "errors"].join(" "),
    )
    .replace(/was \/dev\/(vd[a-z])1/, "was /dev/$1");
}

class Machine {
  readonly host = createHost();
  readonly lab = new ZfsLab();
  readonly disks: ReadonlyMap<string, Disk>;
  readonly faulty = new Map<string, FaultyDevice>();
  seed = 1;

  constructor() {
    const names = ["vdb1", "vdc1", "vdd1", "x"];
    this.disks = new Map(names.map((name) => [name, this.host.addDisk({ name, size: MIB(4086) })]));
  }

  get pool(): Pool {
    const pool = this.host.pools.get("zp");
    if (pool === undefined) throw new Error("no pool");
    return pool;
  }

  create(words: readonly string[]): void {
    const names = words.slice(words.indexOf("mirror") + 1).map((word) => word.replace("/dev/mapper/", ""));
    const devices = names.map((name) => {
      const device = new FaultyDevice(this.disks.get(name) as Disk);
      this.faulty.set(name, device);
      return name === "x" ? device : (this.disks.get(name) as Disk);
    });
    this.host.pools.set("zp", must(createPool({ clock: this.host.clock, memory: GIB(1) }, { name: "zp", tops: [devices] })));
  }

  write(name: string, mebibytes: number): void {
    const files = new Files(this.lab, this.lab.mount(this.pool, "zp"));
    must(files.write(`/${name}`, Content.pattern(this.seed++, MIB(mebibytes))));
    files.fs.unmount();
    this.pool.syncIfDirty();
  }

  zero(what: Step["zero"], disk: Disk): void {
    const clear = (at: number, length: number): void => must(disk.write(bytes(at), Content.zeros(length)) as undefined);
    if (what !== "labels") clear(MIB(4), disk.size - MIB(8));
    if (what !== "space") for (const at of [0, disk.size - MIB(3)]) clear(at, MIB(1) * (at === 0 ? 1 : 3));
  }

  run(line: string): string {
    const words = line.split(" ");
    if (words[1] === "create") this.create(words);
    else if (words[1] === "import") {
      const disks = [...this.disks.values()];
      this.host.pools.set("zp", must(importPool({ clock: this.host.clock, memory: GIB(1) }, disks)));
    } else if (words[1] === "destroy") this.host.pools.delete("zp");
    else {
      const absent = this.host.pools.get("zp")?.store.tops[0]?.sides.find(({ state }) => state === "UNAVAIL")?.guid;
      const answer = runZpool(
        this.host,
        words.slice(1).map((word) => (/^\d{5,}$/.test(word) ? String(absent) : word)),
      );
      return "out" in answer ? answer.out : answer.err.replace(String(absent), words.at(-1) ?? "");
    }
    return "";
  }
}

test.each(RECORDED.map(({ name, steps }) => [name, steps] as const))("%s", (_name, steps) => {
  const machine = new Machine();
  for (const [at, step] of steps.entries()) {
    const disk = machine.disks.get(step.disk ?? "");
    if (step.write !== undefined) machine.write(step.write, step.mebibytes ?? 1);
    if (step.export === true) {
      machine.pool.export();
      machine.host.pools.delete("zp");
    }
    if (step.zero !== undefined) machine.zero(step.zero, disk as Disk);
    if (step.fail !== undefined) {
      const device = machine.faulty.get(step.disk ?? "");
      device?.heal();
      for (const on of step.fail) device?.inject({ on, times: Number.POSITIVE_INFINITY });
    }
    if (step.run !== undefined) expect(shown(machine.run(step.run)), `step ${at}: ${step.run}`).toBe(shown(step.out ?? ""));
    if (machine.host.pools.size > 0) checkPool(machine.pool);
  }
});
