/** All subvolumes' trees as they are now, for who asks which of them use an extent. */
import type { TreesView } from "../owners.ts";
import { EXTENT_DATA } from "./layout.ts";
import type { BtrfsState } from "./state.ts";

export function treesNow(state: BtrfsState): TreesView {
  return {
    extent: (start) => state.references.extent(start),
    references: ({ start }) => state.references.referencesTo(start),
    node: (address) => state.read(address),
    tree: (id) => (state.isSubvolume(id) ? state.trees.get(id) : undefined),
    referenceOf: (leaf, slot) => state.referenceOf(leaf, slot),
    dataKind: EXTENT_DATA,
  };
}
