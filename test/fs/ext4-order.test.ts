/** How directories of the kernel's ext4 grow, and in which order they are read (test/data/ext4-order.json, recorded by test/kernel/ext4-order.py on Linux 6.18). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Attributes, O_CREAT, O_EXCL, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { Ext4Host, ext4Disk, MIB, value } from "./ext4-lab.ts";

interface Recorded {
  readonly name: string;
  /** s_hash_seed as a UUID. */
  readonly seed: string;
  readonly prefix: string;
  /** Names are the prefix, n, and n * 37 % pad times "x". */
  readonly pad: number;
  /** n: its name is made; ~n: it is removed. */
  readonly steps: readonly number[];
  readonly kernel: {
    /** Pairs: a step, and the directory's size from then on. */
    readonly sizes: readonly number[];
    readonly order: readonly number[];
  };
}

const RECORDED = JSON.parse(readFileSync(new URL("../data/ext4-order.json", import.meta.url), "utf8")) as Recorded[];

function seedOf(uuid: string): number[] {
  const view = new DataView(Uint8Array.from(Buffer.from(uuid.replaceAll("-", ""), "hex")).buffer);
  return [0, 4, 8, 12].map((at) => view.getUint32(at, true));
}

function nameOf({ prefix, pad }: Recorded, n: number): string {
  return `${prefix}${n}${"x".repeat(pad > 0 ? (n * 37) % pad : 0)}`;
}

/** Does the steps. @returns what the kernel was asked for too. */
function answer(recorded: Recorded, host: Ext4Host): Recorded["kernel"] {
  const { task } = host;
  const byName = new Map<string, number>();
  const sizes: number[] = [];
  const note = (step: number): void => {
    const size = (value(task.stat("/d")) as Attributes).size;
    if (size !== sizes.at(-1)) sizes.push(step, size);
  };
  value(task.mkdir("/d", 0o755));
  note(0);
  for (const [at, step] of recorded.steps.entries()) {
    const n = step >= 0 ? step : ~step;
    const name = nameOf(recorded, n);
    byName.set(name, n);
    if (step < 0) value(task.unlink(`/d/${name}`));
    else task.close(value(task.open(`/d/${name}`, O_CREAT | O_EXCL | O_WRONLY, 0o644)) as number);
    note(at);
  }
  return { sizes, order: listed(host, byName) };
}

function listed({ task }: Ext4Host, byName: ReadonlyMap<string, number>): number[] {
  return (value(task.readdir("/d")) as { readonly name: string }[]).map(({ name }) => byName.get(name) as number);
}

test.each(RECORDED)("a directory grows and is read as the kernel's, also after a remount: $name", (recorded) => {
  const host = new Ext4Host(ext4Disk(256 * MIB, { inodes: 65_536, hashSeed: seedOf(recorded.seed) }));
  expect(answer(recorded, host)).toEqual(recorded.kernel);
  host.check();
  const byName = new Map(recorded.steps.map((step) => [nameOf(recorded, step >= 0 ? step : ~step), step >= 0 ? step : ~step]));
  expect(listed(host.remount(), byName)).toEqual(recorded.kernel.order);
});
