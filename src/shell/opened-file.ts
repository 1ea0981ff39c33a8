/**
 * What a process of the shell has open.
 */
import type { Content } from "../../sim/core/content.ts";
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

/** What an extended attribute is of: a path, or an open file. */
export function where(of: string | OpenedFile): string {
  return typeof of === "string" ? pathText(of) : `<${of.path}>`;
}
