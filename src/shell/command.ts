/**
 * What a command of the shell is: its options, and what it does with a process.
 */
import type { Errno } from "../../sim/core/errno.ts";
import type { Option, Parsed } from "./options.ts";
import type { Process } from "./process.ts";

export interface Command {
  readonly name: string;
  readonly about: string;
  readonly options: readonly Option[];
  /** Words that begin with "-" are operands (echo, dd, test). */
  readonly verbatim?: boolean;
  /** @returns the exit status. */
  readonly run: (process: Process, given: Parsed) => number;
}

/** `mv: cannot stat 'a': No such file or directory`: the message of an error on standard error, and the status that goes with it. */
export function fail(process: Process, message: string, errno?: Errno): 1 {
  process.complain(errno === undefined ? message : `${message}: ${errno.text}`);
  return 1;
}

/** The same where a part of the work answers whether it was done: it was not. */
export function refuse(process: Process, message: string, errno?: Errno): false {
  fail(process, message, errno);
  return false;
}

/** A name in quotes that a shell would read back (gnulib's quotearg, shell-escape-always). */
export function quoted(name: string): string {
  if (!/[\p{Cc}']/u.test(name)) return `'${name}'`;
  if (!/[\p{Cc}"\\$`]/u.test(name)) return `"${name}"`;
  const pieces = name.split(/(\p{Cc}+|')/u).filter((piece) => piece !== "");
  return pieces
    .map((piece) => {
      if (piece === "'") return "\\'";
      if (!/\p{Cc}/u.test(piece)) return `'${piece}'`;
      return `$'${[...piece].map((unit) => (unit === "\n" ? "\\n" : unit === "\t" ? "\\t" : `\\${unit.charCodeAt(0).toString(8).padStart(3, "0")}`)).join("")}'`;
    })
    .join("");
}

/** The message for too few operands, with where help is. */
export function missingOperand(process: Process, name: string, after?: string, what = "file"): 1 {
  const which =
    after === undefined
      ? `missing ${what === "file" ? "file " : ""}operand`
      : `missing destination file operand after ${quoted(after)}`;
  process.complain(`${name}: ${which}\nTry '${name} --help' for more information.`);
  return 1;
}

/** The last part of a path, slashes at its end aside; "/" is its own. */
export function baseName(path: string): string {
  const bare = path.replace(/(?<=.)\/+$/, "");
  return bare === "/" ? bare : bare.slice(bare.lastIndexOf("/") + 1);
}

/** A path below a directory. */
export function below(directory: string, name: string): string {
  if (directory === ".") return name;
  return directory.endsWith("/") ? `${directory}${name}` : `${directory}/${name}`;
}
