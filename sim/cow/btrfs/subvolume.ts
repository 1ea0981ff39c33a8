/** A subvolume in memory: its tree, and what its ROOT_ITEM says (kernel: struct btrfs_root). */
import type { DeviceNumber } from "../../core/units.ts";
import type { Tree } from "../tree.ts";
import type { RootItem } from "./items.ts";

export interface Subvolume {
  readonly id: number;
  readonly tree: Tree;
  /** What its item says, as of now; root and generation follow at a commit. */
  item: RootItem;
  /** st_dev, from the first lookup on. */
  device: DeviceNumber | undefined;
  /** The number of the last inode made. */
  lastIno: number;
  /** How often its log tree of now, else its last one, was synced (log_transid), and what that count was before the last time (last_log_commit). */
  logSyncs: number;
  lastLogSync: number;
}

const NEVER = { seconds: 0, nanoseconds: 0 };

/** What the ROOT_ITEM of a tree says that is no subvolume's, beside its root and generation. */
export const PLAIN_ROOT: Omit<RootItem, "root" | "generation"> = {
  lastSnapshot: 0,
  readOnly: false,
  refs: 1,
  uuid: "",
  parentUuid: "",
  receivedUuid: "",
  ctransid: 0,
  otransid: 0,
  stransid: 0,
  rtransid: 0,
  ctime: NEVER,
  otime: NEVER,
};

/** The item of a tree whose root has moved. Written out, since each commit makes several: a spread of an item costs as much as a change of its tree. */
export function movedRoot(item: typeof PLAIN_ROOT, to: Pick<RootItem, "root" | "generation" | "lastSnapshot">): RootItem {
  return {
    root: to.root,
    generation: to.generation,
    lastSnapshot: to.lastSnapshot,
    readOnly: item.readOnly,
    refs: item.refs,
    uuid: item.uuid,
    parentUuid: item.parentUuid,
    receivedUuid: item.receivedUuid,
    ctransid: item.ctransid,
    otransid: item.otransid,
    stransid: item.stransid,
    rtransid: item.rtransid,
    ctime: item.ctime,
    otime: item.otime,
  };
}
