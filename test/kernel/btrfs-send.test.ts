/**
 * Random changes of a subvolume, sent at once here and by this machine's btrfs: snapshots of it, whole and as what has changed since others, later ones among them, come as the
 * same commands, as `btrfs receive --dump` prints them. COWLAB_KERNEL_RUNS says how many tests in all; here a 50th.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { type Change, Historian, type History } from "../cow/btrfs-history.ts";
import { askAgain, askKernel } from "./btrfs-asked.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 50);

const FOLDERS = ["", "d0/", "d1/", "d0/e/", "d1/e/", "d0/e/g/"];
const NAMES = ["a", "b", "c", "f0", "f1", "d0", "d1", "e", "g"];
// The same few names everywhere, so that they are often taken, swapped and lost.
const path = fc.tuple(fc.constantFrom(...FOLDERS), fc.constantFrom(...NAMES)).map(([of, name]) => `v0/${of}${name}`);
const sectors = (most: number): fc.Arbitrary<number> => fc.nat(most).map((n) => n * 4096);

type Fields = { [K in keyof Change]: fc.Arbitrary<Change[K]> };
/** A change of one of some kinds. */
const change = (weight: number, kinds: readonly string[], fields: Omit<Fields, "do">): fc.WeightedArbitrary<Change> => ({
  weight,
  arbitrary: fc.record({ do: fc.constantFrom(...kinds), path, ...fields } as Fields) as fc.Arbitrary<Change>,
});

const CHANGE = fc.oneof(
  change(18, ["write"], {
    offset: fc.constantFrom(0, 0, 4096, 20_000),
    length: fc.constantFrom(10, 3000, 9000, 70_000),
    seed: fc.nat(99),
    kind: fc.constantFrom("r", "z", "t"),
  }),
  change(20, ["mkdir", "unlink", "rmdir", "rmrf"], {}),
  change(22, ["rename", "rename", "rename", "exchange"], { other: path }),
  change(10, ["link"], { other: path }),
  change(3, ["symlink"], { other: fc.constantFrom("x", "a/b") }),
  change(3, ["mknod"], { flags: fc.constantFrom(0o10644, 0o20600, 0o60600, 0o140755), to: fc.constantFrom(0, 0x103) }),
  change(3, ["setxattr", "rmxattr"], { name: fc.constantFrom("user.x", "trusted.t"), value: fc.constantFrom("v", "w") }),
  change(3, ["chmod", "chown"], { flags: fc.constantFrom(0o600, 0o755, 0o4755) }),
  change(3, ["clonerange"], { other: path, offset: sectors(2), length: sectors(3), to: sectors(4) }),
  change(3, ["punch", "fallocate", "keep", "zero"], {
    offset: fc.constantFrom(0, 4096, 5000),
    length: fc.constantFrom(4096, 9000, 50_000),
  }),
  change(3, ["truncate"], { length: fc.constantFrom(0, 10, 5000, 30_000) }),
  change(2, ["subvolume"], {}),
);

/** What there is at first: folders in each other, and a file in each. */
const BEGINNING: readonly Change[] = [
  { do: "subvolume", path: "v0" },
  ...FOLDERS.slice(1).map((folder) => ({ do: "mkdir", path: `v0/${folder.slice(0, -1)}` })),
  ...FOLDERS.map((folder, seed) => ({ do: "write", path: `v0/${folder}a`, length: [10, 5000, 40_000][seed % 3] ?? 0, seed })),
];

/** A snapshot behind some changes, sent whole, against the one before, and against any. */
const round = fc.record({ changes: fc.array(CHANGE, { minLength: 1, maxLength: 25, size: "max" }), against: fc.nat(2) });
const steps = fc.array(round, { minLength: 2, maxLength: 4 }).map((rounds) =>
  rounds.flatMap(({ changes, against }, n): Change[] => {
    const snapshot = [...changes, { do: "rosnap", path: "v0", other: `r${n}` }];
    if (n === 0) return [...snapshot, { do: "send", path: "r0" }];
    const other = `r${against % n}`;
    return [
      ...snapshot,
      { do: "send", path: `r${n}`, other: `r${n - 1}` },
      { do: "send", path: `r${n}`, other },
      { do: "send", path: other, other: `r${n}` },
    ];
  }),
);

const why = kernelObstacle() ?? (canMake("btrfs") ? undefined : "no btrfs can be made");
if (why !== undefined) process.stderr.write(`test/kernel, streams of btrfs, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test("what has changed between snapshots is sent as the same commands", () => {
    fc.assert(
      fc.property(steps, (changes) => {
        const history: History = { size: 300, every: 0, steps: [...BEGINNING, ...changes] };
        const ours = new Historian(history).run();
        askAgain(() => {
          for (const [index, { r }] of askKernel(history).entries()) {
            const step = history.steps[index - 1];
            if (step?.do === "send") expect(ours[index]?.r, `step ${index} ${JSON.stringify(step)}`).toEqual(r);
          }
        });
      }),
      // Shrinking asks the kernel hundreds of times: a counterexample is told as it was drawn.
      { numRuns: RUNS, endOnFailure: true },
    );
  });
});
