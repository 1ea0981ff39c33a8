/**
 * How the program ends, and what the user is told when it ends badly.
 */
import { ArchiveFault } from "../archive/fault.ts";
import { fileError, InputError, isOfMachine, reasonOf } from "../node/input-error.ts";
import { printable, ScenarioError } from "../scenario/problem.ts";

/** The exit codes (docs: the interfaces). */
export const EXIT = {
  ok: 0,
  /** An expectation failed. */
  expectation: 1,
  /** Wrong usage, or an invalid input file. */
  usage: 2,
  /** A property was falsified: a counterexample was found. */
  falsified: 3,
  /** A replay differs from the recording. */
  differs: 4,
  /** A bug of this project. */
  internal: 70,
} as const;

/** A command that cannot be done as it was given: one line that says why. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What goes to stderr for something that was thrown, and the exit code. */
export function failure(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof ScenarioError) return { text: `${error.message}\n`, code: EXIT.usage };
  if (error instanceof ArchiveFault) return { text: `cowlab: ${error.code}: ${printable(error.message)}\n`, code: EXIT.usage };
  if (error instanceof InputError || error instanceof UsageError)
    return { text: `cowlab: ${printable(error.message)}\n`, code: EXIT.usage };
  if (isOfMachine(error)) {
    const text = error.path === undefined ? reasonOf(error) : fileError(error.path, error).message;
    return { text: `cowlab: ${printable(text)}\n`, code: EXIT.usage };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    text: `cowlab: internal error; this is a bug of cowlab, please report it with the command and its input\n${stack}\n`,
    code: EXIT.internal,
  };
}
