/**
 * What devicemapper keeps in `metadata/`: a file a device, the set's own, and the transaction that is open. JSON as Docker writes it; each
 * file is written beside its place, synced, and renamed over the old one.
 */
import { ENOENT, isErrno } from "../../../sim/core/errno.ts";
import { O_RDONLY } from "../../../sim/vfs/filesystem.ts";
import type { Task } from "../../../sim/vfs/task.ts";
import { type DriverError, isDriverError, pathError } from "../driver.ts";
import { exists, readFile, writeFile } from "../files.ts";

/** A device as its file tells it. */
export interface DeviceRecord {
  device_id: number;
  /** Bytes. */
  size: number;
  /** The transaction that made it. */
  transaction_id: number;
  /** Has a filesystem: only the base device. */
  initialized: boolean;
  /** To be deleted when nobody uses it any more. */
  deleted: boolean;
}

/** The set's own file. */
export interface SetRecord {
  next_device_id: number;
  BaseDeviceUUID: string;
  BaseDeviceFilesystem: string;
}

/** The transaction that was begun last. */
export interface TransactionRecord {
  open_transaction_id: number;
  device_hash: string;
  device_id: number;
}

const SET_FILE = "deviceset-metadata";
const TRANSACTION_FILE = "transaction-metadata";

export class Records {
  readonly #task: Task;
  readonly #folder: string;

  /** @param folder - made by whoever asks. */
  constructor(task: Task, folder: string) {
    this.#task = task;
    this.#folder = folder;
  }

  /** The file of a device; the base device's hash is "". */
  #fileOf(hash: string): string {
    return `${this.#folder}/${hash === "" ? "base" : hash}`;
  }

  #write(name: string, value: object): DriverError | undefined {
    const temporary = `${this.#folder}/.tmp`;
    const failed = writeFile(this.#task, temporary, { text: JSON.stringify(value), mode: 0o600 });
    if (failed !== undefined) return failed;
    const fd = this.#task.open(temporary, O_RDONLY);
    if (isErrno(fd)) return pathError("open", temporary, fd);
    const unsynced = this.#task.fsync(fd);
    this.#task.close(fd);
    if (unsynced !== undefined) return pathError("sync", temporary, unsynced);
    const moved = this.#task.rename(temporary, name);
    return moved === undefined ? undefined : pathError("rename", temporary, moved);
  }

  #read<T>(path: string): T | undefined | DriverError {
    if (!exists(this.#task, path)) return undefined;
    const text = readFile(this.#task, path);
    return isDriverError(text) ? text : (JSON.parse(text) as T);
  }

  device(hash: string): DeviceRecord | undefined | DriverError {
    return this.#read<DeviceRecord>(this.#fileOf(hash));
  }

  saveDevice(hash: string, record: DeviceRecord): DriverError | undefined {
    return this.#write(this.#fileOf(hash), record);
  }

  /** Removes a device's file; one that is not there is removed already. */
  removeDevice(hash: string): DriverError | undefined {
    const path = this.#fileOf(hash);
    const failed = this.#task.unlink(path);
    return failed === undefined || failed === ENOENT ? undefined : pathError("unlink", path, failed);
  }

  set(): SetRecord | undefined | DriverError {
    return this.#read<SetRecord>(`${this.#folder}/${SET_FILE}`);
  }

  saveSet(record: SetRecord): DriverError | undefined {
    return this.#write(`${this.#folder}/${SET_FILE}`, record);
  }

  transaction(): TransactionRecord | undefined | DriverError {
    return this.#read<TransactionRecord>(`${this.#folder}/${TRANSACTION_FILE}`);
  }

  saveTransaction(record: TransactionRecord): DriverError | undefined {
    return this.#write(`${this.#folder}/${TRANSACTION_FILE}`, record);
  }

  /** Every device that has a file, by its hash. */
  hashes(): string[] {
    const entries = this.#task.readdir(this.#folder);
    if (isErrno(entries)) return [];
    const own = new Set([SET_FILE, TRANSACTION_FILE]);
    return entries
      .map(({ name }) => name)
      .filter((name) => !own.has(name) && !name.startsWith("."))
      .map((name) => (name === "base" ? "" : name))
      .sort();
  }
}
