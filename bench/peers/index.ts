/** The peers by name, in the order of the table; the first is the one that the others are compared with. */
import type { Peer } from "../peer.ts";

export interface PeerEntry {
  readonly name: string;
  /** Whether it mounts several layers as one tree. */
  readonly layered: boolean;
  /** Whether files can be written as descriptions, without their bytes. */
  readonly described: boolean;
  /** Whether it mounts something on this machine and wants a mount namespace of its own. */
  readonly mounts: boolean;
  /** @throws CannotRun with the reason when this machine cannot run it. */
  load(): Promise<Peer>;
}

const ours = () => import("./cowlab.ts");
const floors = () => import("./floor.ts");
const nodelike = () => import("./nodelike.ts");
const kernel = () => import("./node.ts");

const PLAIN = { layered: false, described: false, mounts: false };
const LAYERED = { ...PLAIN, layered: true };

/** Each is imported when it is asked for, so that no peer weighs or breaks another. */
export const PEERS: readonly PeerEntry[] = [
  { name: "cowlab", ...LAYERED, described: true, load: async () => (await ours()).cowlab() },
  { name: "floor-flat", ...LAYERED, load: async () => (await floors()).floorFlat() },
  { name: "floor-tree", ...LAYERED, load: async () => (await floors()).floorTree() },
  { name: "memfs", ...PLAIN, load: async () => (await nodelike()).memfs() },
  { name: "unionfs", ...LAYERED, load: async () => (await nodelike()).unionfs() },
  { name: "zenfs", ...PLAIN, load: async () => (await nodelike()).zenfs() },
  { name: "zenfs-cow", ...LAYERED, load: async () => (await nodelike()).zenfsCow() },
  { name: "node-tmpfs", ...PLAIN, load: async () => (await kernel()).nodeTmpfs() },
  { name: "overlayfs-tmpfs", ...LAYERED, mounts: true, load: async () => (await kernel()).overlayfsTmpfs() },
];

/** Run only when named. */
export const OPTIONAL_PEERS: readonly PeerEntry[] = [
  { name: "cowlab-overlay2-tmpfs", ...LAYERED, described: true, load: async () => (await ours()).cowlabOverlay2Tmpfs() },
  { name: "cowlab-aufs-tmpfs", ...LAYERED, described: true, load: async () => (await ours()).cowlabAufsTmpfs() },
  { name: "cowlab-tmpfs", ...PLAIN, described: true, load: async () => (await ours()).cowlabTmpfs() },
];
