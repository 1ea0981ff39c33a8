/**
 * df (coreutils 9.1, src/df.c): what filesystems have left, by statfs.
 */
import { isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import type { Mount } from "../../../sim/vfs/mount.ts";
import { mountPath, mountsBelow } from "../../../sim/vfs/mount-paths.ts";
import { type Command, fail } from "../command.ts";
import { option } from "../options.ts";
import type { Process } from "../process.ts";
import { humanText } from "./sizes.ts";

const LOOK = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK;
/** The least width of each column, and whether it is set to the right. */
const COLUMNS: Readonly<Record<string, readonly [width: number, right: boolean]>> = {
  Filesystem: [14, false],
  Type: [4, false],
  "Use%": [4, true],
  "IUse%": [4, true],
  "Mounted on": [0, false],
};
const NUMBER: readonly [number, boolean] = [5, true];

interface How {
  readonly inodes: boolean;
  readonly type: boolean;
  readonly heading: string;
  readonly shown: (bytes: number) => string;
}

/** The part that is used of what can be, rounded up. */
function percent(used: number, available: number): string {
  const all = used + available;
  return all === 0 ? "-" : `${Math.ceil((used * 100) / all)}%`;
}

function headings({ inodes, type, heading }: How): readonly string[] {
  const figures = inodes
    ? ["Inodes", "IUsed", "IFree", "IUse%"]
    : [heading, "Used", heading === "Size" ? "Avail" : "Available", "Use%"];
  return ["Filesystem", ...(type ? ["Type"] : []), ...figures, "Mounted on"];
}

function row(mount: Mount, path: string, of: fs.StatFs, how: How): readonly string[] {
  const { blockSize, blocks, blocksFree, blocksAvailable, files, filesFree } = of;
  const bytes = (count: number): string => how.shown(count * blockSize);
  const amount = (count: number): string => (how.heading === "Size" ? humanText(count) : String(count));
  const figures = how.inodes
    ? [amount(files), amount(files - filesFree), amount(filesFree), percent(files - filesFree, filesFree)]
    : [bytes(blocks), bytes(blocks - blocksFree), bytes(blocksAvailable), percent(blocks - blocksFree, blocksAvailable)];
  return [mount.options.source ?? mount.fs.type, ...(how.type ? [mount.fs.type] : []), ...figures, path];
}

function printTable(process: Process, rows: readonly (readonly string[])[]): void {
  const [names = []] = rows;
  const widths = names.map((name, column) => {
    const [least] = COLUMNS[name] ?? NUMBER;
    return Math.max(least, ...rows.map((cells) => cells[column]?.length ?? 0));
  });
  for (const cells of rows) {
    const set = cells.map((cell, column) => {
      const [, right] = COLUMNS[names[column] ?? ""] ?? NUMBER;
      if (column === cells.length - 1) return cell;
      return right ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
    });
    process.print(`${set.join(" ")}\n`);
  }
}

/** The mounts that the process sees and that have blocks, each filesystem once. */
function allMounts(process: Process): readonly (readonly [Mount, string])[] {
  const { root, vfs } = process.task;
  const seen = new Set<fs.FileSystem>();
  return mountsBelow(root, vfs.mounts, vfs.names).filter(([mount, path]) => {
    const of = process.statfs(path);
    if (isErrno(of) || of.blocks === 0 || seen.has(mount.fs)) return false;
    seen.add(mount.fs);
    return true;
  });
}

export const df: Command = {
  name: "df",
  about: "what filesystems have left, in KiB: -h with letters, -i inodes, -T with types, of all mounts or those of FILEs",
  options: [
    option("human", "-h --human-readable"),
    option("inodes", "-i --inodes"),
    option("kilo", "-k"),
    option("type", "-T --print-type"),
  ],
  run: (process, { values, operands }) => {
    const human = values.has("human");
    const kilo = (bytes: number): string => String(Math.ceil(bytes / 1024));
    const how: How = {
      inodes: values.has("inodes"),
      type: values.has("type"),
      heading: human ? "Size" : "1K-blocks",
      shown: human ? humanText : kilo,
    };
    const { root, vfs } = process.task;
    let status = 0;
    const rows: (readonly string[])[] = [];
    for (const path of operands) {
      const file = process.open(path, LOOK);
      if (isErrno(file)) {
        status = fail(process, `df: ${path}`, file);
        continue;
      }
      process.fstat(file);
      process.close(file);
    }
    if (operands.length === 0)
      for (const [mount, path] of allMounts(process)) addRow(process, rows, { mount, path, asked: path }, how);
    for (const asked of operands) {
      const place = process.task.resolve(asked);
      if (isErrno(place)) continue;
      addRow(process, rows, { mount: place.mount, path: mountPath(root, place.mount, vfs.names) ?? "/", asked }, how);
    }
    if (rows.length > 0) printTable(process, [headings(how), ...rows]);
    return status;
  },
};

function addRow(
  process: Process,
  rows: (readonly string[])[],
  { mount, path, asked }: { readonly mount: Mount; readonly path: string; readonly asked: string },
  how: How,
): void {
  const of = process.statfs(asked);
  if (!isErrno(of)) rows.push(row(mount, path, of, how));
}
