/**
 * The mount calls of the driver aufs (moby daemon/graphdriver/aufs, aufsMount and useDirperm, v20.10.27).
 *
 * mount(2) takes one page of options: the branches that do not fit the first call are appended by remounts, as many to each as fit.
 */

import type { MountFailure } from "../../sim/host/types.ts";
import type { Host } from "../../sim/host.ts";
import { DriverError, errnoText, isDriverError } from "./driver.ts";
import { makeDirectories, removeAll } from "./files.ts";

/** One page of options. */
const PAGE_SIZE = 4096;
/** Room that Docker leaves for the options behind the branches. */
const OPTIONS_ROOM = 54;
const DIRPERM1 = ",dirperm1";
/** Where aufs keeps its numbers of inodes while it is mounted. */
const XINO = "/dev/shm/aufs.xino";

export interface AufsMountRequest {
  readonly writable: string;
  /** Nearest first. */
  readonly lowers: readonly string[];
  readonly target: string;
  readonly mountLabel: string;
  readonly dirperm1: boolean;
  /** Options besides Docker's own. */
  readonly further: readonly string[];
}

/** Mounts a layer's branches. A failure leaves what was mounted before it. */
export function aufsMount(host: Host, request: AufsMountRequest): DriverError | undefined {
  const { target, mountLabel, lowers } = request;
  const dirperm1 = request.dirperm1 ? DIRPERM1 : "";
  const room = PAGE_SIZE - mountLabel.length - OPTIONS_ROOM - dirperm1.length;
  const branches = [`br:${request.writable}=rw`];
  let used = branches[0]?.length ?? 0;
  let index = 0;
  for (let next = lowers[index]; next !== undefined; next = lowers[++index]) {
    const branch = `:${next}=ro+wh`;
    if (used + branch.length > room) break;
    branches.push(branch);
    used += branch.length;
  }
  const further = request.further.map((option) => `,${option}`).join("");
  const data = labelled(`${branches.join("")},dio,xino=${XINO}${dirperm1}${further}`, mountLabel);
  const failed = host.mount({ type: "aufs", source: "none", target, options: data });
  if (failed !== undefined) return mountError(`mount target=${target} data=${data}`, failed);
  while (index < lowers.length) {
    let appended = "";
    const first = index;
    for (let next = lowers[index]; next !== undefined; next = lowers[++index]) {
      const branch = `append:${next}=ro+wh,`;
      if (appended.length + branch.length > room) break;
      appended += branch;
    }
    // A branch that fits no page at all cannot be mounted.
    if (index === first) return new DriverError(`mount target=${target}: the path of a branch is too long`);
    const more = labelled(appended, mountLabel);
    const refused = host.remount(target, more);
    if (refused !== undefined) return mountError(`mount target=${target} flags=MS_REMOUNT data=${more}`, refused);
  }
  return undefined;
}

/** label.FormatMountLabel. */
function labelled(data: string, mountLabel: string): string {
  return mountLabel === "" ? data : `${data},context="${mountLabel}"`;
}

function mountError(what: string, { errno }: MountFailure): DriverError {
  return new DriverError(`${what}: ${errnoText(errno)}`, { errno });
}

/** Whether the kernel's aufs knows the option dirperm1: by a mount that is tried. */
export function probeDirperm1(host: Host): boolean {
  const base = "/tmp/docker-aufs-base";
  const union = "/tmp/docker-aufs-union";
  const made = makeDirectories(host.task, base, 0o700) ?? makeDirectories(host.task, union, 0o700);
  if (isDriverError(made)) return false;
  const failed = host.mount({ type: "aufs", source: "none", target: union, options: `br:${base}${DIRPERM1},xino=${XINO}` });
  if (failed === undefined) host.unmount(union);
  removeAll(host.task, base);
  removeAll(host.task, union);
  return failed === undefined;
}
