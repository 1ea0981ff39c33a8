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
  readonly read: (args: readonly unknown[], form: Form) => readonly unknown[];
  /** Does the work with what was read; throws errors of system calls. */
  readonly make: (kernel: Kernel, values: readonly unknown[], form: Form) => unknown;
  /** Where the result is an object of several parts: their names. The synchronous form returns the first, a callback gets all. */
  readonly parts?: readonly [string, string];
  /** How many arguments there are at most before the callback; undefined: the callback is the last one, wherever it stands. */
  readonly arity?: number;
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
    arity: takes.length,
  };
}

/** An operation whose arguments are read one by one, and which its forms do differently. */
export function formOperation<const R extends readonly Reader<unknown>[]>(
  takes: R,
  make: (kernel: Kernel, form: Form, ...values: Values<R>) => unknown,
): Operation {
  const plain = operation(takes, () => undefined);
  return { ...plain, make: (kernel, values, form) => make(kernel, form, ...(values as Values<R>)) };
}

/** An operation whose arguments depend on each other: `read` gets them all. */
export function freeOperation<T>(
  read: (args: readonly unknown[], form: Form) => T,
  make: (kernel: Kernel, request: T, form: Form) => unknown,
  more: Pick<Operation, "parts" | "arity"> = {},
): Operation {
  return {
    read: (args: readonly unknown[], form: Form) => [read(args, form)],
    make: (kernel: Kernel, values: readonly unknown[], form: Form) => make(kernel, values[0] as T, form),
    ...more,
  };
}

/** A table of operations by the name of their callback form. */
export type OperationTable = Readonly<Record<string, Operation>>;
