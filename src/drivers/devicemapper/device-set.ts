/**
 * The thin devices of a daemon: made and deleted in transactions of the pool, activated when somebody mounts them
 * (moby daemon/graphdriver/devmapper/deviceset.go, v20.10).
 *
 * Interface:
 * - A device is known by its hash, a layer's id; the base device's is "". Each keeps a file (records.ts).
 * - Making and deleting is one transaction each: what is intended is written first, then the pool is told, then the device's file is written
 *   or removed, and last the pool's transaction id goes up. What was begun and not ended is taken back at the next start.
 */
import { EBUSY, EEXIST, type Errno } from "../../../sim/core/errno.ts";
import { bytes, deviceNumber, seconds } from "../../../sim/core/units.ts";
import type { Host } from "../../../sim/host.ts";
import { sendMessage } from "../../../sim/thin/messages.ts";
import { TargetError } from "../../../sim/thin/pool-options.ts";
import { poolStatus } from "../../../sim/thin/status.ts";
import { ThinVolume } from "../../../sim/thin/volume.ts";
import { DriverError, errnoText, isDriverError } from "../driver.ts";
import { humanSize } from "../human-size.ts";
import type { DevmapperOptions } from "./options.ts";
import type { DeviceRecord, Records, SetRecord } from "./records.ts";
import type { PoolStorage } from "./storage.ts";

const MAPPER_MAJOR = 253;
const DEVICE_ID_MASK = 0xffffff;
/** Seconds between two attempts to delete what was in use (devices.deletionWorkerTicker). */
const DELETION_PERIOD = 30;

/** A device that is active. */
interface Active {
  readonly volume: ThinVolume;
  readonly name: string;
  /** Its minor number. */
  readonly minor: number;
  /** How many want it. */
  users: number;
  /** It goes when the last mount that uses it is gone. */
  removeLater: boolean;
}

/** Who the set is of. */
export interface SetContext {
  readonly host: Host;
  readonly options: DevmapperOptions;
  readonly storage: PoolStorage;
  readonly records: Records;
  /** "docker-254:0-1234". */
  readonly prefix: string;
}

export class DeviceSet {
  readonly #context: SetContext;
  #set: SetRecord;
  readonly #active = new Map<string, Active>();
  /** Devices that wait to be deleted. */
  deletedCount = 0;
  #stopTimer: (() => void) | undefined;
  /** Whether devices are being made or deleted: the timer waits until that is done, as Docker's worker waits for the lock. */
  #atWork = false;
  #retryIsDue = false;

  private constructor(context: SetContext, set: SetRecord) {
    this.#context = context;
    this.#set = set;
  }

  /** Opens the set: takes back what was not ended, counts what waits for deletion. */
  static open(context: SetContext): DeviceSet | DriverError {
    const { records } = context;
    const known = records.set();
    if (isDriverError(known)) return known;
    const set = new DeviceSet(context, known ?? { next_device_id: 0, BaseDeviceUUID: "", BaseDeviceFilesystem: "" });
    const failed = set.#rollBack();
    if (failed !== undefined) return failed;
    for (const hash of records.hashes()) {
      const record = records.device(hash);
      if (!isDriverError(record) && record?.deleted === true) set.deletedCount += 1;
    }
    set.#retryDeletions();
    if (context.options.deferredDeletion) {
      set.#stopTimer = context.host.clock.every(seconds(DELETION_PERIOD), () => {
        set.#retryIsDue = true;
        if (!set.#atWork) set.#retryDeletions();
      });
    }
    return set;
  }

  get filesystem(): string {
    return this.#set.BaseDeviceFilesystem;
  }

  get #pool(): PoolStorage["pool"] {
    return this.#context.storage.pool;
  }

  get #transactionId(): number {
    return this.#pool.metadata.transaction;
  }

  /** A transaction that was begun and never ended: its device is deleted, with its file. */
  #rollBack(): DriverError | undefined {
    const open = this.#context.records.transaction();
    if (isDriverError(open)) return open;
    if (open === undefined || open.open_transaction_id <= this.#transactionId) return undefined;
    sendMessage(this.#pool, `delete ${open.device_id}`);
    return this.#context.records.removeDevice(open.device_hash);
  }

  record(hash: string): DeviceRecord | undefined | DriverError {
    return this.#context.records.device(hash);
  }

  /** A device's record. @returns Docker's error for a device that is not there. */
  lookup(hash: string): DeviceRecord | DriverError {
    const record = this.record(hash);
    return record ?? new DriverError(`devmapper: Unknown device ${hash}`);
  }

  nameOf(hash: string): string {
    return `${this.#context.prefix}-${hash === "" ? "base" : hash}`;
  }

  #saveSet(change: Partial<SetRecord>): DriverError | undefined {
    this.#set = { ...this.#set, ...change };
    return this.#context.records.saveSet(this.#set);
  }

  /** Remembers what the base device holds. */
  saveBase(filesystem: string, uuid: string): DriverError | undefined {
    return this.#saveSet({ BaseDeviceFilesystem: filesystem, BaseDeviceUUID: uuid });
  }

  #begin(hash: string, id: number): DriverError | undefined {
    return this.#context.records.saveTransaction({
      open_transaction_id: this.#transactionId + 1,
      device_hash: hash,
      device_id: id,
    });
  }

  /** The point of no return: with the pool's new id the transaction has happened. */
  #end(): DriverError | undefined {
    const id = this.#transactionId;
    return failedMessage("SetTransactionID", sendMessage(this.#pool, `set_transaction_id ${id} ${id + 1}`));
  }

  /** What is done under the lock of the set. */
  #locked(work: () => DriverError | undefined): DriverError | undefined {
    this.#atWork = true;
    const failed = work();
    this.#atWork = false;
    if (this.#retryIsDue) this.#retryDeletions();
    return failed;
  }

  /** Makes a device of the pool under the next free id. @param message - the words for an id. */
  #make(hash: string, size: number, message: (id: number) => string): DriverError | undefined {
    return this.#locked(() => this.#makeNow(hash, size, message));
  }

  #makeNow(hash: string, size: number, message: (id: number) => string): DriverError | undefined {
    for (;;) {
      const id = (this.#set.next_device_id + 1) & DEVICE_ID_MASK;
      this.#set.next_device_id = id;
      const begun = this.#begin(hash, id);
      if (begun !== undefined) return begun;
      const failed = sendMessage(this.#pool, message(id));
      if (failed === EEXIST) continue;
      if (failed !== undefined) return failedMessage("CreateDevice", failed);
      const record = { device_id: id, size, transaction_id: this.#transactionId + 1, initialized: false, deleted: false };
      const unsaved = this.#context.records.saveDevice(hash, record);
      if (unsaved !== undefined) {
        sendMessage(this.#pool, `delete ${id}`);
        return unsaved;
      }
      return this.#end() ?? this.#saveSet({});
    }
  }

  /** Makes the base device: empty. */
  createBase(): DriverError | undefined {
    return this.#make("", this.#context.options.baseSize, (id) => `create_thin ${id}`);
  }

  /** Makes a device that begins as a copy of another one; one that is mounted is frozen meanwhile. */
  snapshot(hash: string, origin: DeviceRecord, size: number): DriverError | undefined {
    return this.#freeSpaceMissing() ?? this.#make(hash, size, (id) => `create_snap ${id} ${origin.device_id}`);
  }

  /** Docker makes no device where less than a share of the pool is free (min_free_space). */
  #freeSpaceMissing(): DriverError | undefined {
    const percent = this.#context.options.minFreePercent;
    const status = poolStatus(this.#pool);
    if (percent === 0 || status === undefined) return undefined;
    const kinds = [
      ["data blocks", status.totalData, status.usedData],
      ["metadata blocks", status.totalMetadata, status.usedMetadata],
    ] as const;
    for (const [name, total, used] of kinds) {
      const wanted = Math.max(1, Math.floor((total * percent) / 100));
      if (total - used >= wanted) continue;
      const more = name === "data blocks" ? "thin pool" : "metadata device of thin pool";
      const missing = `Thin Pool has ${total - used} free ${name} which is less than minimum required ${wanted} free ${name}`;
      return new DriverError(
        `devmapper: ${missing}. Create more free ${name === "data blocks" ? "space" : "metadata space"} in ${name === "data blocks" ? more : "thin pool"} or use dm.min_free_space option to change behavior`,
      );
    }
    return undefined;
  }

  /** Makes a device's volume known to the host, once for all its users. @returns its name under /dev/mapper. */
  activate(hash: string, record: DeviceRecord): string | DriverError {
    const known = this.#active.get(hash);
    if (known !== undefined) {
      known.users += 1;
      known.removeLater = false;
      return known.name;
    }
    const { host } = this.#context;
    const name = this.nameOf(hash);
    const volume = ThinVolume.open(this.#pool, { name, id: record.device_id, size: record.size });
    if (volume instanceof TargetError) {
      const text = `devmapper: Error activating devmapper device for '${hash}': ${errnoText(volume.errno)}`;
      return new DriverError(text, { errno: volume.errno });
    }
    const minor = this.#freeMinor();
    host.addDevice(name, volume, deviceNumber(MAPPER_MAJOR, minor));
    this.#active.set(hash, { volume, name, minor, users: 1, removeLater: false });
    return name;
  }

  /** The lowest minor that no device has; the pool's own parts have the first ones. */
  #freeMinor(): number {
    const used = new Set([...this.#active.values()].map(({ minor }) => minor));
    let minor = 2;
    while (used.has(minor)) minor += 1;
    return minor;
  }

  /** One user less; the last one takes the device away, now or when its last mount is gone. */
  deactivate(hash: string): DriverError | undefined {
    const active = this.#active.get(hash);
    if (active === undefined) return undefined;
    active.users -= 1;
    if (active.users > 0) return undefined;
    active.removeLater = true;
    this.removeUnused();
    if (this.#active.has(hash) && !this.#context.options.deferredRemoval) {
      active.removeLater = false;
      return new DriverError(`devicemapper: Error running RemoveDevice dm_task_run failed`, { errno: EBUSY });
    }
    return undefined;
  }

  /** Takes the devices away that wait for it and that nobody uses. */
  removeUnused(): void {
    const { host } = this.#context;
    host.endUnused();
    for (const [hash, active] of [...this.#active]) {
      if (!active.removeLater || host.usesDevice(deviceNumber(MAPPER_MAJOR, active.minor))) continue;
      host.removeDevice(active.name);
      active.volume.close();
      this.#active.delete(hash);
    }
  }

  /** The volume of a device while it is active. */
  volume(hash: string): ThinVolume | undefined {
    return this.#active.get(hash)?.volume;
  }

  /** Deletes a device; one that is in use is marked, where that is allowed, and deleted later. A missing one is deleted already. */
  delete(hash: string): DriverError | undefined {
    return this.#locked(() => this.#delete(hash));
  }

  #delete(hash: string): DriverError | undefined {
    const record = this.record(hash);
    if (isDriverError(record) || record === undefined) return record;
    this.removeUnused();
    const isActive = this.#active.has(hash);
    if (isActive && !this.#context.options.deferredDeletion) {
      return new DriverError(`failed to remove device ${hash}: Device is Busy`, { errno: EBUSY });
    }
    if (!isActive && this.#context.options.discard) this.#discard(hash, record);
    const begun = this.#begin(hash, record.device_id);
    if (begun !== undefined) return begun;
    const failed = sendMessage(this.#pool, `delete ${record.device_id}`);
    const outcome = failed === undefined ? this.#forget(hash, record) : this.#deleteLater(hash, record, failed);
    // Whatever came of it, the transaction has happened.
    this.#end();
    return outcome;
  }

  #forget(hash: string, record: DeviceRecord): DriverError | undefined {
    const unsaved = this.#context.records.removeDevice(hash);
    if (unsaved === undefined && record.deleted) this.deletedCount -= 1;
    return unsaved;
  }

  #deleteLater(hash: string, record: DeviceRecord, failed: Errno): DriverError | undefined {
    if (failed !== EBUSY || !this.#context.options.deferredDeletion) {
      return new DriverError(`failed to remove device ${hash}: ${busyText(failed)}`, { errno: failed });
    }
    if (record.deleted) return undefined;
    const unsaved = this.#context.records.saveDevice(hash, { ...record, deleted: true });
    if (unsaved === undefined) this.deletedCount += 1;
    return unsaved;
  }

  /** Gives the device's blocks up one by one, so that a loop file below shrinks. What fails is only logged. */
  #discard(hash: string, record: DeviceRecord): void {
    if (isDriverError(this.activate(hash, record))) return;
    const volume = this.volume(hash);
    volume?.discard(bytes(0), volume.size);
    this.deactivate(hash);
  }

  /** Tries again to delete what waits for it: each time is a transaction, whether the device is still in use or not. */
  #retryDeletions(): void {
    this.#retryIsDue = false;
    if (this.deletedCount === 0) return;
    for (const hash of this.#context.records.hashes()) {
      const record = this.record(hash);
      if (!isDriverError(record) && record?.deleted === true) this.delete(hash);
    }
  }

  /** Takes every device away, used or not. */
  end(): void {
    this.#stopTimer?.();
    for (const active of this.#active.values()) {
      this.#context.host.removeDevice(active.name);
      active.volume.close();
    }
    this.#active.clear();
  }
}

function busyText(errno: Errno): string {
  return errno === EBUSY ? "Device is Busy" : errnoText(errno);
}

function failedMessage(what: string, failed: Errno | undefined): DriverError | undefined {
  if (failed === undefined) return undefined;
  return new DriverError(`devicemapper: Error running ${what} dm_task_run failed`, { errno: failed });
}

/** What Docker says of a size below the one of the device under it. */
export function tooSmall(base: number): DriverError {
  return new DriverError(`devmapper: Container size cannot be smaller than ${humanSize(base)}`);
}
