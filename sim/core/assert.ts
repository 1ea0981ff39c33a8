/**
 * Thrown when an engine meets a state that its own rules exclude: always a bug of this project, never an answer to a caller.
 * What a kernel would answer is an Errno value (errno.ts).
 */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Throws an InvariantError when `holds` is false; `message` names the object and the rule.
 * A message with numbers in it is built on every call, which costs up to a microsecond: on hot paths write
 * `if (!holds) throw new InvariantError(…)` instead.
 */
export function assert(holds: boolean, message: string): asserts holds {
  if (!holds) throw new InvariantError(message);
}

/** The end of an exhaustive switch: does not compile while a case is missing. */
export function unreachable(value: never, what: string): never {
  throw new InvariantError(`${what}: unexpected ${String(value)}`);
}
