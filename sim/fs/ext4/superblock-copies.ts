/** Copies of the superblock and the group descriptors, for a repair when the first are lost: mkfs and resize2fs write them, a mount never. */
import { Content } from "../../core/content.ts";
import type { Errno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE, DESCRIPTORS_PER_BLOCK, firstBlockOf, hasSuperblock } from "./layout.ts";
import type { DescriptorsRecord } from "./records.ts";
import type { Ext4State } from "./state.ts";

/** Writes those of the groups from `first` on that have one (sparse_super). */
export function writeSuperblockCopies(state: Ext4State, first: number): Errno | undefined {
  const { device, geometry } = state;
  const descriptors = Array.from(
    { length: geometry.descriptorBlocks },
    (_, index): DescriptorsRecord => ({
      kind: "ext4.groupDescriptors",
      length: BLOCK_SIZE,
      first: index * DESCRIPTORS_PER_BLOCK,
      since: undefined,
      changes: [],
    }),
  );
  const copies = Content.concat([state.superblock(), ...descriptors].map((record) => Content.record(record)));
  for (let group = first; group < geometry.groups; group++) {
    if (!hasSuperblock(group)) continue;
    const failed = device.write(bytes(firstBlockOf(group) * BLOCK_SIZE), copies);
    if (failed !== undefined) return failed;
  }
  return undefined;
}
