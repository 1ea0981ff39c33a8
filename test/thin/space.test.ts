/**
 * Pools that have no block to spare, of data or of metadata: every allocation fails once, then the pool grows, and the same write succeeds.
 */
import { expect, test } from "vitest";
import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import type { Content } from "../../sim/core/content.ts";
import type { Errno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { type Bytes, bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import { poolStatus } from "../../sim/thin/status.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { BLOCK, disks, openPool, openVolume, sectors, table } from "./thin-lab.ts";

const STEPS = Number(process.env["COWLAB_SOAK"] ?? 0) > 0 ? 5000 : 1200;
const VOLUME_BLOCKS = 400;

/** How many blocks the devices map, each counted once. */
function usedBlocks(pool: ThinPool): number {
  return poolStatus(pool)?.usedData ?? -1;
}

/** Now and then another device, empty or a snapshot of one of the others. */
function addVolume(pool: ThinPool, volumes: ThinVolume[], random: Random, blocks: number): void {
  if (volumes.length > 0 && (volumes.length === 6 || random.below(40) > 0)) return;
  const id = volumes.length;
  const message = id === 0 ? "create_thin 0" : `create_snap ${id} ${random.below(id)}`;
  if (sendMessage(pool, message) === undefined) volumes.push(openVolume(pool, id, blocks));
}

test("every allocation of a data block fails once with ENOSPC, leaks nothing, and succeeds when the pool has grown", () => {
  const pool = openPool(disks({ data: STEPS + 2, metadata: 4096 }), {
    table: table("error_if_no_space"),
    sectors: 128,
  });
  const random = new Random(3);
  const volumes: ThinVolume[] = [];
  let blocks = 1;
  let failures = 0;
  for (let step = 0; step < STEPS; step++) {
    addVolume(pool, volumes, random, VOLUME_BLOCKS);
    const volume = random.pick(volumes);
    const place = bytes(random.below(VOLUME_BLOCKS) * BLOCK);
    const content = sectors(1 + random.below(255), random.pick([1, 128]));
    const used = usedBlocks(pool);
    const failed = volume.write(place, content);
    if (failed === undefined) continue;
    failures += 1;
    expect([failed.code, pool.mode, usedBlocks(pool), pool.lostBlocks]).toEqual(["ENOSPC", "outOfDataSpace", used, 0]);
    blocks += 1;
    pool.suspend();
    expect(pool.reload({ sectors: blocks * 128 })).toBeUndefined();
    expect(pool.resume()).toBeUndefined();
    expect([volume.write(place, content), pool.mode]).toEqual([undefined, "write"]);
    // Breaking sharing may have given back the block that it left.
    expect(usedBlocks(pool)).toBeLessThanOrEqual(blocks);
    if (failures % 25 === 0) checkPool(pool);
  }
  expect(failures).toBeGreaterThan(STEPS / 3);
  checkPool(pool);
  const { metadata } = pool;
  expect(metadata.dataBlocks - metadata.freeDataBlocks).toBe(usedBlocks(pool));
}, 600_000);

/** A disk of which a pool sees only a part. */
class Growing implements BlockDevice {
  readonly name = "meta";
  readonly sectorSize: Bytes = bytes(512);
  size: Bytes;
  readonly #disk: Disk;

  constructor(disk: Disk, blocks: number) {
    this.#disk = disk;
    this.size = bytes(blocks * 4096);
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    return this.#disk.read(offset, length);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    return this.#disk.write(offset, content);
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    return this.#disk.discard(offset, length);
  }

  flush(): Errno | undefined {
    return this.#disk.flush();
  }
}

test("each time that the metadata is used up changes are refused, nothing is lost but what was being written, and the pool goes on when it has grown", () => {
  const GROWTH = 3;
  const metadata = new Growing(new Disk({ size: 16_384 * 4096 }), 200);
  const pool = openPool({ data: new Disk({ size: (3 * STEPS + 3000) * BLOCK }), metadata });
  const random = new Random(4);
  const scattered = 200_000;
  sendMessage(pool, "create_thin 0");
  const volumes = [openVolume(pool, 0, scattered)];
  // Enough for twenty leaves, of which each write to a new snapshot copies one.
  for (let count = 0; count < 3000; count++) volumes[0]?.write(bytes(random.below(scattered) * BLOCK), sectors(1, 1));
  let full = 0;
  for (let step = 0; step < STEPS / 2; step++) {
    if (step % 15 === 0) {
      const id = volumes.length;
      expect(sendMessage(pool, `create_snap ${id} ${random.below(id)}`)).toBeUndefined();
      volumes.push(openVolume(pool, id, scattered));
    }
    const volume = volumes.at(-1) as ThinVolume;
    const place = bytes(random.below(scattered) * BLOCK);
    const mapped = volume.mapped;
    const failed = volume.write(place, sectors(1 + random.below(255), 1)) ?? volume.flush();
    const { mode } = pool;
    if (mode === "write") {
      expect(failed).toBeUndefined();
      continue;
    }
    full += 1;
    // Whether the write or the commit behind it found that out, the books are right, and nothing needs a check.
    expect([mode, pool.metadata.needsCheck, pool.metadata.freeMetadataBlocks]).toEqual(["outOfMetadataSpace", false, 0]);
    if (failed !== undefined) expect(volume.mapped).toBe(mapped);
    expect([failed?.code ?? "EIO", sendMessage(pool, "create_thin 99")?.code]).toEqual(["EIO", "ENOTSUP"]);
    if (full % 25 === 1) checkPool(pool);
    metadata.size = bytes(metadata.size + GROWTH * 4096);
    pool.suspend();
    expect(pool.resume()).toBeUndefined();
    expect([pool.mode, volume.write(place, sectors(1, 1)) ?? volume.flush()]).toEqual(["write", undefined]);
  }
  expect(full).toBeGreaterThan(STEPS / 20);
  checkPool(pool);
}, 600_000);
