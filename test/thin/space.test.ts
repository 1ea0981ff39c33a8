/**
 * A pool that has no block to spare: every allocation fails once, then the pool grows by one block and the same write succeeds.
 */
import { expect, test } from "vitest";
import { Random } from "../../sim/core/random.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import { poolStatus } from "../../sim/thin/status.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { BLOCK, disks, openPool, openVolume, sectors, table } from "./thin-lab.ts";

const STEPS = Number(process.env["COWLAB_SOAK"] ?? 0) > 0 ? 5000 : 600;
const VOLUME_BLOCKS = 400;

/** How many blocks the devices map, each counted once. */
function usedBlocks(pool: ThinPool): number {
  return poolStatus(pool)?.usedData ?? -1;
}

test("every allocation fails once with ENOSPC, leaks nothing, and succeeds when the pool has grown", () => {
  const pool = openPool(disks({ data: STEPS + 2, metadata: 4096 }), {
    table: table("error_if_no_space"),
    sectors: 128,
  });
  const random = new Random(3);
  const volumes: ThinVolume[] = [];
  let blocks = 1;
  let failures = 0;
  for (let step = 0; step < STEPS; step++) {
    if (volumes.length === 0 || (volumes.length < 6 && random.below(40) === 0)) {
      const id = volumes.length;
      const message = id === 0 ? "create_thin 0" : `create_snap ${id} ${random.below(id)}`;
      expect(sendMessage(pool, message)).toBeUndefined();
      volumes.push(openVolume(pool, id, VOLUME_BLOCKS));
    }
    const volume = random.pick(volumes);
    const place = bytes(random.below(VOLUME_BLOCKS) * BLOCK);
    const content = sectors(1 + random.below(255), random.pick([1, 128]));
    const used = usedBlocks(pool);
    const failed = volume.write(place, content);
    if (failed === undefined) continue;
    failures += 1;
    expect([failed.code, pool.mode, usedBlocks(pool)]).toEqual(["ENOSPC", "outOfDataSpace", used]);
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
