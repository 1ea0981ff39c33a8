/** Directories and datasets of a pool as they lie on the devices. */
import type { BlockPointer } from "./block-pointer.ts";
import type { DeadListRecord } from "./dead-list.ts";

/** Properties by name; never changed: there are others then. */
export type UserProperties = readonly (readonly [name: string, value: string])[];

/** A directory as it lies on the devices. */
export interface DirectoryRecord {
  readonly kind: "zfs.directory-object";
  readonly length: number;
  readonly id: number;
  readonly name: string;
  readonly parent: number;
  readonly origin: number;
  readonly properties: readonly (readonly [string, string])[];
  readonly head: number;
  readonly snapshots: number;
  readonly promised: number;
  readonly logical: number;
  readonly physical: number;
  readonly tables: BlockPointer | undefined;
}

/** A head or a snapshot as it lies on the devices. */
export interface DatasetRecord {
  readonly kind: "zfs.dataset-object";
  readonly length: number;
  readonly id: number;
  readonly directory: number;
  readonly name: string | undefined;
  readonly previous: number;
  readonly next: number;
  readonly group: number;
  readonly created: number;
  readonly pointer: BlockPointer | undefined;
  readonly referenced: number;
  readonly logical: number;
  readonly physical: number;
  readonly unique: number;
  readonly deadList: DeadListRecord;
  /** What the list of a clone's own blocks takes; below 0: there is none. */
  readonly live: number;
  /** The blocks of the dead list's sublists, and of that list. */
  readonly dead: readonly BlockPointer[];
  readonly deferred: boolean;
  readonly holds: readonly string[];
  /** Of a snapshot: those that somebody made up and set on it. */
  readonly properties: UserProperties;
  readonly tables: BlockPointer | undefined;
}

/** An object of the set. */
export type MetaRecord = DirectoryRecord | DatasetRecord;
