/**
 * Names of users and groups, as /etc/passwd and /etc/group of the tree have them (getpwnam(3), getgrnam(3) of glibc with "files").
 */
import { isErrno } from "../../../sim/core/errno.ts";
import { O_CLOEXEC, O_RDONLY } from "../../../sim/vfs/filesystem.ts";
import type { Process } from "../process.ts";

/** More than any such file has. */
const FILE_MAX = 2 ** 20;

/** The line of a name, cut at its colons. */
function rowOf(process: Process, path: string, name: string): readonly string[] | undefined {
  const file = process.open(path, O_RDONLY | O_CLOEXEC);
  if (isErrno(file)) return undefined;
  process.fstat(file);
  const read = process.read(file, FILE_MAX);
  process.close(file);
  if (isErrno(read)) return undefined;
  const lines = new TextDecoder().decode(read.toBytes()).split("\n");
  return lines.map((line) => line.split(":")).find(([first]) => first === name);
}

function idOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** A user's number and group; root is known without a file. */
export function userNamed(process: Process, name: string): { readonly uid: number; readonly gid: number } | undefined {
  const row = name === "root" ? undefined : rowOf(process, "/etc/passwd", name);
  const uid = name === "root" ? 0 : idOf(row?.[2]);
  return uid === undefined ? undefined : { uid, gid: idOf(row?.[3]) ?? 0 };
}

/** A group's number. */
export function groupNamed(process: Process, name: string): number | undefined {
  return name === "root" ? 0 : idOf(rowOf(process, "/etc/group", name)?.[2]);
}
