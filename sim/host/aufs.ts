/**
 * aufs as mount(8) makes it: its branches are paths of the host. A kernel that was not built with it does not know the type.
 */
import { EEXIST, isErrno } from "../core/errno.ts";
import { type BranchChange, remountAufs } from "../union/aufs/branches.ts";
import { type AufsHost, mountAufs } from "../union/aufs/mount.ts";
import { type BranchRequest, type ChangeRequest, type ParsedOptions, parseOptions, refuse } from "../union/aufs/options.ts";
import type { Branch } from "../union/aufs/state.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

/** Finds the folder of a branch. */
function findBranch(host: HostParts, directory: string, { path, permission }: BranchRequest): Branch | MountFailure {
  const place = host.resolve(path, directory);
  if (isErrno(place)) return refuse(`lookup failed ${path} (${-place.number})`, place);
  const { fs, readOnly } = place.mount;
  return { fs, inode: place.inode, path, permission, readOnly };
}

function findBranches(host: HostParts, directory: string, requests: readonly BranchRequest[]): Branch[] | MountFailure {
  const branches: Branch[] = [];
  for (const request of requests) {
    const branch = findBranch(host, directory, request);
    if ("errno" in branch) return branch;
    branches.push(branch);
  }
  return branches;
}

function findChanges(host: HostParts, directory: string, requests: readonly ChangeRequest[]): BranchChange[] | MountFailure {
  const changes: BranchChange[] = [];
  for (const request of requests) {
    const branch = findBranch(host, directory, request.branch);
    if ("errno" in branch) return branch;
    changes.push(request.kind === "add" ? { ...request, branch } : { kind: request.kind, branch });
  }
  return changes;
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
  return { names, clock, events, views, watch: host.watch, newDevice: () => host.anonymousNumber() };
}

function mount(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const parsed = parseOptions(data);
  if ("errno" in parsed) return parsed;
  const wrong = refuseXino(host, parsed);
  if (wrong !== undefined) return wrong;
  const directory = request.directory ?? "/";
  const branches = findBranches(host, directory, parsed.branches);
  if (!Array.isArray(branches)) return branches;
  const aufs = mountAufs(partsOf(host), branches, parsed.options);
  if ("errno" in aufs) return aufs;
  const change = (
    requests: readonly ChangeRequest[],
    options: ParsedOptions["options"],
    from: string,
  ): MountFailure | undefined => {
    const changes = findChanges(host, from, requests);
    return Array.isArray(changes) ? remountAufs(host, aufs.aufs, changes, options) : changes;
  };
  const refused = parsed.changes.length === 0 ? undefined : change(parsed.changes, {}, directory);
  if (refused !== undefined) {
    aufs.unmount();
    return refused;
  }
  aufs.remount = (text, from) => {
    const changed = parseOptions(text);
    if ("errno" in changed) return changed;
    if (changed.branches.length > 0) return refuse("br is no option of a remount");
    return change(changed.changes, changed.options, from);
  };
  return aufs;
}

/** aufs. */
export const AUFS: FileSystemType = { name: "aufs", isIn: (kernel) => kernel.aufs, mount };
