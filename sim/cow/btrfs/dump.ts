/** A send stream as `btrfs receive --dump` prints it (btrfs-progs 6.2 cmds/receive-dump.c). */
import { isoTime } from "../../core/calendar.ts";
import type { Time } from "../../core/clock.ts";
import type { Command, CommandAttributes } from "./stream.ts";

/** What print_path_escaped of common/string-utils.c writes for the bytes of a name that are not printed as they are. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\u0007", "\\a"],
  ["\b", "\\b"],
  ["\u001b", "\\e"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
  [" ", "\\ "],
  ["\\", "\\\\"],
]);

function octal(unit: string): string {
  return [...new TextEncoder().encode(unit)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

/** A path as the C locale prints it. */
function escapedPath(path: string): string {
  return path.replace(/[^\x21-\x5b\x5d-\x7e]/gu, (unit) => ESCAPES.get(unit) ?? octal(unit));
}

/** Names and values of extended attributes: only what a terminal would obey is written otherwise. */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (unit) => ESCAPES.get(unit) ?? octal(unit));
}

function pad(text: string, width: number): string {
  return text.padEnd(width);
}

/** What stands behind the path: labels, and of which attributes. */
const DETAILS: Readonly<Partial<Record<Command["name"], string>>> = {
  subvol: "uuid=uuid transid=ctransid",
  snapshot: "uuid=uuid transid=ctransid parent_uuid=clone_uuid parent_transid=clone_ctransid",
  mknod: "mode=mode dev=rdev",
  symlink: "dest=path_link",
  link: "dest=path_link",
  rename: "dest=path_to",
  set_xattr: "name=xattr_name data=xattr_data len=xattr_data",
  remove_xattr: "name=xattr_name",
  write: "offset=file_offset len=data",
  clone: "offset=file_offset len=clone_len from=clone_path clone_offset=clone_offset",
  truncate: "size=size",
  chmod: "mode=mode",
  chown: "gid=gid uid=uid",
  utimes: "atime=atime mtime=mtime ctime=ctime",
  update_extent: "offset=file_offset len=size",
};

/** A value as its label asks for it. */
function valueText(label: string, value: string | number | Time | Uint8Array, full: (path: string) => string): string {
  if (value instanceof Uint8Array) return label === "len" ? `${value.length}` : harmless(new TextDecoder().decode(value));
  if (typeof value === "object") return isoTime(value.seconds);
  if (typeof value === "string") return label === "dest" || label === "from" ? escapedPath(full(value)) : harmless(value);
  if (label === "dev") return `0x${value.toString(16)}`;
  return label === "mode" ? value.toString(8) : `${value}`;
}

/** What is told of a command behind its path: nothing of attributes that it lacks. */
function details({ name, attributes }: Command, full: (path: string) => string): string {
  const told: string[] = [];
  for (const detail of DETAILS[name]?.split(" ") ?? []) {
    const [label, attribute] = detail.split("=") as [string, keyof CommandAttributes];
    const value = attributes[attribute];
    if (value !== undefined)
      told.push(`${label}=${attribute === "path_link" ? escapedPath(String(value)) : valueText(label, value, full)}`);
  }
  return told.join(" ");
}

/** One line a command; the end of a stream has none. */
export function dumpStream(commands: readonly Command[]): string[] {
  let root = ".";
  const out: string[] = [];
  for (const command of commands) {
    const { name, attributes } = command;
    if (name === "end") continue;
    const full = (path: string): string => `${root}/${path}`;
    const starts = name === "subvol" || name === "snapshot";
    const path = full(attributes.path ?? "");
    const shown = escapedPath(path);
    const more = details(command, full);
    out.push(more === "" ? `${pad(name, 15)} ${shown}` : `${pad(name, 15)} ${pad(shown, 31)} ${more}`);
    if (starts) root = path;
  }
  return out;
}
