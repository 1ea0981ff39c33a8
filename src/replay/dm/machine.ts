/**
 * The devices of a recording, made again: a data disk full of stale bytes, a metadata disk, the pool, its volumes by id.
 */
import { CountingDevice } from "../../../sim/block/counting.ts";
import { Disk } from "../../../sim/block/disk.ts";
import { Clock } from "../../../sim/core/clock.ts";
import { Content } from "../../../sim/core/content.ts";
import { snapshot } from "../../../sim/core/counters.ts";
import { bytes, seconds } from "../../../sim/core/units.ts";
import { METADATA_BLOCK_SIZE } from "../../../sim/thin/metadata-block.ts";
import { ThinPool } from "../../../sim/thin/pool.ts";
import { type PoolTable, parsePoolTable, SECTOR, TargetError } from "../../../sim/thin/pool-options.ts";
import { ThinVolume } from "../../../sim/thin/volume.ts";
import { StepError } from "../../calls/step.ts";
import type { DmHeader } from "./recording.ts";

/** Seconds that the recorder let writes wait for space. */
const NO_SPACE_TIMEOUT = 4;

/** Sectors read, written and discarded. */
export interface DmIo {
  readonly r: number;
  readonly w: number;
  readonly d: number;
}

/** Bytes of one value. */
export function filled(byte: number, length: number): Content {
  return Content.repeat(Uint8Array.of(byte), length);
}

/** A pool table as the header asks for it. */
function tableOf(header: DmHeader): PoolTable | TargetError {
  const words = ["meta", "data", header.blockSectors, header.lowWater, header.features.length, ...header.features];
  return parsePoolTable(words.map(String));
}

export class DmMachine {
  readonly clock: Clock = new Clock();
  readonly data: CountingDevice;
  readonly metadata: CountingDevice;
  readonly pool: ThinPool;
  readonly volumes: Map<number, ThinVolume> = new Map();
  readonly header: DmHeader;

  private constructor(header: DmHeader, table: PoolTable, dataBlocksMax: number) {
    this.header = header;
    const disk = new Disk({ name: "data", size: dataBlocksMax * header.blockSectors * SECTOR });
    // What a resize adds was not filled by the recorder.
    disk.write(bytes(0), filled(header.staleFill, header.dataBlocks * header.blockSectors * SECTOR));
    this.data = new CountingDevice(disk);
    this.metadata = new CountingDevice(new Disk({ name: "meta", size: header.metadataBlocks * METADATA_BLOCK_SIZE }));
    const pool = ThinPool.open({
      name: "vpool",
      metadata: this.metadata,
      data: this.data,
      table,
      sectors: header.dataBlocks * header.blockSectors,
      clock: this.clock,
      noSpaceTimeout: NO_SPACE_TIMEOUT,
    });
    if (pool instanceof TargetError) throw new StepError(`${header.name}: ${pool.errno.code} (${pool.reason})`);
    this.pool = pool;
  }

  /** @param dataBlocksMax - the most data blocks that the recording comes to. @returns why the pool cannot be made. */
  static make(header: DmHeader, dataBlocksMax: number): DmMachine | TargetError {
    const table = tableOf(header);
    return table instanceof TargetError ? table : new DmMachine(header, table, dataBlocksMax);
  }

  volume(id: number): ThinVolume {
    const volume = this.volumes.get(id);
    if (volume === undefined) throw new StepError(`device ${id} is not active`);
    return volume;
  }

  activate(id: number, origin?: Disk): TargetError | undefined {
    const size = this.header.deviceSectors * SECTOR;
    const volume = ThinVolume.open(this.pool, { name: `thin${id}`, id, size, ...(origin === undefined ? {} : { origin }) });
    if (volume instanceof TargetError) return volume;
    this.volumes.set(id, volume);
    return undefined;
  }

  deactivate(id: number): void {
    this.volumes.get(id)?.close();
    this.volumes.delete(id);
  }

  /** Grows the pool's table, as the recorder did: suspend, reload, resume. */
  resize(dataBlocks: number): TargetError | undefined {
    this.pool.suspend();
    const refused = this.pool.reload({ sectors: dataBlocks * this.header.blockSectors });
    if (refused !== undefined) return refused;
    const failed = this.pool.resume();
    return failed === undefined ? undefined : new TargetError(failed, "");
  }

  /** Lets seconds pass without anything happening. */
  pass(count: number): void {
    this.clock.spend(seconds(count));
  }

  /** What `work` reads, writes and discards on both devices. */
  counting(work: () => void): { readonly data: DmIo; readonly meta: DmIo } {
    const before = [snapshot(this.data.counters), snapshot(this.metadata.counters)] as const;
    work();
    const since = (device: CountingDevice, then: CountingDevice["counters"]): DmIo => ({
      r: (device.counters.readBytes - then.readBytes) / SECTOR,
      w: (device.counters.writtenBytes - then.writtenBytes) / SECTOR,
      d: (device.counters.discardedBytes - then.discardedBytes) / SECTOR,
    });
    return { data: since(this.data, before[0]), meta: since(this.metadata, before[1]) };
  }
}
