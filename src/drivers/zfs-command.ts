/**
 * zfs(8) and zpool(8) as the driver runs them, through the library that moby uses (github.com/mistifyio/go-zfs): a failed command is told with its
 * whole command line.
 */
import { zpoolList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import type { Host } from "../../sim/host.ts";
import { DriverError } from "./driver.ts";
import { runZfs } from "./zfs-tool.ts";

/** A command that failed: what it wrote is kept, as the driver looks at it. */
export class ZfsCommandError {
  readonly stderr: string;
  readonly error: DriverError;

  constructor(words: readonly string[], stderr: string, status: number) {
    this.stderr = `${stderr}\n`;
    const line = `/usr/sbin/zfs zfs ${words.join(" ")}`;
    this.error = new DriverError(`exit status ${status}: ${JSON.stringify(line)} => ${this.stderr}`);
  }
}

export class ZfsCommand {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The pool of a dataset's name. */
  pool(dataset: string): Pool | undefined {
    return this.#host.pools.get(dataset.split(/[/@]/, 1)[0] ?? "");
  }

  #run(words: readonly string[]): ZfsCommandError | undefined {
    const told = runZfs(this.#host, words);
    return "err" in told ? new ZfsCommandError(words, told.err, told.status ?? 1) : undefined;
  }

  create(dataset: string): ZfsCommandError | undefined {
    return this.#run(["create", "-o", "mountpoint=legacy", dataset]);
  }

  snapshot(dataset: string, name: string): ZfsCommandError | undefined {
    return this.#run(["snapshot", `${dataset}@${name}`]);
  }

  clone(snapshot: string, dataset: string): ZfsCommandError | undefined {
    return this.#run(["clone", "-p", "-o", "mountpoint=legacy", snapshot, dataset]);
  }

  /** @param flag - -r, -R or -d */
  destroy(dataset: string, flag: "-r" | "-R" | "-d"): ZfsCommandError | undefined {
    return this.#run(["destroy", flag, dataset]);
  }

  setQuota(dataset: string, quota: string): ZfsCommandError | undefined {
    return this.#run(["set", `quota=${quota}`, dataset]);
  }

  /** The pool's health as zpool list tells it. */
  health(dataset: string): string | undefined {
    const pool = this.pool(dataset);
    return pool === undefined ? undefined : zpoolList(pool).health;
  }
}
