/**
 * `docker build --squash`: what a build's layers add to its base as one layer (moby v20.10.27 daemon/images/image_squash.go, an experiment of
 * the daemon's).
 *
 * Rule: the layers that were built stay beside it, as the images of the steps do; of the history nothing is lost, but that its steps have no layers.
 */
import { DriverError, isDriverError } from "../drivers/driver.ts";
import { diffOf } from "../drivers/layer-diff.ts";
import { type HistoryEntry, withLayers } from "./config.ts";
import { type Daemon, hostTime } from "./daemon.ts";
import type { StoredImage } from "./image-store.ts";

/** Makes the image of one layer more than `base` has (undefined: scratch). */
export function squashImage(daemon: Daemon, image: StoredImage, base: StoredImage | undefined): StoredImage | DriverError {
  const { host, driver, layers, images } = daemon;
  const { top } = image;
  if (top === undefined || top.chainId === base?.top?.chainId)
    return new DriverError(
      `error squashing image: error getting tar stream to parent: layer ID '${base?.top?.chainId ?? ""}' is not a parent of the specified layer: cannot provide diff to non-parent`,
    );
  const tar = diffOf(host, driver, { id: top.cacheId, parent: base?.top?.cacheId ?? "" });
  const layer = isDriverError(tar) ? tar : layers.register({ content: tar, mode: "docker" }, base?.top?.chainId ?? "");
  if (isDriverError(layer)) return layer;
  const created = hostTime(host);
  const { id } = image.config;
  const comment = base === undefined ? `create new from ${id}` : `merge ${id} to ${base.config.id}`;
  const own = base?.config.history.length ?? 0;
  const steps = image.config.history.map((entry, index): HistoryEntry => (index < own ? entry : { ...entry, emptyLayer: true }));
  const merged: HistoryEntry = { created, createdBy: "", author: "", comment, emptyLayer: false };
  const raw = withLayers(image.config, {
    created,
    history: [...steps, merged],
    diffIds: [...(base?.config.diffIds ?? []), layer.diffId],
  });
  const squashed = images.create(raw);
  layers.release(layer);
  return squashed;
}
