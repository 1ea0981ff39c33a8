/**
 * What a process of the shell has open.
 */
import type { Content } from "../../sim/core/content.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { type Attributes, newAttributes, S_IFCHR, S_IFIFO } from "../../sim/vfs/filesystem.ts";
import { pathText } from "./call-text.ts";

/** An open file: the kernel's descriptor, or a device of the machine. */
export interface OpenedFile {
  readonly fd: number;
  readonly path: string;
  readonly device: "null" | "zero" | "random" | "pipe" | undefined;
  /** What a pipe holds: its writer adds at the end, its reader takes from the beginning. */
  readonly held?: Content[];
}

/** The machine's own devices, by path. */
export const DEVICES: ReadonlyMap<string, "null" | "zero" | "random"> = new Map([
  ["/dev/null", "null"],
  ["/dev/zero", "zero"],
  ["/dev/urandom", "random"],
  ["/dev/random", "random"],
]);

/** Minor numbers under the memory devices' major of 1 (Documentation/admin-guide/devices.txt). */
const MINORS: ReadonlyMap<string, number> = new Map([
  ["/dev/null", 3],
  ["/dev/zero", 5],
  ["/dev/random", 8],
  ["/dev/urandom", 9],
]);

/** What fstat tells of a pipe. */
export const PIPE_ATTRIBUTES: Attributes = { ...newAttributes(), mode: S_IFIFO | 0o600, nlink: 1 };

/** What stat tells of one of the machine's own devices; undefined for any other path. */
export function deviceAttributes(path: string): Attributes | undefined {
  const minor = MINORS.get(path);
  if (minor === undefined) return undefined;
  return { ...newAttributes(), mode: S_IFCHR | 0o666, nlink: 1, blockSize: 4096, rdev: deviceNumber(1, minor) };
}

/** What an extended attribute is of: a path, or an open file. */
export function where(of: string | OpenedFile): string {
  return typeof of === "string" ? pathText(of) : `<${of.path}>`;
}
