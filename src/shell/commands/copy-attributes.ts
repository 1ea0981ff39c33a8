/**
 * Extended attributes and access control lists of a copy (libattr's attr_copy_fd, gnulib's qcopy_acl, as coreutils 9.1 uses them).
 */
import { ENODATA, ENOTSUP, isErrno } from "../../../sim/core/errno.ts";
import { type Attributes, S_IFDIR, S_IFMT } from "../../../sim/vfs/filesystem.ts";
import { fail, quoted, refuse } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";

type Of = string | OpenedFile;

const ACCESS = "system.posix_acl_access";
const DEFAULT = "system.posix_acl_default";
/** Lists of access are copied with the mode, and labels of security by their own rules. */
const SKIPPED: readonly string[] = [ACCESS, DEFAULT, "system.nfs4_acl"];

/** Copies every attribute: the names' length, the names, and of each its value's length and its value. */
export function copyXattrs(process: Process, from: Of, to: Of, follow: boolean): void {
  const length = process.listxattr(from, follow);
  if (isErrno(length)) return;
  const names = process.listxattr(from, follow);
  if (isErrno(names)) return;
  for (const name of names) {
    if (SKIPPED.includes(name)) continue;
    if (isErrno(process.getxattr(from, name, follow))) continue;
    const value = process.getxattr(from, name, follow);
    if (isErrno(value)) continue;
    const failed = process.setxattr(to, name, value, follow);
    if (failed !== undefined && failed !== ENOTSUP)
      fail(process, `cp: setting attribute ${quoted(name)} for ${quoted(name)}`, failed);
  }
}

/**
 * Copies the mode with its access control list: without one, the list that says the same as the mode is set; special bits go by chmod. Where the
 * filesystem keeps no lists, chmod alone.
 */
export function copyList(
  process: Process,
  ends: { readonly from: Of; readonly to: Of; readonly source: Attributes },
  command: string,
): boolean {
  const { from, to, source } = ends;
  const isDirectory = (source.mode & S_IFMT) === S_IFDIR;
  const access = process.getxattr(from, ACCESS);
  const keeps = !isErrno(access) || access === ENODATA;
  if (access === ENODATA) look(process, from);
  const inherited = keeps && isDirectory ? process.getxattr(from, DEFAULT) : undefined;
  if (inherited === ENODATA) look(process, from);
  const special = (source.mode & 0o7000) !== 0;
  if (!keeps || special) {
    const failed = typeof to === "string" ? process.chmod(to, source.mode & 0o7777) : process.fchmod(to, source.mode);
    if (failed !== undefined) return refuse(process, `${command}: preserving permissions for ${quoted(nameOf(to))}`, failed);
  }
  if (!keeps) return true;
  const failed = isErrno(access) ? process.setModeList(to, source.mode) : process.setxattr(to, ACCESS, access);
  if (failed !== undefined) return refuse(process, `${command}: preserving permissions for ${quoted(nameOf(to))}`, failed);
  if (isDirectory && typeof to === "string") {
    if (inherited instanceof Uint8Array) process.setxattr(to, DEFAULT, inherited);
    else process.removeDefaultList(to);
  }
  return true;
}

function look(process: Process, of: Of): void {
  if (typeof of === "string") process.stat(of);
  else process.fstat(of);
}

function nameOf(of: Of): string {
  return typeof of === "string" ? of : of.path;
}
