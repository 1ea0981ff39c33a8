/**
 * zfs rename: a filesystem gets another name, and perhaps another parent; a snapshot another name, alone or with those of its name below (cmd/zfs/zfs_main.c,
 * zfs_do_rename; lib/libzfs, zfs_rename; module/zfs/dsl_dir.c, dsl_dir_rename_check; dsl_dataset.c, dsl_dataset_rename_snapshot_check).
 */
import { createAncestors, findDataset, nameFault, opened, parentOf, suspended } from "./commands.ts";
import { canTransfer, type Dataset, type Directory } from "./dsl.ts";
import { renameFilesystem, renameSnapshots } from "./operations.ts";
import type { Pool } from "./pool.ts";

export interface RenameOptions {
  /** The snapshots of the same name below too (-r). */
  readonly recursive?: boolean;
  /** What is missing above the new name is made (-p). */
  readonly parents?: boolean;
  /** Unmounts a filesystem, and what is below it, that is about to get another name; says what is wrong when one cannot be. Absent: nothing is. */
  readonly begin?: (directory: Directory) => string | undefined;
  /** A missing filesystem was made. */
  readonly made?: (path: string) => void;
}

export function zfsRename(pool: Pool, from: string, to: string, options: RenameOptions = {}): string | undefined {
  if (options.recursive === true && !from.includes("@")) return "source dataset for recursive rename must be a snapshot";
  if (options.parents === true && from.includes("@")) return `cannot open '${from}': snapshot delimiter '@' is not expected here`;
  const dataset = opened(pool, from, findDataset(pool, from));
  if (typeof dataset === "string") return dataset;
  const missing =
    options.parents === true && nameFault(pool, to) === undefined ? createAncestors(pool, to, options.made) : undefined;
  if (missing !== undefined) return missing;
  if (from === to) return undefined;
  const refused = dataset.isSnapshot
    ? renameFrom(pool, dataset, to, options.recursive === true)
    : moveFrom(pool, dataset.directory, to, options.begin);
  return refused ?? suspended(pool, `cannot rename '${from}'`);
}

function renameFrom(pool: Pool, snapshot: Dataset, to: string, isDeep: boolean): string | undefined {
  const { directory, path } = snapshot;
  const at = to.indexOf("@");
  if (at > 0 && to.slice(0, at) !== directory.path) return `cannot rename to '${to}': snapshots must be part of same dataset`;
  const name = to.slice(at + 1);
  const whole = `${directory.path}@${name}`;
  const fault = nameFault(pool, whole);
  if (fault !== undefined) return `cannot rename to '${whole}': ${fault}`;
  const renamed: Dataset[] = [];
  for (const { named } of isDeep ? directory.below() : [directory]) {
    const one = named.get(snapshot.name as string);
    if (one === undefined) continue;
    if (named.has(name))
      return `cannot rename '${path}': ${isDeep ? "a child dataset already has a snapshot with the new name" : "dataset already exists"}`;
    renamed.push(one);
  }
  renameSnapshots(pool, renamed, name);
  return undefined;
}

function moveFrom(pool: Pool, directory: Directory, to: string, begin: RenameOptions["begin"]): string | undefined {
  const from = directory.path;
  const fault = to.includes("@") ? "snapshot delimiter '@' is not expected here" : nameFault(pool, to);
  if (fault !== undefined) return `cannot rename to '${to}': ${fault}`;
  const place = parentOf(pool, to);
  if (typeof place === "string") return place;
  if (to.startsWith(`${from}/`))
    return `cannot rename to '${to}': New dataset name cannot be a descendant of current dataset name`;
  const stays = begin?.(directory);
  if (stays !== undefined) return stays;
  const doing = `cannot rename '${from}'`;
  if (place.parent.children.has(place.name)) return `${doing}: dataset already exists`;
  const taken = Math.max(directory.used, directory.limit("reservation"));
  // The root would go below itself.
  const above = directory.parent as Directory;
  if (above !== place.parent && !canTransfer(above, place.parent, taken, pool.usableBytes)) return `${doing}: out of space`;
  renameFilesystem(pool, directory, place);
  return undefined;
}
