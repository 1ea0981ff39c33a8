/**
 * An operation of node:fs, written once: what its arguments are and what it does. face.ts makes its synchronous, its callback and its
 * promise form of it.
 */
import type { Kernel } from "./kernel.ts";
import type { Reader } from "./readers.ts";

/** Which of an operation's forms was called: a few of Node's functions make other system calls in each. */
export type Form = "sync" | "callback" | "promise";

export interface Operation {
  /** Reads the arguments; each Reader may throw an argument error. */
  readonly read: (args: readonly unknown[]) => readonly unknown[];
  /** Does the work with what was read; throws errors of system calls. */
  readonly make: (kernel: Kernel, values: readonly unknown[], form: Form) => unknown;
  /** Where the result is an object of several parts: their names. The synchronous form returns the first, a callback gets all. */
  readonly parts?: readonly [string, string];
}

type Values<R extends readonly Reader<unknown>[]> = { [K in keyof R]: R[K] extends Reader<infer T> ? T : never };

/** An operation whose arguments are read one by one. */
export function operation<const R extends readonly Reader<unknown>[]>(
  takes: R,
  make: (kernel: Kernel, ...values: Values<R>) => unknown,
): Operation {
  return {
    read: (args) => takes.map((reader, index) => reader(args[index])),
    make: (kernel, values) => make(kernel, ...(values as Values<R>)),
  };
}

/** An operation whose arguments depend on each other: `read` gets them all. */
export function freeOperation<T>(
  read: (args: readonly unknown[]) => T,
  make: (kernel: Kernel, request: T, form: Form) => unknown,
  parts?: readonly [string, string],
): Operation {
  const base = {
    read: (args: readonly unknown[]) => [read(args)],
    make: (kernel: Kernel, values: readonly unknown[], form: Form) => make(kernel, values[0] as T, form),
  };
  return parts === undefined ? base : { ...base, parts };
}

/** A table of operations by the name of their callback form. */
export type OperationTable = Readonly<Record<string, Operation>>;
