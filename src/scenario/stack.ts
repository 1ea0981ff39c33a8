/**
 * How deep layers can be stacked: by Docker's layer store, which counts them, or by the driver alone, until something refuses.
 */
import { Content } from "../../sim/core/content.ts";
import * as tar from "../archive/tar-header.ts";
import { TarWriter, tarHeader } from "../archive/tar-write.ts";
import type { Json } from "../calls/json.ts";
import { type GraphDriver, isDriverError } from "../drivers/driver.ts";
import type { Lab } from "../layers/lab.ts";
import type { LayerStore } from "../layers/layer-store.ts";

/** How far it went, and what refused the next layer; `container`: whether one starts on the last. */
type Stacked = Readonly<Record<string, Json>>;

/** The layer that is stacked: one empty folder. */
function oneFolder(): Content {
  const writer = new TarWriter();
  const time = { seconds: 0, nanoseconds: 0 };
  writer.add(
    tarHeader({
      name: "layer/",
      typeflag: tar.DIRECTORY,
      linkname: "",
      mode: 0o755,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: time,
      major: 0,
      minor: 0,
      xattrs: [],
    }),
    Content.empty,
  );
  return writer.end();
}

/** Layers of Docker's store over one, up to `max` in all; then a container with its init layer over the last. */
export function stackInStore(
  store: LayerStore,
  driver: GraphDriver,
  from: { readonly chain: string; readonly depth: number },
  max: number,
): Stacked {
  let { chain, depth } = from;
  let why = "";
  while (depth < max && why === "") {
    const layer = store.register({ content: oneFolder(), mode: "docker" }, chain);
    if (isDriverError(layer)) why = layer.message;
    else {
      chain = layer.chainId;
      depth += 1;
    }
  }
  const container = store.createWritable("deepest", chain, { init: true });
  const path = isDriverError(container) ? container : driver.get(container.mountId);
  if (!isDriverError(container)) driver.put(container.mountId);
  return answer(depth, why, isDriverError(path) ? path.message : "starts");
}

/** Layers that the driver makes and mounts, up to `max` in all. @param top - a layer that is there */
export function stackOnDriver(lab: Lab, from: { readonly top: string; readonly depth: number }, max: number): Stacked {
  let { top, depth } = from;
  let why = "";
  while (depth < max && why === "") {
    const name = `${from.top} and ${depth + 1 - from.depth} more`;
    const failed = lab.addLayer(name, top);
    if (failed !== undefined) why = failed.message;
    else {
      top = name;
      depth += 1;
    }
  }
  return answer(depth, why);
}

function answer(layers: number, refused: string, container?: string): Stacked {
  return { layers, ...(refused === "" ? {} : { refused }), ...(container === undefined ? {} : { container }) };
}
