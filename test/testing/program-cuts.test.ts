/** Programs of node:fs under power cuts: those that do what is right pass, those that forget a call are told with the cut that shows it. */
import { describe, expect, test } from "vitest";
import { DRIVERS } from "../../src/drivers/registry.ts";
import type { NodeFs } from "../../src/fs/face.ts";
import { fromJson } from "../../src/fs/lower.ts";
import { groundOf } from "../../src/fuzz/ground.ts";
import { CutFailure, cutProgram } from "../../src/testing/program-cuts.ts";

const [OLD, NEW] = ["old ".repeat(2000), "new ".repeat(3000)];
const lower = [fromJson({ "/app/state": OLD })];

interface Saving {
  readonly syncsFile: boolean;
  readonly syncsFolder: boolean;
}

/** Replaces a file as programs do: beside it, then by rename. */
function save(fs: NodeFs, { syncsFile, syncsFolder }: Saving): void {
  const fd = fs.openSync("/app/state.new", "w");
  fs.writeSync(fd, NEW);
  if (syncsFile) fs.fsyncSync(fd);
  fs.closeSync(fd);
  fs.renameSync("/app/state.new", "/app/state");
  if (!syncsFolder) return;
  const folder = fs.openSync("/app", "r");
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}

const saving = (driver: string, how: Saving): Parameters<typeof cutProgram>[0] => ({
  ground: groundOf(driver),
  lower,
  run: (fs, passed) => {
    save(fs, how);
    passed("saved");
  },
  check: (fs, passed) => {
    const found = fs.readFileSync("/app/state", "utf8");
    if (passed.includes("saved") ? found !== NEW : found !== NEW && found !== OLD)
      throw new Error(`the state is ${found.length} bytes of ${JSON.stringify(found.slice(0, 4))}`);
  },
});

describe("a program that replaces a file", () => {
  test.each([...DRIVERS.keys()])(
    "on %s has the old or the new one after every cut, and the new one once it is saved",
    async (driver) => {
      const { cuts, commands } = await cutProgram(saving(driver, { syncsFile: true, syncsFolder: true }));
      expect(commands).toBeGreaterThan(3);
      expect(cuts).toBeGreaterThan(commands);
    },
  );

  test("and does not sync its folder is told to have lost what it had saved", async () => {
    const failed = cutProgram(saving("overlay2", { syncsFile: true, syncsFolder: false }));
    await expect(failed).rejects.toThrow(
      /^power cut \d+, after command \d+ of \d+ of the disk, .*:\nthe state is 8000 bytes of "old "\npassed: saved\n/,
    );
  });

  test("is cut at the one place that a failure tells, and fails there again", async () => {
    const program = saving("overlay2", { syncsFile: true, syncsFolder: false });
    const first = await cutProgram(program).catch((error: unknown) => error);
    expect(first).toBeInstanceOf(CutFailure);
    const only = Number(/only: (\d+)/.exec((first as Error).message)?.[1]);
    await expect(cutProgram(program, { only })).rejects.toThrow((first as Error).message);
    await expect(cutProgram(program, { only: 1 })).resolves.toBeDefined();
  });

  test("may wait for its calls, and finds what was prepared", async () => {
    const { cuts } = await cutProgram({
      ground: groundOf("vfs"),
      prepare: (fs) => fs.promises.writeFile("/log", "one\n"),
      run: async (fs) => fs.promises.appendFile("/log", "two\n", { flush: true }),
      check: async (fs) => expect(await fs.promises.readFile("/log", "utf8")).toMatch(/^one\n(two\n)?$/),
    });
    expect(cuts).toBeGreaterThan(1);
  });
});
