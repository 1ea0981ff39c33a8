/**
 * Directories and datasets as records of the meta object set, and back.
 */
import { assert } from "../../core/assert.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { SECTOR } from "./compress.ts";
import { DeadList } from "./dead-list.ts";
import { Dataset, Directory } from "./dsl.ts";
import type { DatasetRecord, DirectoryRecord, MetaRecord } from "./object-records.ts";

/** A directory as it is written: the record of an earlier group where that says the same. */
export function frozenDirectory(directory: Directory, tables: BlockPointer | undefined): DirectoryRecord {
  const parent = directory.parent?.id ?? 0;
  const origin = directory.origin?.id ?? 0;
  const { id, name, propertyList: properties, usage, record } = directory;
  const { head, snapshots, promised, logical, physical } = usage;
  const isSame =
    record?.head === head &&
    record.snapshots === snapshots &&
    record.promised === promised &&
    record.logical === logical &&
    record.physical === physical &&
    record.name === name &&
    record.parent === parent &&
    record.origin === origin &&
    record.properties === properties &&
    record.tables === tables;
  if (record !== undefined && isSame) return record;
  const kind = "zfs.directory-object";
  const made = {
    kind,
    length: SECTOR,
    id,
    name,
    parent,
    origin,
    properties,
    head,
    snapshots,
    promised,
    logical,
    physical,
    tables,
  } as const;
  directory.record = made;
  return made;
}

/** The same of a dataset. */
export function frozenDataset(dataset: Dataset, tables: BlockPointer | undefined, dead: readonly BlockPointer[]): DatasetRecord {
  const directory = dataset.directory.id;
  const previous = dataset.previous?.id ?? 0;
  const next = dataset.next?.id ?? 0;
  const { id, name, group, created, pointer, referenced, logical, physical, unique, deferred, holds, properties, record } =
    dataset;
  const live = dataset.liveBytes;
  const deadList = dataset.deadList.freeze();
  const isSame =
    record?.next === next &&
    record.previous === previous &&
    record.pointer === pointer &&
    record.group === group &&
    record.unique === unique &&
    record.referenced === referenced &&
    record.logical === logical &&
    record.physical === physical &&
    record.deadList === deadList &&
    record.dead === dead &&
    record.live === live &&
    record.directory === directory &&
    record.name === name &&
    record.created === created &&
    record.deferred === deferred &&
    record.holds === holds &&
    record.properties === properties &&
    record.tables === tables;
  if (record !== undefined && isSame) return record;
  const made: DatasetRecord = {
    kind: "zfs.dataset-object",
    length: SECTOR,
    id,
    directory,
    name,
    previous,
    next,
    group,
    created,
    pointer,
    referenced,
    logical,
    physical,
    unique,
    deadList,
    live,
    dead,
    deferred,
    holds,
    properties,
    tables,
  };
  dataset.record = made;
  return made;
}

/** Builds directories and datasets from their records. @returns the root, and all by number. */
export function thawed(
  records: readonly MetaRecord[],
  rootId: number,
): { root: Directory; objects: Map<number, Directory | Dataset> } {
  const objects = new Map<number, Directory | Dataset>();
  for (const record of records) {
    if (record.kind !== "zfs.directory-object") continue;
    const made = new Directory(record.id, { name: record.name, parent: undefined, properties: record.properties });
    made.usage.head = record.head;
    made.usage.snapshots = record.snapshots;
    made.usage.promised = record.promised;
    made.usage.logical = record.logical;
    made.usage.physical = record.physical;
    objects.set(record.id, made);
  }
  for (const record of records) if (record.kind === "zfs.dataset-object") objects.set(record.id, thawedDataset(record, objects));
  const dataset = (id: number): Dataset | undefined => objects.get(id) as Dataset | undefined;
  for (const record of records) {
    if (record.kind === "zfs.directory-object") {
      const directory = objects.get(record.id) as Directory;
      directory.parent = objects.get(record.parent) as Directory | undefined;
      directory.parent?.addChild(directory);
      directory.origin = dataset(record.origin);
      continue;
    }
    const made = dataset(record.id) as Dataset;
    made.previous = dataset(record.previous);
    made.next = dataset(record.next);
  }
  for (const object of objects.values()) {
    if (object instanceof Dataset && object.previous !== undefined && object.previous.next !== object)
      object.previous.addClone(object);
  }
  const root = objects.get(rootId);
  assert(root instanceof Directory, "a pool has no root directory");
  sumUp(root);
  return { root, objects };
}

function thawedDataset(record: DatasetRecord, objects: ReadonlyMap<number, Directory | Dataset>): Dataset {
  const directory = objects.get(record.directory) as Directory;
  const made = record.name === undefined ? directory.head : new Dataset(record.id, directory, record.name);
  if (record.name !== undefined) directory.addSnapshot(made);
  made.group = record.group;
  made.created = record.created;
  made.pointer = record.pointer;
  made.referenced = record.referenced;
  made.logical = record.logical;
  made.physical = record.physical;
  made.unique = record.unique;
  made.deadList = new DeadList(record.deadList);
  made.liveBytes = record.live;
  made.deferred = record.deferred;
  made.holds = record.holds;
  made.properties = record.properties;
  return made;
}

/** Adds what children take to each directory above them. */
function sumUp(directory: Directory): void {
  for (const child of directory.children.values()) {
    sumUp(child);
    directory.usage.children += Math.max(child.used, child.limit("reservation"));
  }
}
