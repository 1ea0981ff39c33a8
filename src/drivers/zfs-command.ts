/**
 * zfs(8) and zpool(8) as the driver runs them, through the library that moby uses (github.com/mistifyio/go-zfs): a failed command is told with its
 * whole command line.
 */
import { zfsClone, zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { type DestroyOptions, zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zpoolList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import type { Host } from "../../sim/host.ts";
import { DriverError } from "./driver.ts";

/** A command that failed: what it wrote is kept, as the driver looks at it. */
export class ZfsCommandError {
  readonly stderr: string;
  readonly error: DriverError;

  constructor(words: readonly string[], stderr: string) {
    this.stderr = `${stderr}\n`;
    const line = `/usr/sbin/zfs zfs ${words.join(" ")}`;
    this.error = new DriverError(`exit status 1: ${JSON.stringify(line)} => ${this.stderr}`);
  }
}

/** The flags of zfs destroy, as go-zfs gives them. */
const DESTROY_FLAGS: readonly (readonly [keyof DestroyOptions, string])[] = [
  ["recursive", "-r"],
  ["clones", "-R"],
  ["defer", "-d"],
];

export class ZfsCommand {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The pool of a dataset's name. */
  pool(dataset: string): Pool | undefined {
    return this.#host.pools.get(dataset.split(/[/@]/, 1)[0] ?? "");
  }

  #run(words: readonly string[], dataset: string, work: (pool: Pool) => string | undefined): ZfsCommandError | undefined {
    const pool = this.pool(dataset);
    const wrong = pool === undefined ? `cannot open '${dataset}': dataset does not exist` : work(pool);
    return wrong === undefined ? undefined : new ZfsCommandError(words, wrong);
  }

  create(dataset: string): ZfsCommandError | undefined {
    const words = ["create", "-o", "mountpoint=legacy", dataset];
    return this.#run(words, dataset, (pool) => zfsCreate(pool, dataset, { mountpoint: "legacy" }));
  }

  snapshot(dataset: string, name: string): ZfsCommandError | undefined {
    const whole = `${dataset}@${name}`;
    return this.#run(["snapshot", whole], dataset, (pool) => zfsSnapshot(pool, whole));
  }

  clone(snapshot: string, dataset: string): ZfsCommandError | undefined {
    const words = ["clone", "-p", "-o", "mountpoint=legacy", snapshot, dataset];
    return this.#run(words, snapshot, (pool) => zfsClone(pool, snapshot, dataset, { mountpoint: "legacy" }));
  }

  destroy(dataset: string, options: DestroyOptions): ZfsCommandError | undefined {
    const flags = DESTROY_FLAGS.filter(([option]) => options[option] === true).map(([, flag]) => flag);
    return this.#run(["destroy", ...flags, dataset], dataset, (pool) => zfsDestroy(pool, dataset, options));
  }

  setQuota(dataset: string, quota: string): ZfsCommandError | undefined {
    return this.#run(["set", `quota=${quota}`, dataset], dataset, (pool) => zfsSet(pool, "quota", quota, dataset));
  }

  /** The pool's health as zpool list tells it. */
  health(dataset: string): string | undefined {
    const pool = this.pool(dataset);
    return pool === undefined ? undefined : zpoolList(pool).health;
  }
}
