/**
 * du (coreutils 9.1, src/du.c over gnulib's fts): what files take, each inode once.
 */
import { isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail, quoted } from "../command.ts";
import { option } from "../options.ts";
import type { Process } from "../process.ts";
import { humanText } from "./sizes.ts";

const FTS_OPEN = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_NOFOLLOW | fs.O_CLOEXEC | fs.O_DIRECTORY;

interface Usage {
  readonly process: Process;
  /** Inodes that were counted: files with several links; with several operands, everything. */
  readonly seen: Set<string>;
  readonly everything: boolean;
  readonly apparent: boolean;
  readonly files: boolean;
  readonly totalsOnly: boolean;
  readonly shown: (bytes: number) => string;
  status: number;
}

function isNew({ seen, everything }: Usage, of: fs.Attributes): boolean {
  const isDirectory = (of.mode & fs.S_IFMT) === fs.S_IFDIR;
  if (!everything && (isDirectory || of.nlink < 2)) return true;
  const key = `${of.device}:${of.inodeNumber}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/** @param level - 0 for an operand. @returns bytes of it and everything below */
function visit(usage: Usage, path: string, of: fs.Attributes, level: number): number {
  const { process } = usage;
  if (!isNew(usage, of)) return 0;
  let sum = usage.apparent ? of.size : of.blocks * 512;
  const isDirectory = (of.mode & fs.S_IFMT) === fs.S_IFDIR;
  if (isDirectory) sum += visitBelow(usage, path, level);
  const tells = level === 0 || (!usage.totalsOnly && (isDirectory || usage.files));
  if (tells) process.print(`${usage.shown(sum)}\t${path}\n`);
  return sum;
}

function visitBelow(usage: Usage, path: string, level: number): number {
  const { process } = usage;
  const refused = (errno: Parameters<typeof fail>[2]): number => {
    usage.status = fail(process, `du: cannot read directory ${quoted(path)}`, errno);
    return 0;
  };
  const directory = process.open(path, FTS_OPEN);
  if (isErrno(directory)) return refused(directory);
  process.fstat(directory);
  if (!usage.everything) process.lstat(path);
  const entries = process.getdents(directory, path);
  process.close(directory);
  if (isErrno(entries)) return refused(entries);
  let sum = 0;
  for (const { name } of entries) {
    const inner = path.endsWith("/") ? path + name : `${path}/${name}`;
    const of = process.lstat(inner);
    if (isErrno(of)) usage.status = fail(process, `du: cannot access ${quoted(inner)}`, of);
    else sum += visit(usage, inner, of, level + 1);
  }
  return sum;
}

export const du: Command = {
  name: "du",
  about: "what files take, in KiB: -s in all, -a of each file, -h with letters, -b bytes of content, --apparent-size",
  options: [
    option("summarize", "-s --summarize"),
    option("all", "-a --all"),
    option("human", "-h --human-readable"),
    option("bytes", "-b --bytes"),
    option("kilo", "-k"),
    option("apparent", "--apparent-size"),
  ],
  run: (process, { values, operands }) => {
    const paths = operands.length === 0 ? ["."] : operands;
    const kilo = (bytes: number): string => String(Math.ceil(bytes / 1024));
    const usage: Usage = {
      process,
      seen: new Set(),
      everything: paths.length > 1,
      apparent: values.has("apparent") || values.has("bytes"),
      files: values.has("all"),
      totalsOnly: values.has("summarize"),
      shown: values.has("bytes") ? String : values.has("human") ? humanText : kilo,
      status: 0,
    };
    for (const path of paths) {
      const of = process.lstat(path);
      if (isErrno(of)) usage.status = fail(process, `du: cannot access ${quoted(path)}`, of);
      else visit(usage, path, of, 0);
    }
    return usage.status;
  },
};
