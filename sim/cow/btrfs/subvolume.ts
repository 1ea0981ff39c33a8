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
