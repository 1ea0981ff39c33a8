/** A send stream as `btrfs receive --dump` prints it (btrfs-progs 6.2 cmds/receive-dump.c). */
import type { Time } from "../../core/clock.ts";
import type { Command, CommandAttributes } from "./stream.ts";

function pad(text: string, width: number): string {
  return text.padEnd(width);
}

/** As strftime's "%FT%T%z" in UTC. */
function timeText({ seconds }: Time): string {
  const days = Math.floor(seconds / 86_400);
  const rest = seconds - days * 86_400;
  // Days to a date of the proleptic Gregorian calendar, in eras of 400 years that begin with March.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * month + 2) / 5) + 1;
  const two = (value: number): string => String(value).padStart(2, "0");
  const calendarMonth = month < 10 ? month + 3 : month - 9;
  const year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0);
  const clock = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
  return `${String(year).padStart(4, "0")}-${two(calendarMonth)}-${two(day)}T${clock}+0000`;
}

/** A label and what stands behind it: nothing of an attribute that a command lacks. */
type Detail = readonly [label: string, value: string | number | Time | undefined];

/** What stands behind the path. */
function details(name: Command["name"], at: CommandAttributes, full: (path: string | undefined) => string): readonly Detail[] {
  switch (name) {
    case "subvol":
      return [
        ["uuid=", at.uuid],
        ["transid=", at.ctransid],
      ];
    case "snapshot":
      return [
        ["uuid=", at.uuid],
        ["transid=", at.ctransid],
        ["parent_uuid=", at.clone_uuid],
        ["parent_transid=", at.clone_ctransid],
      ];
    case "mknod":
      return [
        ["mode=", at.mode?.toString(8)],
        ["dev=0x", at.rdev?.toString(16)],
      ];
    case "symlink":
    case "link":
      return [["dest=", at.path_link]];
    case "rename":
      return [["dest=", full(at.path_to)]];
    case "set_xattr":
      return [
        ["name=", at.xattr_name],
        ["data=", new TextDecoder().decode(at.xattr_data)],
        ["len=", at.xattr_data?.length],
      ];
    case "remove_xattr":
      return [["name=", at.xattr_name]];
    case "write":
      return [
        ["offset=", at.file_offset],
        ["len=", at.data?.length],
      ];
    case "clone":
      return [
        ["offset=", at.file_offset],
        ["len=", at.clone_len],
        ["from=", full(at.clone_path)],
        ["clone_offset=", at.clone_offset],
      ];
    case "truncate":
      return [["size=", at.size]];
    case "chmod":
      return [["mode=", at.mode?.toString(8)]];
    case "chown":
      return [
        ["gid=", at.gid],
        ["uid=", at.uid],
      ];
    case "utimes":
      return [
        ["atime=", at.atime],
        ["mtime=", at.mtime],
        ["ctime=", at.ctime],
      ];
    case "update_extent":
      return [
        ["offset=", at.file_offset],
        ["len=", at.size],
      ];
    default:
      return [];
  }
}

function detailText(details: readonly Detail[]): string {
  const told: string[] = [];
  for (const [label, value] of details)
    if (value !== undefined) told.push(`${label}${typeof value === "object" ? timeText(value) : value}`);
  return told.join(" ");
}

/** One line a command; the end of a stream has none. */
export function dumpStream(commands: readonly Command[]): string[] {
  let root = ".";
  const out: string[] = [];
  for (const { name, attributes } of commands) {
    if (name === "end") continue;
    const full = (path: string | undefined): string => `${root}/${path ?? ""}`;
    const starts = name === "subvol" || name === "snapshot";
    const path = full(attributes.path);
    const more = detailText(details(name, attributes, full));
    out.push(more === "" ? `${pad(name, 15)} ${path}` : `${pad(name, 15)} ${pad(path, 31)} ${more}`);
    if (starts) root = path;
  }
  return out;
}
