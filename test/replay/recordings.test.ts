/**
 * What the real dm-thin answered at device level, step by step, and the bios of real filesystems on a thin volume: a choice of the
 * recordings (test/data), or all of them where they lie beside the repository.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { traceFiles } from "../../src/node/trace-files.ts";
import { runReplayCommand } from "../../src/replay/command.ts";

const DATA = join(dirname(fileURLToPath(import.meta.url)), "..", "data");
const WHOLE = join(DATA, "..", "..", "..", "shared", "vectors");

function all(folder: string): readonly string[] {
  const there = join(existsSync(join(WHOLE, folder)) ? WHOLE : DATA, folder);
  return (traceFiles.find(there) ?? []).filter((path) => !/cow\//.test(path));
}

describe("the device mapper", () => {
  test.each(all("dm"))("%s is answered as the kernel answered", (path) => {
    const { text, exitCode } = runReplayCommand([path], { files: traceFiles });
    expect([exitCode, text]).toEqual([0, expect.stringMatching(/^agree (\d+) of \1 steps in 1 traces\n$/)]);
  });
});

describe("the bios of a filesystem on a thin volume", () => {
  test.each(all("block"))("%s provisions, zeroes, breaks and copies as counted", (path) => {
    const { text, exitCode } = runReplayCommand([path], { files: traceFiles });
    expect([exitCode, text]).toEqual([0, "agree 52 of 52 steps in 1 traces\n"]);
  });
});

test("a recording that was changed differs, and says where", () => {
  const [path] = all("dm").filter((one) => one.includes("reuse_two_0"));
  const changed = { ...traceFiles, read: (file: string) => traceFiles.read(file).replace('"data_used": 7', '"data_used": 8') };
  const { text, exitCode } = runReplayCommand([path as string], { files: changed });
  expect(exitCode).toBe(4);
  expect(text).toContain('expected {"pool":{');
  expect(text).toMatch(/agree 8 of 9 steps in 1 traces/);
});
