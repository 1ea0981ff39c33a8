/**
 * An input file that cannot be read, and why, in words.
 */

/** An input that cannot be read: one line that says which and why. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** The system's reason in plain words: "no such file or directory". */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /^E[A-Z]+: ([^,]*)/.exec(text)?.[1] ?? text;
}
