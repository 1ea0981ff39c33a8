/**
 * Metadata blocks in memory: packed and unpacked, and out of memory and back, they are the same bytes; the way that a lookup took leads
 * where the trees lead.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../sim/core/random.ts";
import { bytes } from "../../sim/core/units.ts";
import { clearTail, emptyNode, insertAt } from "../../sim/thin/btree-node.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { setMapping } from "../../sim/thin/mapping.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { pack, unpack } from "../../sim/thin/packed-block.ts";
import { runs } from "../runs.ts";
import { BLOCK, disks, image, openPool, openVolume, sectors } from "./thin-lab.ts";

const KEY_MAX = 2 ** 40;
const BLOCK_MAX = 2 ** 40 - 1;

/** A leaf of runs: [gap before, first data block, time, length]. */
function leafOf(list: readonly (readonly [number, number, number, number])[]): Uint32Array {
  const words = new Uint32Array(1024);
  const value = new Uint32Array(2);
  emptyNode(words, 8);
  let key = 0;
  let index = 0;
  for (const [gap, block, time, length] of list) {
    key += gap;
    for (let offset = 0; offset < length && index < 252; offset++) {
      setMapping(value, block + offset, time);
      insertAt(words, index++, key++, value);
    }
  }
  return words;
}

describe("a block that is packed", () => {
  test("has the same words when it is a node, few bytes where its entries are runs, and nothing behind the last entry", () => {
    const run = fc.tuple(
      fc.nat(KEY_MAX / 512),
      fc.nat(BLOCK_MAX - 252),
      fc.nat(2 ** 24 - 1),
      fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 252 })),
    );
    fc.assert(
      fc.property(fc.array(run, { maxLength: 252 }), (list) => {
        const words = leafOf(list);
        clearTail(words);
        const packed = pack(words, true);
        if (packed === undefined || !("runs" in packed)) throw new Error("not packed to runs");
        expect(packed.runs.length).toBeLessThanOrEqual(list.length * 24);
        expect(unpack(packed)).toEqual(words);
      }),
      runs(100),
    );
  });

  test("has the same words whatever it is, or is not packed", () => {
    const word = fc.oneof(fc.constant(0), fc.constant(0xaaaaaaaa), fc.nat());
    const stretch = fc.tuple(fc.integer({ min: 1, max: 400 }), word);
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 300 }), fc.boolean(), (list, isNode) => {
        const words = new Uint32Array(1024);
        let at = 4;
        for (const [length, value] of list) {
          words.fill(value, at, at + length);
          at += length;
        }
        const packed = pack(words, isNode);
        if (packed !== undefined) expect(unpack(packed)).toEqual(words);
      }),
      runs(100),
    );
  });
});

test("a pool that keeps two metadata blocks in memory writes the same image as one that keeps all", () => {
  const images = [2, 1e6].map((metadataCache) => {
    const random = new Random(5);
    const devices = disks({ data: 4000, metadata: 2048 });
    const pool = openPool(devices, { metadataCache });
    sendMessage(pool, "create_thin 0");
    for (let round = 1; round < 6; round++) {
      const volume = openVolume(pool, random.below(round), 5000);
      for (let count = 0; count < 400; count++) {
        const at = bytes(random.below(5000) * BLOCK);
        if (random.below(8) === 0)
          expect(volume.discard(at, bytes(2 * BLOCK > volume.size - at ? BLOCK : 2 * BLOCK))).toBeUndefined();
        else expect(volume.write(at, sectors(1 + random.below(255), 8))).toBeUndefined();
      }
      volume.close();
      expect(sendMessage(pool, `create_snap ${round} ${random.below(round)}`)).toBeUndefined();
    }
    checkPool(pool);
    pool.close();
    return image(devices.metadata);
  });
  expect(Buffer.compare(images[0] as Uint8Array, images[1] as Uint8Array)).toBe(0);
});
