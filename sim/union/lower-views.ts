/**
 * The views of one host, so that mounts over the same stack of layers share one. A view goes when its last mount does.
 */
import type { FileSystem } from "../vfs/filesystem.ts";
import type { LayerDirectory } from "./layer.ts";
import type { LowerView } from "./lower-view.ts";

export class LowerViews {
  readonly #views = new Map<string, LowerView>();
  readonly #filesystems = new Map<FileSystem, number>();

  /**
   * The view of a stack under a rule set; `release` pairs with it.
   * @param key - what distinguishes rule sets and their options.
   * @param dataLayers - the stack's data-only layers.
   */
  acquire(
    layers: readonly LayerDirectory[],
    key: string,
    make: () => LowerView,
    dataLayers: readonly LayerDirectory[] = [],
  ): LowerView {
    const full = this.#keyOf(layers, dataLayers, key);
    let view = this.#views.get(full);
    if (view === undefined) {
      view = make();
      this.#views.set(full, view);
    }
    view.users += 1;
    return view;
  }

  release(view: LowerView, key: string): void {
    view.users -= 1;
    if (view.users === 0) this.#views.delete(this.#keyOf(view.layers, view.dataLayers, key));
  }

  #keyOf(layers: readonly LayerDirectory[], dataLayers: readonly LayerDirectory[], key: string): string {
    return `${key}|${this.#idsOf(layers)}|${this.#idsOf(dataLayers)}`;
  }

  #idsOf(layers: readonly LayerDirectory[]): string {
    return layers
      .map(({ fs, inode }) => {
        let id = this.#filesystems.get(fs);
        if (id === undefined) {
          id = this.#filesystems.size;
          this.#filesystems.set(fs, id);
        }
        return `${id}:${inode}`;
      })
      .join();
  }
}
