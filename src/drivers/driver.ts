/**
 * GraphDriver: what Docker's layer store asks of a storage driver, after moby's daemon/graphdriver (v20.10.27).
 *
 * Words: an *id* names one layer of the driver's (a cache id of 64 hexadecimal digits in Docker); "" as a parent means none.
 *
 * Interface: a call that fails returns a DriverError with the text that Docker would log; what it has done up to then stays done, as
 * in Docker, unless its comment says so. Everything a driver keeps, it keeps as files on its host, made by system calls.
 */

import type { Content } from "../../sim/core/content.ts";
import type { Counters } from "../../sim/core/counters.ts";
import type { Errno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import type { LayerDiff } from "../archive/unpack.ts";
import type { DockerProfile } from "./docker-profile.ts";

/** Why a driver cannot be used: the three that let the choice go on to the next driver. */
export type Unsupported = "not supported" | "prerequisites" | "incompatible";

/** A failure as Docker words it. */
export class DriverError {
  readonly message: string;
  /** The system call's error behind it, where there is one. */
  readonly errno: Errno | undefined;
  readonly unsupported: Unsupported | undefined;

  constructor(message: string, reason: { errno?: Errno; unsupported?: Unsupported } = {}) {
    this.message = message;
    this.errno = reason.errno;
    this.unsupported = reason.unsupported;
  }

  toString(): string {
    return this.message;
  }
}

/** Whether a driver's answer is a failure. */
export function isDriverError(value: unknown): value is DriverError {
  return value instanceof DriverError;
}

/** The driver cannot work here at all. */
export const NOT_SUPPORTED: DriverError = new DriverError("driver not supported", { unsupported: "not supported" });
/** Something that the driver needs is missing. */
export const PREREQUISITES: DriverError = new DriverError("prerequisites for driver not satisfied (wrong filesystem?)", {
  unsupported: "prerequisites",
});
/** The filesystem below will not do. */
export const INCOMPATIBLE: DriverError = new DriverError("backing file system is unsupported for this graph driver", {
  unsupported: "incompatible",
});

/** A system call's error as Go words it: "mkdir /a: file exists". */
export function pathError(operation: string, path: string, errno: Errno): DriverError {
  return new DriverError(`${operation} ${path}: ${errnoText(errno)}`, { errno });
}

/** What Go's syscall.Errno says: strerror(3) with a small first letter. */
export function errnoText(errno: Errno): string {
  return errno.text.charAt(0).toLowerCase() + errno.text.slice(1);
}

/** How a path differs from the parent's: Docker prints C, A and D. */
type ChangeKind = "C" | "A" | "D";

export interface Change {
  readonly kind: ChangeKind;
  /** Absolute within the layer. */
  readonly path: string;
}

export interface CreateOptions {
  readonly mountLabel?: string;
  /** `--storage-opt` of one container, such as size. */
  readonly storage?: Readonly<Record<string, string>>;
}

export interface GraphDriver {
  /** "overlay2", "vfs" … */
  readonly name: string;
  /** The driver's own folder on the host. */
  readonly home: string;
  /** Makes an image layer over `parent`. */
  create(id: string, parent: string, options?: CreateOptions): DriverError | undefined;
  /** Makes a writable layer over `parent`: a container's, or one that a build step writes. */
  createReadWrite(id: string, parent: string, options?: CreateOptions): DriverError | undefined;
  /** Makes the layer's whole tree visible, and keeps it so until `put`. @returns its path on the host. */
  get(id: string, mountLabel?: string): string | DriverError;
  put(id: string): DriverError | undefined;
  /**
   * Makes an image layer of a writable one that is not mounted, in its own place: what Docker does by a diff that it applies to a new
   * layer. Absent where a writable layer serves as a parent as it stands.
   */
  commit?(id: string): DriverError | undefined;
  /**
   * The folder of what a layer holds itself, with whiteouts by name (aufs). Absent where there is none, or where `metadata` tells it and
   * whiteouts are devices.
   */
  branchFolder?(id: string): string;
  remove(id: string): DriverError | undefined;
  exists(id: string): boolean;
  /** How a layer differs from `parent`, a folder before what is in it. */
  changes(id: string, parent: string): Change[] | DriverError;
  /** Bytes that a layer adds to `parent`. */
  diffSize(id: string, parent: string): number | DriverError;
  /**
   * The layer's difference to `parent` as a tar archive, after moby's DiffDriver; absent: made by comparing the trees. Use `diffOf` of
   * layer-diff.ts, which knows the default.
   */
  diff?(id: string, parent: string): Content | DriverError;
  /**
   * Puts a difference to `parent` into the layer, which must be new; absent: unpacked over the mounted tree. Use `applyDiffTo` of
   * layer-diff.ts. @returns the layer's size as Docker keeps it
   */
  applyDiff?(id: string, parent: string, diff: LayerDiff): number | DriverError;
  /** The rows that `docker info` shows, label and value. */
  status(): readonly (readonly [string, string])[];
  /** GraphDriver.Data of `docker inspect`; null where the driver has none. */
  metadata(id: string): Readonly<Record<string, string>> | null | DriverError;
  cleanup(): DriverError | undefined;
  /** What the driver itself has done (not its host's engines); each only grows. */
  readonly counters: Counters;
}

/** How a driver copies whole trees: as Docker's own copy does (drivers/dir-copy.ts), or everything, as `cp -a`. */
export type TreeCopyEngine = "docker" | "all";

/** What an experiment changes in a driver beyond Docker's own options. */
export interface DriverSettings {
  /** Options of each union mount, in the place of Docker's own: "redirect_dir=on,index=off". */
  readonly mountOptions?: string;
  /** Options of each union mount besides: Docker's own goes where one of its name is given. */
  readonly moreMountOptions?: string;
  /** Default "docker". */
  readonly treeCopy?: TreeCopyEngine;
  /** Whose driver it is; default 20.10. */
  readonly docker?: DockerProfile;
}

export interface DriverContext {
  readonly host: Host;
  /** Where the driver keeps everything; made if it is missing. */
  readonly home: string;
  /** `--storage-opt` of the daemon: "overlay2.size=10G". */
  readonly options: readonly string[];
  readonly settings: DriverSettings;
}

/** A driver that can be chosen. */
export interface DriverKind {
  readonly name: string;
  /** Docker warns when it is chosen; since 23.0 it is chosen only by its name (docker-profile.ts). */
  readonly deprecated: boolean;
  /** The backing filesystems that it stands on, its usual one first; absent where any will do. */
  readonly backings?: readonly string[];
  /** Options of the daemon under which the driver's traces were recorded; default none. */
  readonly recordedWith?: readonly string[];
  init(context: DriverContext): GraphDriver | DriverError;
}
