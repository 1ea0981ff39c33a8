/**
 * Random commands and writes on a pool: space adds up after each, a snapshot's bytes never change, destroying frees what was said to be its own,
 * and when everything is destroyed the pool holds what it held.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { Dataset } from "../../sim/cow/zfs/dsl.ts";
import { zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { OPENZFS_2_1, ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { runs } from "../runs.ts";
import { Files, ZfsLab } from "./zfs-lab.ts";

type Action = {
  readonly do: "write" | "remove" | "snapshot" | "clone" | "promote" | "rollback" | "destroy" | "defer" | "promise";
  readonly a: number;
  readonly b: number;
};

const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.record({
    do: fc.constantFrom(
      "write",
      "write",
      "write",
      "remove",
      "snapshot",
      "snapshot",
      "clone",
      "promote",
      "rollback",
      "destroy",
      "defer",
      "promise",
    ),
    a: fc.nat(100),
    b: fc.nat(100),
  }) as fc.Arbitrary<Action>,
  { maxLength: 40, size: "max" },
);

class Machine {
  readonly lab: ZfsLab = new ZfsLab();
  readonly pool: Pool;
  /** What each snapshot showed when it was taken. */
  readonly seen: Map<string, string> = new Map();
  step = 0;

  constructor(ashift: number, old: boolean) {
    this.pool = this.lab.create({ size: MIB(256), ashift, profile: old ? ZFS_V23 : OPENZFS_2_1 });
    zfsCreate(this.pool, "tank/a");
  }

  names(type: "filesystem" | "snapshot"): string[] {
    return zfsList(this.pool, { columns: ["name"], type }).flatMap(([name]) =>
      name === undefined || name === "tank" ? [] : [name],
    );
  }

  contents(name: string): string {
    const files = new Files(this.lab, this.lab.mount(this.pool, name));
    const rows = ["/f0", "/f1", "/f2"].map((path) => (isErrno(files.find(path)) ? "-" : files.read(path).sha256()));
    files.fs.unmount();
    return rows.join();
  }

  act(action: Action): void {
    this.step += 1;
    const heads = this.names("filesystem");
    const snapshots = this.names("snapshot");
    const head = heads[action.a % heads.length] ?? "tank/a";
    const snapshot = snapshots[action.b % Math.max(1, snapshots.length)];
    const files = new Files(this.lab, this.lab.mount(this.pool, head));
    const path = `/f${action.b % 3}`;
    if (action.do === "write") files.write(path, Content.pattern(this.step, 1 + action.b * 3000), action.a * 1000);
    if (action.do === "remove" && !isErrno(files.find(path))) files.unlink(path);
    files.fs.unmount();
    if (action.do === "snapshot") this.#snapshot(`${head}@s${this.step}`);
    if (action.do === "promise") zfsSet(this.pool, "refreservation", action.b % 3 === 0 ? "none" : `${action.b % 7}M`, head);
    if (action.do === "promote") zfsPromote(this.pool, head);
    if (snapshot === undefined) return;
    if (action.do === "clone") zfsClone(this.pool, snapshot, `tank/c${this.step}`);
    if (action.do === "rollback") zfsRollback(this.pool, snapshot);
    if (action.do === "destroy") this.#destroy(snapshot);
    if (action.do === "defer") zfsDestroy(this.pool, snapshot, { defer: true });
  }

  #snapshot(name: string): void {
    if (zfsSnapshot(this.pool, name) === undefined) this.seen.set(name.split("@")[1] ?? "", this.contents(name));
  }

  /** What is told as a snapshot's own is what comes back. */
  #destroy(name: string): void {
    const found = findDataset(this.pool, name);
    const { used } = this.pool.root;
    const promised = this.#promised();
    const own = found?.unique ?? 0;
    const meta = this.pool.meta.allocated;
    if (zfsDestroy(this.pool, name) !== undefined) return;
    const metaChange = this.pool.meta.allocated - meta;
    // What the head has alone then, it needs to be promised no more.
    const promisedChange = this.#promised() - promised;
    expect(used - (this.pool.root.used - metaChange - promisedChange), `${name} frees its own bytes`).toBe(own);
  }

  #promised(): number {
    return [...this.pool.root.below()].reduce((sum, { usage }) => sum + usage.promised, 0);
  }

  check(): void {
    this.pool.syncIfDirty();
    checkPool(this.pool);
    for (const object of this.pool.objects.values()) {
      if (object instanceof Dataset && object.isSnapshot) {
        const sum = object.directory.snapshots.reduce((total, { unique }) => total + unique, 0);
        expect(sum).toBeLessThanOrEqual(object.directory.usage.snapshots);
      }
    }
  }
}

test("space adds up whatever is done, and snapshots stay what they were", () => {
  fc.assert(
    fc.property(actions, fc.constantFrom(9, 12), fc.boolean(), (list, ashift, old) => {
      const machine = new Machine(ashift, old);
      const first = machine.pool.root.used - machine.pool.meta.allocated;
      for (const action of list) {
        machine.act(action);
        machine.check();
      }
      for (const name of machine.names("snapshot")) {
        expect(machine.contents(name), name).toBe(machine.seen.get(name.split("@")[1] ?? ""));
      }
      for (const name of machine.names("filesystem")) zfsDestroy(machine.pool, name, { clones: true });
      zfsCreate(machine.pool, "tank/a");
      machine.check();
      expect(machine.pool.root.used - machine.pool.meta.allocated).toBe(first);
    }),
    runs(25),
  );
});
