/** Where Linux 6.18 puts the blocks of files on fresh disks of ext4 (test/data/ext4-places.json, which test/kernel/ext4-places.py records). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ourMaps, type PlaceCase } from "./ext4-places.ts";

const RECORDED = JSON.parse(readFileSync(new URL("../data/ext4-places.json", import.meta.url), "utf8")) as PlaceCase[];
const CASES = RECORDED.map((one, index) => [index, one.size, one] as const);

test.each(CASES)("script %i, on a disk of %i MiB: each block of each file lies where Linux puts it", (_index, _size, one) => {
  expect(ourMaps(one)).toEqual(one.maps);
});
