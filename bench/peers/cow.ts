/**
 * Filesystems with snapshots to measure: a btrfs with one subvolume, and a pool of zfs with one filesystem, each on a disk; and the tree that btrfs stands on, alone.
 */
import { Disk } from "../../sim/block/disk.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, GIB } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { makeSnapshot, makeSubvolume } from "../../sim/cow/btrfs/ioctl.ts";
import { FORMAT } from "../../sim/cow/btrfs/layout.ts";
import { Node, type NodeFormat } from "../../sim/cow/node.ts";
import type { NodeStore, TreeParts } from "../../sim/cow/store.ts";
import { Tree } from "../../sim/cow/tree.ts";
import { createPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset, zfsClone, zfsCreate, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { mountDataset } from "../../sim/cow/zfs/mount.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { type FileSystem, type Inode, S_IFDIR, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { CannotRun, type MeasuredTree } from "../peer.ts";

const DISK_BYTES = GIB(64);
const FILES_A_FOLDER = 1000;

function must<T>(result: T | Errno): T {
  if (isErrno(result)) throw new CannotRun(result.code);
  return result;
}

/** Empty files, a thousand a folder. */
function fill(host: Host, fs: FileSystem, root: Inode, files: number): void {
  const { names } = host;
  const init = (mode: number) => ({ mode, uid: 0, gid: 0, rdev: 0, target: "" });
  let folder = root;
  for (let file = 0; file < files; file++) {
    if (file % FILES_A_FOLDER === 0) folder = must(fs.create(root, names.intern(`d${file}`), init(S_IFDIR | 0o755)));
    must(fs.create(folder, names.intern(`f${file}`), init(S_IFREG | 0o644)));
  }
  must(fs.sync());
}

/** A btrfs; a clone is what a snapshot is. */
export function cowlabBtrfs(files: number): MeasuredTree {
  const host = createHost();
  host.addDisk({ size: DISK_BYTES });
  must(host.mkfs("btrfs", "vda"));
  must(host.task.mkdir("/m", 0o755));
  if (host.mount({ type: "btrfs", source: "vda", target: "/m" }) !== undefined) throw new CannotRun("no btrfs to mount");
  const place = must(host.task.resolve("/m"));
  const { fs } = place.mount;
  if (!(fs instanceof Btrfs)) throw new CannotRun("/m is no btrfs");
  must(makeSubvolume(fs, place.inode, host.names.intern("a")));
  const source = must(host.task.resolve("/m/a")).inode;
  fill(host, fs, source, files);
  return {
    snapshot: (name) => void must(makeSnapshot(fs, source, place.inode, { name: host.names.intern(name), readOnly: false })),
  };
}

/** Nodes in memory that nobody counts references to or writes. */
class PlainStore implements NodeStore {
  readonly format: NodeFormat = FORMAT;
  generation = 1;
  readonly #nodes: Node[] = [];

  read(address: number): Node {
    return this.#nodes[address] as Node;
  }
  allocate({ id }: TreeParts, level: number): Node {
    const { generation, format } = this;
    const node = new Node({ length: format.nodeBytes, address: this.#nodes.length, generation, level, owner: id });
    this.#nodes.push(node);
    return node;
  }
  isOwn(_tree: TreeParts, node: Node): boolean {
    return node.generation === this.generation;
  }
  copied(): boolean {
    return true;
  }
  freed(): void {
    // Its place in memory is not used again.
  }
}

/** The tree alone: a snapshot is a copy of the root, each in a transaction of its own. */
export function cowlabTree(entries: number): MeasuredTree {
  const store = new PlainStore();
  const source = new Tree(store, 0);
  for (let object = 0; object < entries; object++) source.set({ object, kind: 1, offset: 0 }, 160, object);
  const snapshots: Tree[] = [];
  return {
    snapshot: () => {
      store.generation += 1;
      snapshots.push(source.snapshot(snapshots.length + 1));
    },
  };
}

function mustWork(failed: string | undefined): void {
  if (failed !== undefined) throw new CannotRun(failed);
}

/** A pool of zfs. */
export function cowlabZfs(files: number): MeasuredTree {
  const host = createHost();
  const { clock, names, cache } = host;
  const pool = must(createPool({ clock, memory: GIB(1) }, { name: "tank", tops: [[new Disk({ size: DISK_BYTES })]] }));
  mustWork(zfsCreate(pool, "tank/a"));
  const dataset = findDataset(pool, "tank/a");
  if (dataset === undefined) throw new CannotRun("no tank/a");
  const fs = must(mountDataset(pool, dataset, { clock, names, cache, device: deviceNumber(0, 99) }));
  fill(host, fs, fs.root, files);
  return {
    snapshot: (name) => mustWork(zfsSnapshot(pool, `tank/a@${name}`)),
    clone: (name) => mustWork(zfsClone(pool, `tank/a@${name}`, `tank/${name}`)),
  };
}
