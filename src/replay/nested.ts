/**
 * The target of traces that were recorded on an overlay over an overlay: the first layer over a base is mounted for good, and all that comes
 * over it has that mount for its lowest layer, which is as deep as filesystems can be stacked.
 */
import { type Change, type DriverContext, DriverError, type DriverKind, type GraphDriver } from "../drivers/driver.ts";
import { exists, makeDirectories, removeAll } from "../drivers/files.ts";
import { naiveChanges, naiveDiffSize } from "../drivers/naive-diff.ts";

interface Layer {
  /** Lower layers, topmost first; none of a base. */
  readonly lowers: readonly string[];
  isMounted: boolean;
}

function nestedOverlays({ host, home, settings }: DriverContext): GraphDriver | DriverError {
  const { task } = host;
  const layers = new Map<string, Layer>();
  const folder = (id: string, part: string): string => `${home}/${id}/${part}`;
  const isBase = (id: string): boolean => layers.get(id)?.lowers.length === 0;

  const create = (id: string, parent: string): DriverError | undefined => {
    let lowers: string[] = [];
    if (parent !== "" && isBase(parent)) lowers = [folder(parent, "diff")];
    else if (parent !== "") {
      const [above, ...below] = layers.get(parent)?.lowers ?? [];
      // Over the first overlay comes its mount; over what stands on that, its own layer beside it.
      const standsOnBase = below.length === 0 && above?.endsWith("/diff") === true;
      lowers = standsOnBase
        ? [folder(parent, "merged")]
        : [folder(parent, "diff"), ...(above === undefined ? [] : [above, ...below])];
    }
    layers.set(id, { lowers, isMounted: false });
    for (const part of ["diff", "work", "merged"]) {
      const failed = makeDirectories(task, folder(id, part), 0o755);
      if (failed !== undefined) return failed;
    }
    return undefined;
  };

  const get = (id: string): string | DriverError => {
    const layer = layers.get(id);
    if (layer === undefined || layer.lowers.length === 0) return folder(id, "diff");
    const target = folder(id, "merged");
    if (layer.isMounted) return target;
    const more = settings.mountOptions === undefined || settings.mountOptions === "" ? "" : `,${settings.mountOptions}`;
    const options = `lowerdir=${layer.lowers.join(":")},upperdir=${folder(id, "diff")},workdir=${folder(id, "work")}${more}`;
    const failed = host.mount({ type: "overlay", source: "overlay", target, options });
    if (failed !== undefined) return new DriverError(failed.message, { errno: failed.errno });
    layer.isMounted = true;
    return target;
  };

  const trees = { get, put: () => undefined };
  const driver: GraphDriver = {
    name: "nested",
    home,
    counters: {},
    ...trees,
    create,
    createReadWrite: create,
    remove: (id) => removeAll(task, `${home}/${id}`),
    exists: (id) => exists(task, `${home}/${id}`),
    changes: (id, parent): Change[] | DriverError => naiveChanges(task, trees, { id, parent }),
    diffSize: (id, parent) => naiveDiffSize(task, trees, { id, parent }),
    status: () => [],
    metadata: (id) => ({ UpperDir: folder(id, "diff") }),
    cleanup: () => undefined,
  };
  return makeDirectories(task, home, 0o755) ?? driver;
}

/** Overlays over an overlay. */
export const NESTED: DriverKind = { name: "nested", deprecated: false, init: nestedOverlays };
