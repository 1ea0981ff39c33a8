/**
 * The target of traces that were recorded on a filesystem alone: each layer a folder of its own, nothing is inherited.
 */
import {
  type Change,
  type DriverContext,
  type DriverError,
  type DriverKind,
  type GraphDriver,
  isDriverError,
} from "../drivers/driver.ts";
import { exists, makeDirectories, makeDirectory, removeAll, stat } from "../drivers/files.ts";
import { naiveChanges, naiveDiffSize } from "../drivers/naive-diff.ts";

function bareFolders({ host, home }: DriverContext): GraphDriver | DriverError {
  const { task } = host;
  const folder = (id: string): string => `${home}/${id}`;
  const create = (id: string): DriverError | undefined => makeDirectory(task, folder(id), 0o755);
  const get = (id: string): string | DriverError => {
    const there = stat(task, folder(id));
    return isDriverError(there) ? there : folder(id);
  };
  const trees = { get, put: () => undefined };
  const driver: GraphDriver = {
    name: "bare",
    home,
    counters: {},
    ...trees,
    create,
    createReadWrite: create,
    remove: (id) => removeAll(task, folder(id)),
    exists: (id) => exists(task, folder(id)),
    changes: (id, parent): Change[] | DriverError => naiveChanges(task, trees, { id, parent }),
    diffSize: (id, parent) => naiveDiffSize(task, trees, { id, parent }),
    status: () => [],
    metadata: () => null,
    cleanup: () => undefined,
  };
  return makeDirectories(task, home, 0o755) ?? driver;
}

/** Folders on the backing filesystem. */
export const BARE: DriverKind = { name: "bare", deprecated: false, init: bareFolders };
