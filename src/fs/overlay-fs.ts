/**
 * overlayFs: a container of its own, over layers that nothing changes, in the form of node:fs.
 *
 * Interface: everything is what the chosen driver does on a real host: what is copied up, what a rename refuses, which inode a stat shows. The
 * functions of node:fs throw errors in Node's form; those beyond it (`diff` …) throw an Error with Docker's words where the driver fails.
 */
import type { Time } from "../../sim/core/clock.ts";
import type { Content } from "../../sim/core/content.ts";
import type { Host } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { Lab } from "../layers/lab.ts";
import { type LabRequest, must, openLab } from "../layers/open-lab.ts";
import { faceOf, type NodeFs } from "./face.ts";
import { Kernel, type ProcessOptions } from "./kernel.ts";
import type { Lower } from "./lower.ts";

export interface OverlayFsOptions extends ProcessOptions, Omit<LabRequest, "driver" | "epochSeconds"> {
  /** The read-only layers, the topmost first, as behind lowerdir=. Default none. */
  readonly lower?: readonly Lower[];
  /** The storage driver: "overlay2" (default), "overlay", "aufs", "btrfs", "zfs", "devicemapper", "vfs". */
  readonly semantics?: string;
  /** Whose calls they are. Default root's. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups?: readonly number[] };
}

/** One row of what `docker diff` shows: C changed, A added, D deleted. */
export interface DiffRow {
  readonly op: "C" | "A" | "D";
  readonly path: string;
}

/** What `snapshot` gives: the container's changes as docker commit would keep them, and their times, of which a layer's archive keeps whole seconds. */
export interface Snapshot {
  /** The layer's archive. */
  readonly layer: Content;
  readonly times: readonly (readonly [path: string, atime: Time, mtime: Time])[];
}

/** What an overlayFs can do beyond node:fs. */
export interface OverlayControls {
  /** How the container differs from its layers, sorted by path; a folder in which something changed counts as changed. */
  diff(): DiffRow[];
  /** Begins again with a new container over the same layers. What is open is closed. */
  reset(): void;
  /** Keeps the container's changes: names, contents, owners, modes, times (but ctime) and extended attributes, not inode numbers. */
  snapshot(): Snapshot;
  /** Begins again with a new container that has the changes of a snapshot of this overlayFs. What is open is closed. */
  restore(snapshot: Snapshot): void;
  /** Throws where what an engine of the simulation keeps does not add up. */
  check(): void;
  /** The simulated host: its clock, counters, page cache. */
  readonly host: Host;
}

/** A node:fs-shaped container and its controls. */
export type OverlayFs = NodeFs & OverlayControls;

/** Fills the layers, the lowest first. @returns the topmost one's name */
export function addLayers(lab: Lab, lowers: readonly Lower[]): string {
  let parent: string | undefined;
  const fills: readonly (Lower | undefined)[] = lowers.length === 0 ? [undefined] : [...lowers].reverse();
  for (const [index, lower] of fills.entries()) {
    const name = `layer-${index}`;
    must(lab.addLayer(name, parent));
    const task = must(lab.task(name));
    task.umask = 0;
    lower?.fill(task);
    parent = name;
  }
  return parent as string;
}

class Container {
  readonly lab: Lab;
  readonly #image: string;
  readonly #options: OverlayFsOptions;
  #count = 0;

  constructor(lab: Lab, image: string, options: OverlayFsOptions) {
    this.lab = lab;
    this.#image = image;
    this.#options = options;
  }

  get name(): string {
    return `container-${this.#count}`;
  }

  snapshot(): Snapshot {
    const { lab, name } = this;
    const task = must(lab.task(name));
    const times = must(lab.changes(name)).flatMap(({ kind, path }): Snapshot["times"] => {
      if (kind === "D") return [];
      const of = must(task.lstat(path));
      return [[path, of.atime, of.mtime]];
    });
    return { layer: must(lab.diff(name)), times };
  }

  /** A new container with its process, empty or with a snapshot's changes. The one before is removed. */
  begin(from?: Snapshot): Task {
    const { lab } = this;
    if (this.#count > 0) must(lab.remove(this.name));
    this.#count += 1;
    must(from === undefined ? lab.addContainer(this.name, this.#image) : lab.addFrom(this.name, this.#image, from.layer));
    const task = must(lab.task(this.name));
    for (const [path, atime, mtime] of from?.times ?? []) must(task.utimens(path, atime, mtime, true));
    const { user } = this.#options;
    return user === undefined ? task : task.withCredentials(credentialsOf(user.uid, user.gid, user.groups));
  }
}

/**
 * Makes a host, a driver, its layers and a container.
 *
 * @example
 * const fs = overlayFs({ lower: [fromJson({ "/etc/motd": "hello" })] });
 * fs.appendFileSync("/etc/motd", " you");
 * fs.diff(); // [{ op: "C", path: "/etc" }, { op: "C", path: "/etc/motd" }]
 */
export function overlayFs(options: OverlayFsOptions = {}): OverlayFs {
  const { semantics = "overlay2", now } = options;
  const epoch = now === undefined ? {} : { epochSeconds: Math.floor(now() / 1000) };
  const lab = openLab({ ...options, driver: semantics, ...epoch });
  const { host } = lab;
  const container = new Container(lab, addLayers(lab, options.lower ?? []), options);
  const process = new Kernel(container.begin(), options);
  const controls: OverlayControls = {
    host,
    diff: () => {
      const changes = must(lab.changes(container.name));
      const rows = changes.map(({ kind, path }): DiffRow => ({ op: kind, path }));
      return rows.sort((one, other) => (one.path < other.path ? -1 : 1));
    },
    reset: () => process.become(container.begin()),
    snapshot: () => container.snapshot(),
    restore: (snapshot) => process.become(container.begin(snapshot)),
    check: () => host.check(),
  };
  return Object.assign(faceOf(process), controls);
}
