/** The peers by name, in the order of the table; the first is the one that the others are compared with. */
import type { Peer } from "../peer.ts";
import { cowlab } from "./cowlab.ts";
import { floorFlat, floorTree } from "./floor.ts";
import { nodeTmpfs, overlayfsTmpfs } from "./node.ts";
import { memfs, unionfs, zenfs, zenfsCow } from "./nodelike.ts";

export interface PeerEntry {
  readonly name: string;
  /** Whether it mounts several layers as one tree. */
  readonly layered: boolean;
  /** Whether files can be written as descriptions, without their bytes. */
  readonly described: boolean;
  /** Whether it mounts something on this machine and wants a mount namespace of its own. */
  readonly mounts: boolean;
  /** @throws CannotRun with the reason when this machine cannot run it. */
  load(): Peer | Promise<Peer>;
}

const PLAIN = { layered: false, described: false, mounts: false };
const LAYERED = { ...PLAIN, layered: true };

export const PEERS: readonly PeerEntry[] = [
  { name: "cowlab", ...LAYERED, described: true, load: cowlab },
  { name: "floor-flat", ...LAYERED, load: floorFlat },
  { name: "floor-tree", ...LAYERED, load: floorTree },
  { name: "memfs", ...PLAIN, load: memfs },
  { name: "unionfs", ...LAYERED, load: unionfs },
  { name: "zenfs", ...PLAIN, load: zenfs },
  { name: "zenfs-cow", ...LAYERED, load: zenfsCow },
  { name: "node-tmpfs", ...PLAIN, load: nodeTmpfs },
  { name: "overlayfs-tmpfs", ...LAYERED, mounts: true, load: overlayfsTmpfs },
];
