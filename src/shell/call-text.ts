/**
 * The words of system calls as strace writes them.
 */
import * as fs from "../../sim/vfs/filesystem.ts";

/** The flags of open(2) in strace's order, but for the access mode. */
const FLAGS: readonly (readonly [string, number])[] = [
  ["O_CREAT", fs.O_CREAT],
  ["O_EXCL", fs.O_EXCL],
  ["O_NOCTTY", fs.O_NOCTTY],
  ["O_TRUNC", fs.O_TRUNC],
  ["O_APPEND", fs.O_APPEND],
  ["O_NONBLOCK", fs.O_NONBLOCK],
  ["O_NOFOLLOW", fs.O_NOFOLLOW],
  ["O_CLOEXEC", fs.O_CLOEXEC],
  ["O_PATH", fs.O_PATH],
  ["O_DIRECTORY", fs.O_DIRECTORY],
  ["O_DIRECT", fs.O_DIRECT],
];

const ACCESS = ["O_RDONLY", "O_WRONLY", "O_RDWR"] as const;

/** Flags of open(2): "O_WRONLY|O_CREAT|O_EXCL". */
export function flagsText(flags: number): string {
  const words: string[] = [ACCESS[flags & fs.O_ACCMODE] ?? "O_ACCMODE"];
  for (const [name, bit] of FLAGS) if ((flags & bit) === bit) words.push(name);
  // O_SYNC has the bit of O_DSYNC in it.
  if ((flags & fs.O_SYNC) === fs.O_SYNC) words.push("O_SYNC");
  else if ((flags & fs.O_DSYNC) !== 0) words.push("O_DSYNC");
  return words.join("|");
}

/** A path in quotes, control characters escaped. */
export function pathText(path: string): string {
  return `"${path.replace(/[\\"\p{Cc}]/gu, (unit) => (unit === "\n" ? "\\n" : unit < " " ? `\\${unit.charCodeAt(0).toString(8)}` : `\\${unit}`))}"`;
}

/** Permission bits as strace writes them. */
export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(2, "0")}`;
}

/** A path without a slash at its end and without "." at its start. */
export function tidy(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

/** One system call that a command made. */
export interface MadeCall {
  readonly name: string;
  readonly arguments: string;
  readonly result: string;
}
