/**
 * Expectations for checks that run under any test runner: each throws an AssertionError.
 */
import assert from "node:assert/strict";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";

interface Expectation {
  toBe(wanted: unknown): void;
  toEqual(wanted: unknown): void;
  toBeUndefined(): void;
  toMatch(wanted: RegExp): void;
  /** Of an object: at least these fields. */
  toHave(wanted: Readonly<Record<string, unknown>>): void;
  toLack(unwanted: unknown): void;
}

export function expect(got: unknown): Expectation {
  return {
    toBe: (wanted) => assert.strictEqual(got, wanted),
    toEqual: (wanted) => assert.deepStrictEqual(got, wanted),
    toBeUndefined: () => assert.strictEqual(got, undefined),
    toMatch: (wanted) => assert.match(String(got), wanted),
    toHave: (wanted) => {
      const fields = got as Readonly<Record<string, unknown>>;
      assert.deepStrictEqual(Object.fromEntries(Object.keys(wanted).map((key) => [key, fields[key]])), wanted);
    },
    toLack: (unwanted) => assert.ok(!(got as readonly unknown[]).includes(unwanted), `${String(unwanted)} is there`),
  };
}

/** Throws a failure, gives all else on. */
export function must<T>(result: T | DriverError | Errno): T {
  if (isDriverError(result) || isErrno(result)) throw new Error(String(result));
  return result;
}
