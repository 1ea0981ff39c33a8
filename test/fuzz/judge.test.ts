/** What is wrong with a run under a fault. */
import { expect, test } from "vitest";
import { InvariantError } from "../../sim/core/assert.ts";
import { EIO, EUCLEAN } from "../../sim/core/errno.ts";
import { findingOf, findingUnderFault } from "../../src/fuzz/faults/judge.ts";

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
