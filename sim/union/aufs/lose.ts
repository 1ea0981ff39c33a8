/**
 * Entries that a mount knew and that are gone, without a call of its own that took them away.
 */
import type { Name } from "../../core/names.ts";
import { IS_DIRECTORY, type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import type { NameOfNode } from "../opened-names.ts";
import type { Aufs } from "./state.ts";

/** What was known at a name is no longer there; a directory goes with all it holds. */
export function loseEntry(aufs: Aufs, directory: Node, name: Name, child: Node): void {
  const { nodes } = aufs;
  if (nodes.has(child, IS_DIRECTORY)) loseEntries(aufs, child);
  aufs.openedAs.forget({ node: child, directory, name });
  nodes.forget(directory, name);
  nodes.afterLoss(child);
}

/** A directory is gone with all it holds. */
export function loseEntries(aufs: Aufs, directory: Node): void {
  for (const { name, child } of aufs.nodes.dentries.entries(directory)) {
    if (child >= WHITEOUT_ENTRY) aufs.nodes.forget(directory, name);
    else loseEntry(aufs, directory, name, child);
  }
}

/** Whoever asks by an open file hears that this name is gone (d_weak_revalidate: ESTALE); without udba nobody is asked (aufs_dop_noreval). */
export function markStale(aufs: Aufs, name: NameOfNode): void {
  if (aufs.options.udba !== "none") aufs.openedAs.markStale(name);
}
