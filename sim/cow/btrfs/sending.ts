/** What the parts that make a send stream share. */
import type { BtrfsState } from "./state.ts";
import type { CommandAttributes, CommandName } from "./stream.ts";
import type { Subvolume } from "./subvolume.ts";

export interface Sending {
  readonly state: BtrfsState;
  /** What is sent, and the snapshot that the receiver has. */
  readonly right: Subvolume;
  readonly left: Subvolume | undefined;
  /** What the receiver can clone from, `right` among them, by id. */
  readonly sources: readonly Subvolume[];
  emit(name: CommandName, attributes: CommandAttributes): void;
  /** The path of an inode as the receiver has it now. */
  path(ino: number): string;
}
