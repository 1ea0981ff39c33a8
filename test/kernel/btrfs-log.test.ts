/**
 * Random scripts of files, names and fsyncs, made at once here and on a btrfs of this machine's kernel; after each fsync the power is cut. What an fsync writes is as
 * much, in nodes and in data; and what is there when the log has been replayed is the same, inode by inode.
 * COWLAB_KERNEL_RUNS says how many tests in all; here a fiftieth. They are drawn from one seed; COWLAB_KERNEL_SEED draws others.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { type Change, Historian, type History, type Left } from "../cow/btrfs-history.ts";
import { syncsIn } from "../cow/btrfs-syncs.ts";
import { askAgain, askKernel } from "./btrfs-asked.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 50);
const SEED = Number(process.env["COWLAB_KERNEL_SEED"] ?? 1);
const SECTOR = 4096;

const folder = fc.constantFrom("d", "e", "d/g");
const file = fc.oneof(
  fc.constantFrom("a", "b", "c"),
  fc.tuple(folder, fc.constantFrom("a", "b")).map(([of, name]) => `${of}/${name}`),
);
const either = fc.oneof({ weight: 3, arbitrary: file }, folder);
const sectors = (most: number): fc.Arbitrary<number> => fc.nat(most).map((n) => n * SECTOR);

type Fields = { [K in keyof Change]: fc.Arbitrary<Change[K]> };
/** A change of one of some kinds. */
const change = (kinds: readonly string[], fields: Omit<Fields, "do">): fc.Arbitrary<Change> =>
  fc.record({ do: fc.constantFrom(...kinds), ...fields } as Fields) as fc.Arbitrary<Change>;

const bytes = { kind: fc.constant("n" as const), seed: fc.nat(99) } as const;
const write = change(["write"], { path: file, offset: fc.nat(60_000), length: fc.integer({ min: 1, max: 40_000 }), ...bytes });
const small = change(["write"], { path: file, offset: fc.nat(2000), length: fc.integer({ min: 1, max: 2000 }), ...bytes });
const data: readonly fc.Arbitrary<Change>[] = [
  write,
  small,
  change(["truncate"], { path: file, length: fc.oneof(fc.nat(5000), fc.nat(90_000)) }),
  change(["punch", "fallocate", "keep", "zero"], {
    path: file,
    offset: fc.oneof(sectors(15), fc.nat(60_000)),
    length: fc.oneof(sectors(10), fc.nat(40_000)).map((n) => n + 1),
  }),
  change(["clone"], { path: file, other: file }),
  change(["clonerange"], { path: file, other: file, offset: sectors(9), to: sectors(19), length: sectors(9) }),
  change(["chmod"], { path: either, flags: fc.constantFrom(0o600, 0o640, 0o755) }),
  change(["setxattr"], {
    path: either,
    name: fc.constantFrom("user.x", "user.y"),
    value: fc.constantFrom("v", "w"),
    times: fc.constantFrom(1, 1000),
  }),
  change(["rmxattr"], { path: either, name: fc.constantFrom("user.x", "user.y") }),
];
const moves = ["rename", "rename", "rename", "exchange"];
const named: readonly fc.Arbitrary<Change>[] = [
  small,
  change(["mkdir", "mkdir", "rmdir"], { path: folder }),
  change(["unlink"], { path: file }),
  change(["link"], { path: file, other: file }),
  change(moves, { path: either, other: either }),
  change(["symlink"], { path: file, other: fc.constantFrom("t", "target") }),
];
const names: readonly fc.Arbitrary<Change>[] = [...named, change([...moves, "whiteout"], { path: either, other: either })];
const hold: readonly fc.Arbitrary<Change>[] = [
  change(["hold"], { path: file, name: fc.constantFrom("one", "two") }),
  change(["nameless"], { path: fc.oneof(folder, fc.constant(".")), name: fc.constantFrom("one", "two") }),
  change(["name"], { path: file, name: fc.constantFrom("one", "two") }),
  change(["letgo"], { name: fc.constantFrom("one", "two") }),
  change(["fwrite", "fwrite", "ffsync"], {
    name: fc.constantFrom("one", "two"),
    offset: fc.nat(9000),
    length: fc.integer({ min: 1, max: 6000 }),
    ...bytes,
  }),
];
const volumes: readonly fc.Arbitrary<Change>[] = [
  change(["subvolume", "delete"], { path: folder }),
  change(["snapshot"], { path: folder, other: folder }),
];
const sync = fc.constant<Change>({ do: "sync" });
/** An fsync, and a power cut behind it. */
const fsync = fc
  .oneof({ weight: 3, arbitrary: file }, folder, fc.constant("."))
  .map((path): Change[] => [{ do: "fsync", path }, { do: "cut" }]);

/** What an inode knows of its last changes is gone with the mount. */
const remount = fc.constant<Change>({ do: "remount" });

const GROUNDS: readonly [string, readonly fc.Arbitrary<Change>[]][] = [
  ["data", [...data, remount]],
  ["names", [...names, remount]],
  ["both", [...data, ...names, ...names, remount]],
  ["what is held open", [...names, write, ...hold]],
  // A whiteout cannot be opened, as the tools do with a folder.
  ["subvolumes", [...named, ...volumes]],
];

const why = kernelObstacle() ?? (canMake("btrfs") ? undefined : "no btrfs can be made");
if (why !== undefined) process.stderr.write(`test/kernel, logs of btrfs, is skipped: ${why}\n`);

/** Without the bytes of nodes: how full a replay leaves them hangs on the order of its steps. */
function withoutNodes(step: Change | undefined, r: unknown): unknown {
  if (step?.do !== "cut") return r;
  const { log, tree, data: used } = r as Left;
  return { log, tree, data: used };
}

/** Throws where an answer, or what an fsync wrote, is not the kernel's. */
function expectSame(history: History): void {
  const theirs = askKernel(history);
  const historian = new Historian(history);
  const ours = historian.run();
  const [here, there] = [ours, theirs].map((told) => syncsIn(told, historian.lab.fs.state.space));
  for (const [index, then] of theirs.entries()) {
    const one = history.steps[index - 1];
    const what = `step ${index} ${JSON.stringify(one)}`;
    expect(withoutNodes(one, ours[index]?.r), what).toEqual(withoutNodes(one, then.r));
    // Elsewhere a transaction of nothing, which a call that failed has begun, may be written there.
    if (one?.do.endsWith("fsync") === true) expect(here?.[index], what).toEqual(there?.[index]);
  }
}

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test.each(GROUNDS)("after a power cut a replayed log leaves the same: %s", (_name, changes) => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.oneof(...changes).map((one) => [one]) },
      { weight: 3, arbitrary: fsync },
      { weight: 1, arbitrary: sync.map((one) => [one]) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 4, maxLength: 30, size: "max" }), (steps) => {
        const made: Change[] = [{ do: "mkdir", path: "d" }, { do: "mkdir", path: "e" }, ...steps.flat()];
        const history: History = { size: 300, every: 0, bios: true, steps: made };
        askAgain(() => expectSame(history));
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});
