/**
 * aufs as mount(8) makes it: its branches are paths of the host. A kernel that was not built with it does not know the type.
 */
import { EEXIST, isErrno } from "../core/errno.ts";
import { type AufsHost, appendBranches, mountAufs } from "../union/aufs/mount.ts";
import { type BranchRequest, type ParsedOptions, parseOptions, refuse } from "../union/aufs/options.ts";
import type { Branch } from "../union/aufs/state.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

/** Finds the folders of branches. */
function findBranches(host: HostParts, directory: string, requests: readonly BranchRequest[]): Branch[] | MountFailure {
  const branches: Branch[] = [];
  for (const { path, permission } of requests) {
    const place = host.resolve(path, directory);
    if (isErrno(place)) return refuse(`lookup failed ${path} (${-place.number})`, place);
    branches.push({ fs: place.mount.fs, inode: place.inode, path, permission });
  }
  return branches;
}

/** The file that maps inode numbers is made anew, in a folder that is there, and unlinked at once. */
function refuseXino(host: HostParts, { xino }: ParsedOptions): MountFailure | undefined {
  if (xino === undefined) return undefined;
  const taken = host.resolve(xino, "/");
  if (!isErrno(taken)) return refuse(`open ${xino}`, EEXIST);
  const folder = host.resolve(xino.slice(0, xino.lastIndexOf("/")) || "/", "/");
  return isErrno(folder) ? refuse(`open ${xino}`, folder) : undefined;
}

function partsOf(host: HostParts): AufsHost {
  const { names, clock, events, views } = host;
  return { names, clock, events, views, newDevice: () => host.anonymousNumber() };
}

function mount(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const parsed = parseOptions(data);
  if ("errno" in parsed) return parsed;
  const wrong = refuseXino(host, parsed);
  if (wrong !== undefined) return wrong;
  const branches = findBranches(host, request.directory ?? "/", [...parsed.branches, ...parsed.appended]);
  if (!Array.isArray(branches)) return branches;
  const aufs = mountAufs(partsOf(host), branches, parsed.options);
  if ("errno" in aufs) return aufs;
  aufs.remount = (text, directory) => {
    const changed = parseOptions(text);
    if ("errno" in changed) return changed;
    if (changed.branches.length > 0) return refuse("br is no option of a remount");
    const appended = findBranches(host, directory, changed.appended);
    return Array.isArray(appended) ? appendBranches(partsOf(host), aufs, appended) : appended;
  };
  return aufs;
}

/** aufs. */
export const AUFS: FileSystemType = { name: "aufs", isIn: (kernel) => kernel.aufs, mount };
