/**
 * Values of aufs's mount options: numbers and policies (fs/aufs/opts.c, au_wbr_create_val and au_wbr_copyup_val; fs/fs_parser.c; lib/kstrtox.c).
 */

/** How the branch of a new name is chosen: `create=`. */
export interface CreatePolicy {
  /**
   * tdp: the topmost branch that has the folder. rr: in turn. mfs: the one with most free space. mfsrr: mfs, then rr under a limit. tdmfs: the
   * topmost above a limit, then mfs. pmfs: of the branches that have the folder, the one with most space. pmfsrr: pmfs, then mfsrr under a limit.
   */
  readonly kind: "tdp" | "rr" | "mfs" | "mfsrr" | "tdmfs" | "pmfs" | "pmfsrr";
  /** How long a look at free space holds, from 0 to 3600 s. */
  readonly seconds: number;
  /** The limit in bytes. */
  readonly limit: number;
}

/** How the branch of a copy is chosen: `cpup=`. bup: the nearest above that has the folder. bu: the nearest above. */
export type CopyUpPolicy = "tdp" | "bup" | "bu";

/** How long a look at free space holds where no seconds are given, and the most that can be (AUFS_MFS_DEF_SEC, AUFS_MFS_MAX_SEC). */
export const SPACE_SECONDS = 30;
const SPACE_SECONDS_MAX = 3600;

const INTEGER = /^([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)$/i;
const HEX = 16;
const OCTAL = 8;
const DECIMAL = 10;
const HEX_PREFIX = 2;
const INTEGER_MIN = -(2 ** 31);
const INTEGER_MAX = 2 ** 31 - 1;

/** What kstrtoll reads: decimal, hexadecimal after 0x, octal after 0; undefined for what is no number. */
function longInteger(text: string): number | undefined {
  const [, sign = "", digits] = INTEGER.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const isHex = digits[1] === "x" || digits[1] === "X";
  const base = isHex ? HEX : digits.startsWith("0") ? OCTAL : DECIMAL;
  const value = Number.parseInt(isHex ? digits.slice(HEX_PREFIX) : digits, base);
  return sign === "-" ? -value : value;
}

/** The same as an int; undefined also where it is too large for one. */
export function integer(text: string): number | undefined {
  const value = longInteger(text);
  return value === undefined || value < INTEGER_MIN || value > INTEGER_MAX ? undefined : value;
}

/** The create policies by their words, and how many numbers each takes at least and at most: a limit comes before the seconds. */
const CREATE_KINDS: ReadonlyMap<string, readonly [kind: CreatePolicy["kind"], least: number, most: number]> = new Map([
  ["tdp", ["tdp", 0, 0]],
  ["top-down-parent", ["tdp", 0, 0]],
  ["rr", ["rr", 0, 0]],
  ["round-robin", ["rr", 0, 0]],
  ["mfs", ["mfs", 0, 1]],
  ["most-free-space", ["mfs", 0, 1]],
  ["mfsrr", ["mfsrr", 1, 2]],
  ["tdmfs", ["tdmfs", 1, 2]],
  ["pmfs", ["pmfs", 0, 1]],
  ["pmfsrr", ["pmfsrr", 1, 2]],
]);
const COPY_UP_KINDS: ReadonlyMap<string, CopyUpPolicy> = new Map([
  ["tdp", "tdp"],
  ["top-down-parent", "tdp"],
  ["bup", "bup"],
  ["bottom-up-parent", "bup"],
  ["bu", "bu"],
  ["bottom-up", "bu"],
]);

/** A create policy; undefined for what is none. */
export function createPolicy(text: string): CreatePolicy | undefined {
  const [word = "", ...numbers] = text.split(":");
  const known = CREATE_KINDS.get(word);
  if (known === undefined) return undefined;
  const [kind, least, most] = known;
  if (numbers.length < least || numbers.length > most) return undefined;
  const limit = least === 0 ? 0 : longInteger(numbers[0] as string);
  const given = numbers[least];
  const seconds = given === undefined ? SPACE_SECONDS : integer(given);
  if (limit === undefined || limit < 0 || seconds === undefined || seconds < 0 || seconds > SPACE_SECONDS_MAX) return undefined;
  return { kind, seconds, limit };
}

/** A copy-up policy; undefined for what is none. */
export function copyUpPolicy(text: string): CopyUpPolicy | undefined {
  return COPY_UP_KINDS.get(text);
}
