/**
 * How the program ends, and what the user is told when it ends badly.
 */
import { ArchiveFault } from "../archive/fault.ts";
import { InputError, reasonOf } from "../node/input-error.ts";
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

/** An error of the machine's own system calls: of a file that cannot be read or written as the command says. */
function isOfMachine(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}

/** What goes to stderr for something that was thrown, and the exit code. */
export function failure(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof ScenarioError) return { text: `${error.message}\n`, code: EXIT.usage };
  if (error instanceof ArchiveFault) return { text: `cowlab: ${error.code}: ${printable(error.message)}\n`, code: EXIT.usage };
  if (error instanceof InputError || error instanceof UsageError)
    return { text: `cowlab: ${printable(error.message)}\n`, code: EXIT.usage };
  if (isOfMachine(error)) {
    const path = error.path === undefined ? "" : `${error.path}: `;
    return { text: `cowlab: ${printable(path + reasonOf(error))}\n`, code: EXIT.usage };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    text: `cowlab: internal error; this is a bug of cowlab, please report it with the command and its input\n${stack}\n`,
    code: EXIT.internal,
  };
}
