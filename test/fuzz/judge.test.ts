/** What is wrong with a run under a fault. */
import { expect, test } from "vitest";
import { InvariantError } from "../../sim/core/assert.ts";
import { EIO, EUCLEAN } from "../../sim/core/errno.ts";
import { findingOf, findingUnderFault, undeclaredEnd } from "../../src/fuzz/faults/judge.ts";
import type { DriverRun } from "../../src/scenario/run.ts";

function broken(cause?: unknown): () => undefined {
  return () => {
    throw new InvariantError("inode 128 cannot be read", { cause });
  };
}

const TOLD = { severity: "broken", message: "InvariantError: inode 128 cannot be read" };

test("books that a failing device does not give say nothing", () => {
  expect(findingUnderFault(broken(EIO))).toBeUndefined();
});

test.each([undefined, EUCLEAN])("books that are wrong are told, whatever the words (cause: %s)", (cause) => {
  expect(findingUnderFault(broken(cause))).toEqual(TOLD);
});

test("on a sound machine books that cannot be read are told too", () => {
  expect(findingOf(broken(EIO))).toEqual(TOLD);
});

/** A run that ended for some reason, or went on. */
function ended(why?: string): DriverRun {
  const stopped = why === undefined ? undefined : { phase: "build", where: "layer app:1", why, place: { line: 1, column: 1 } };
  return { steps: [], stopped } as unknown as DriverRun;
}

test.each([
  ["mkdir /data: ENOSPC", false, true],
  ["write /var/lib/docker/image: no space left on device", false, true],
  ["rename a b: file exists", false, true],
  ["open /data: ENOENT", true, true],
  ["open /data: ENOENT", false, false],
  ["open /data: ENOTDIR", true, false],
])("a run that %s ends (after a loss at an unmount: %s) is explained: %s", (why, hasLost, isExplained) => {
  expect(undeclaredEnd(ended(), ended(why), hasLost)?.message).toBe(isExplained ? undefined : `layer app:1 is refused: ${why}`);
});

test("a run that ends as the sound one does needs no explanation", () => {
  expect(undeclaredEnd(ended("no such image"), ended("no such image"), false)).toBeUndefined();
});
