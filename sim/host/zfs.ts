/**
 * zfs as a host has it: pools are imported once and known by name; datasets of theirs are mounted (zpool(8), mount.zfs(8)).
 *
 * Interface: mkfs makes a pool named "zp" on a device with a dataset "zp/docker" for Docker's folder, and exports it. A mount's source is a dataset
 * ("zp/docker", "zp/docker@s"), or a device: its pool is imported then, and the dataset shown whose mountpoint the target is, else the pool's root.
 */
import type { BlockDevice } from "../block/device.ts";
import type { Clock } from "../core/clock.ts";
import { EINVAL, ENOENT, type Errno, isErrno } from "../core/errno.ts";
import { KIB, MIB } from "../core/units.ts";
import { createPool, importPool } from "../cow/zfs/assemble.ts";
import { findDataset, zfsCreate } from "../cow/zfs/commands.ts";
import type { Dataset } from "../cow/zfs/dsl.ts";
import { mountDataset } from "../cow/zfs/mount.ts";
import type { Pool } from "../cow/zfs/pool.ts";
import { withCommand } from "../cow/zfs/pool-notes.ts";
import { ZFS_PROFILES } from "../cow/zfs/profile.ts";
import { isSettable, keep, propertyOf } from "../cow/zfs/properties.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

const POOL = "zp";
const DOCKER_DATASET = "zp/docker";
const DOCKER_MOUNTPOINT = "/var/lib/docker";
/** Memory for the pool that mkfs makes and exports at once. */
const MAKE_MEMORY: number = MIB(64);

interface MakeOptions {
  readonly properties: Record<string, string>;
  ashift: number | undefined;
  profile: string;
}

/** zpool create's options: -o ashift=N, -o version=NAME (a profile), -O property=value. */
function makeOptions(text: string): MakeOptions | undefined {
  const options: MakeOptions = { properties: {}, ashift: undefined, profile: "2.1" };
  const words = text.split(" ").filter((word) => word !== "");
  for (let at = 0; at < words.length; at += 2) {
    const [key = "", value = ""] = (words[at + 1] ?? "").split("=", 2);
    if (words[at] === "-O") {
      const kept = isSettable(key) ? keep(key, value) : { wrong: "" };
      if ("wrong" in kept) return undefined;
      options.properties[key] = kept.value;
    } else if (words[at] === "-o" && key === "ashift") options.ashift = Number(value);
    else if (words[at] === "-o" && key === "version") options.profile = value;
    else return undefined;
  }
  return options;
}

function makeZfs(device: BlockDevice, text: string, clock: Clock): Errno | undefined {
  const options = makeOptions(text);
  const profile = ZFS_PROFILES.get(options?.profile ?? "");
  if (options === undefined || profile === undefined) return EINVAL;
  const { ashift } = options;
  const made = createPool(
    { clock, memory: MAKE_MEMORY },
    {
      name: POOL,
      tops: [[device]],
      profile,
      properties: Object.entries(options.properties),
      ...(ashift === undefined ? {} : { ashift }),
    },
  );
  if (isErrno(made)) return made;
  const words = ["zpool create", ...text.split(" "), POOL, `/dev/${device.name}`].filter((word) => word !== "");
  for (const line of [words.join(" "), `zfs create -o mountpoint=${DOCKER_MOUNTPOINT} ${DOCKER_DATASET}`])
    made.meta.notes = withCommand(made.meta.notes, line, clock.time().seconds);
  const wrong = zfsCreate(made, DOCKER_DATASET, { mountpoint: DOCKER_MOUNTPOINT });
  return wrong === undefined ? made.export() : EINVAL;
}

/** The pool on a device, imported if it is not yet. */
function poolOn(host: HostParts, device: BlockDevice): Pool | Errno {
  for (const pool of host.pools.values()) {
    if (pool.store.tops.some(({ sides }) => sides.some((side) => side.device === device))) return pool;
  }
  const memory = host.cache.memoryPages * KIB(4);
  const { clock, events, allocations } = host;
  const found = importPool({ clock, memory, events, allocations }, [device]);
  if (!isErrno(found)) host.pools.set(found.name, found);
  return found;
}

function datasetOf(host: HostParts, request: MountRequest): { pool: Pool; dataset: Dataset } | Errno {
  const attached = host.device(request.source);
  if (attached !== undefined) {
    const pool = poolOn(host, attached.device);
    if (isErrno(pool)) return pool;
    const shown = [...pool.root.below()].find(
      (directory) => propertyOf(directory, "mountpoint", pool.profile).value === request.target,
    );
    return { pool, dataset: (shown ?? pool.root).head };
  }
  const pool = host.pools.get(request.source.split(/[/@]/, 1)[0] ?? "");
  const dataset = pool === undefined ? undefined : findDataset(pool, request.source);
  return pool === undefined || dataset === undefined ? ENOENT : { pool, dataset };
}

function mountZfs(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const unknown = data.split(",").find((word) => word !== "" && word !== "zfsutil");
  if (unknown !== undefined)
    return { errno: EINVAL, message: `filesystem '${request.source}' cannot be mounted: invalid option` };
  const found = datasetOf(host, request);
  if (isErrno(found))
    return { errno: found, message: `filesystem '${request.source}' cannot be mounted, unable to open the dataset` };
  const { names, clock, cache } = host;
  const mounted = mountDataset(found.pool, found.dataset, { names, clock, cache, device: host.anonymousNumber() });
  return isErrno(mounted) ? { errno: mounted, message: "" } : mounted;
}

/** zfs. */
export const ZFS: FileSystemType = { name: "zfs", make: makeZfs, mount: mountZfs };
