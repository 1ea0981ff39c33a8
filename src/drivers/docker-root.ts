/**
 * Docker's folder on a host: a backing filesystem, on a disk of its own where it needs one, mounted at /var/lib/docker.
 */

import { type DeviceProfile, FREE } from "../../sim/block/profile.ts";
import { GIB } from "../../sim/core/units.ts";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import type { Host } from "../../sim/host.ts";
import { DriverError, errnoText } from "./driver.ts";
import { makeDirectories } from "./files.ts";

/** Where Docker keeps everything. */
export const DOCKER_ROOT = "/var/lib/docker";

export interface DockerRootOptions {
  /** A type of the host's kernel: "ext4", "tmpfs" … */
  readonly backing: string;
  /** Bytes of the disk, for types that need one. Default 2 GiB. */
  readonly size?: number;
  /** Of the disk; default 512. */
  readonly sectorSize?: 512 | 4096;
  /** What the disk's commands cost; default: nothing. */
  readonly profile?: DeviceProfile;
  /** As given to mkfs. */
  readonly make?: string;
  /** As behind mount's -o. */
  readonly mount?: string;
  /** Is told the disk's name before a filesystem is made on it. */
  readonly onDisk?: (name: string) => void;
}

/** Makes the backing filesystem and mounts it. @returns the disk's name, "" where there is none, or what went wrong. */
export function prepareDockerRoot(host: Host, options: DockerRootOptions): string | DriverError {
  const { backing } = options;
  const type = FILESYSTEMS.get(backing);
  if (type === undefined) return new DriverError(`mount: unknown filesystem type '${backing}'`);
  const disk =
    type.make === undefined
      ? ""
      : host.addDisk({ size: options.size ?? GIB(2), sectorSize: options.sectorSize ?? 512, profile: options.profile ?? FREE })
          .name;
  if (disk !== "") options.onDisk?.(disk);
  const formatted = type.make === undefined ? undefined : host.mkfs(backing, disk, options.make);
  if (formatted !== undefined) return new DriverError(`mkfs.${backing}: ${errnoText(formatted)}`, { errno: formatted });
  return mountDockerRoot(host, disk, options) ?? disk;
}

/** Mounts a backing filesystem that is there. @param disk - its name; "" where there is none. @returns what went wrong. */
export function mountDockerRoot(
  host: Host,
  disk: string,
  { backing, mount }: Pick<DockerRootOptions, "backing" | "mount">,
): DriverError | undefined {
  const made = makeDirectories(host.task, DOCKER_ROOT, 0o755);
  if (made !== undefined) return made;
  const request = { type: backing, source: disk === "" ? backing : disk, target: DOCKER_ROOT };
  const failed = host.mount(mount === undefined ? request : { ...request, options: mount });
  if (failed === undefined) return undefined;
  return new DriverError(`mount ${backing}: ${errnoText(failed.errno)} ${failed.message}`.trim(), { errno: failed.errno });
}
