/**
 * Thrown when an engine meets a state that its own rules exclude: always a bug of this project, never an answer to a caller.
 * What a kernel would answer is an Errno value (errno.ts). A check whose books its device does not give names that errno as its cause: of
 * EIO, whoever made the device fail learns nothing.
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
