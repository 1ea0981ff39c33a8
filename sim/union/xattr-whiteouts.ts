/**
 * Where a view looks for whiteouts that are regular files (overlayfs from 6.8: overlay.opaque=x; namei.c, ovl_lookup_single; super.c, ovl_get_root;
 * readdir.c, ovl_dir_read_merged).
 *
 * The mark counts on no directory of the lowest layer. One that counts says it of the merged directory, and of its whole layer: in a merged
 * directory that some layer marks, the files of each layer are looked at that has a mark anywhere it was met.
 */
import { XATTR_WHITEOUTS } from "./layer.ts";
import type { ViewNode } from "./view-nodes.ts";
import type { Search } from "./view-search.ts";

export class XattrWhiteouts {
  readonly #layers = new Set<number>();
  readonly #directories = new Set<ViewNode>();

  /** Notes a layer's mark where a search finds one. */
  noteLayer(search: Search, marks: number, layer: number): void {
    if ((marks & XATTR_WHITEOUTS) === 0) return;
    search.xattrWhiteouts = true;
    this.#layers.add(layer);
  }

  /** Notes the merged directory that came of a search. */
  noteDirectory(directory: ViewNode, search: Search): void {
    if (search.xattrWhiteouts) this.#directories.add(directory);
  }

  /** Whether the files of a layer's part of a merged directory may be whiteouts, where it is listed. */
  mayBeIn(directory: ViewNode, layer: number): boolean {
    return this.#directories.has(directory) && this.#layers.has(layer);
  }
}
