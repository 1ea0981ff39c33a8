/**
 * Directories and datasets as records of the meta object set, and back.
 */
import { assert } from "../../core/assert.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { SECTOR } from "./compress.ts";
import { DeadList } from "./dead-list.ts";
import { Dataset, Directory } from "./dsl.ts";
import type { MetaRecord } from "./meta-set.ts";

const NO_PROPERTIES: readonly never[] = [];

export function frozenDirectory(directory: Directory, tables: BlockPointer | undefined): MetaRecord {
  return {
    kind: "zfs.directory-object",
    length: SECTOR,
    id: directory.id,
    name: directory.name,
    parent: directory.parent?.id ?? 0,
    origin: directory.origin?.id ?? 0,
    properties: directory.properties.size === 0 ? NO_PROPERTIES : [...directory.properties],
    head: directory.usage.head,
    snapshots: directory.usage.snapshots,
    promised: directory.usage.promised,
    logical: directory.usage.logical,
    tables,
  };
}

export function frozenDataset(dataset: Dataset, tables: BlockPointer | undefined): MetaRecord {
  return {
    kind: "zfs.dataset-object",
    length: SECTOR,
    id: dataset.id,
    directory: dataset.directory.id,
    name: dataset.name,
    previous: dataset.previous?.id ?? 0,
    next: dataset.next?.id ?? 0,
    group: dataset.group,
    created: dataset.created,
    pointer: dataset.pointer,
    referenced: dataset.referenced,
    logical: dataset.logical,
    unique: dataset.unique,
    deadList: dataset.deadList.freeze(),
    deferred: dataset.deferred,
    tables,
  };
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

function thawedDataset(
  record: MetaRecord & { readonly kind: "zfs.dataset-object" },
  objects: ReadonlyMap<number, Directory | Dataset>,
): Dataset {
  const directory = objects.get(record.directory) as Directory;
  const made = record.name === undefined ? directory.head : new Dataset(record.id, directory, record.name);
  if (record.name !== undefined) directory.addSnapshot(made);
  made.group = record.group;
  made.created = record.created;
  made.pointer = record.pointer;
  made.referenced = record.referenced;
  made.logical = record.logical;
  made.unique = record.unique;
  made.deadList = new DeadList(record.deadList);
  made.deferred = record.deferred;
  return made;
}

/** Adds what children take to each directory above them. */
function sumUp(directory: Directory): void {
  for (const child of directory.children.values()) {
    sumUp(child);
    directory.usage.children += Math.max(child.used, child.limit("reservation"));
  }
}
