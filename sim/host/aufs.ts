/**
 * aufs as mount(8) makes it: its branches are paths of the host. A kernel that was not built with it does not know the type.
 */
import { EEXIST, EINVAL, EIO, ENOENT, ENOTDIR, type Errno, isErrno } from "../core/errno.ts";
import { remountAufs } from "../union/aufs/branches.ts";
import { type AufsHost, type BranchChange, mountAufs } from "../union/aufs/mount.ts";
import { type AufsFailure, type ChangeRequest, type ParsedOptions, parseOptions, refuse } from "../union/aufs/options.ts";
import type { Aufs, Branch } from "../union/aufs/state.ts";
import { type FileSystem, S_IFDIR, S_IFMT } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

/** Errors that mount(8) would explain by itself, and wrongly: told as EINVAL, but where an option is read (fsctx.c, cvt_err). */
const CONVERTED: ReadonlySet<Errno> = new Set([ENOENT, ENOTDIR, EEXIST, EIO]);

function converted({ errno, message }: AufsFailure): MountFailure {
  return { errno: CONVERTED.has(errno) ? EINVAL : errno, message };
}

/** Finds the folder of a branch. That the one of a new branch is not there is EINVAL (au_opt_add). */
function findBranch(host: HostParts, directory: string, { kind, branch }: ChangeRequest): Branch | MountFailure {
  const { path, permission } = branch;
  const place = path === "" ? ENOENT : host.resolve(path, directory);
  const isFolder = !isErrno(place) && (place.mount.fs.mode(place.inode) & S_IFMT) === S_IFDIR;
  if (!isErrno(place) && isFolder) {
    const { fs, readOnly } = place.mount;
    return { fs, inode: place.inode, path, permission, readOnly };
  }
  const failed = isErrno(place) ? place : ENOTDIR;
  return refuse(`lookup failed ${path} (${-failed.number})`, kind === "add" ? EINVAL : failed);
}

function findChanges(host: HostParts, directory: string, requests: readonly ChangeRequest[]): BranchChange[] | MountFailure {
  const changes: BranchChange[] = [];
  for (const request of requests) {
    const branch = findBranch(host, directory, request);
    if ("errno" in branch) return branch;
    changes.push(request.kind === "add" ? { ...request, branch } : { kind: request.kind, branch });
  }
  return changes;
}

/** The file that maps inode numbers is made anew, in a folder that is there, not in the mount itself, and unlinked at once. */
function refuseXino(host: HostParts, { xino }: ParsedOptions, mounted?: FileSystem): MountFailure | undefined {
  if (xino === undefined) return undefined;
  const taken = host.resolve(xino, "/");
  if (!isErrno(taken)) return refuse(`open ${xino}`, EEXIST);
  const folder = host.resolve(xino.slice(0, xino.lastIndexOf("/")) || "/", "/");
  if (isErrno(folder)) return refuse(`open ${xino}`, folder);
  return folder.mount.fs === mounted ? refuse(`${xino} must be outside`) : undefined;
}

/** Maps are cut of branches that are mounted, which a new mount has none of. */
function refuseCuts(host: HostParts, { cutMaps }: ParsedOptions, aufs?: Aufs, directory = "/"): MountFailure | undefined {
  const branches = aufs?.branches ?? [];
  for (const cut of cutMaps) {
    if (typeof cut === "number") {
      if (branches[cut] === undefined) return refuse(`out of bounds, ${cut}`);
      continue;
    }
    const place = aufs === undefined ? undefined : host.resolve(cut, directory);
    if (isErrno(place)) return refuse(`lookup failed ${cut} (${-place.number})`, place);
    const isBranch = branches.some(({ fs, inode }) => fs === place?.mount.fs && inode === place.inode);
    if (!isBranch) return refuse(`no such branch ${cut}`);
  }
  return undefined;
}

function partsOf(host: HostParts): AufsHost {
  const { names, clock, events, views } = host;
  return { names, clock, events, views, watch: host.watch, newDevice: () => host.anonymousNumber() };
}

/** Whether the last word that says so says read-only. */
function isReadOnly({ options = "" }: MountRequest): boolean {
  return options.split(",").findLast((word) => word === "ro" || word === "rw") === "ro";
}

function mount(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const parsed = parseOptions(data, isReadOnly(request));
  if ("errno" in parsed) return parsed;
  const changes = findChanges(host, request.directory ?? "/", parsed.changes);
  if (!Array.isArray(changes)) return changes;
  const wrong = refuseXino(host, parsed) ?? refuseCuts(host, parsed);
  if (wrong !== undefined) return wrong;
  const aufs = mountAufs(partsOf(host), changes, parsed.options);
  if ("errno" in aufs) return converted(aufs);
  aufs.remount = (text, from) => {
    const changed = parseOptions(text);
    if ("errno" in changed) return changed;
    const found = findChanges(host, from, changed.changes);
    if (!Array.isArray(found)) return found;
    const refused = refuseXino(host, changed, aufs) ?? refuseCuts(host, changed, aufs.aufs, from);
    if (refused !== undefined) return refused;
    const failed = remountAufs(host, aufs.aufs, found, changed.options);
    return failed === undefined ? undefined : converted(failed);
  };
  return aufs;
}

/** aufs. */
export const AUFS: FileSystemType = { name: "aufs", isIn: (kernel) => kernel.aufs, mount };
