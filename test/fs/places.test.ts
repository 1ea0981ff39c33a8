/** Where Linux 6.18 puts the blocks of files on fresh disks (test/data/ext4-places.json, ext4-flat-places.json, xfs-places.json, which test/kernel/places.py records). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ourMaps, PLACES, type PlaceCase } from "./places.ts";

describe.each(PLACES)("%s", (filesystem) => {
  const recorded = JSON.parse(readFileSync(new URL(`../data/${filesystem}-places.json`, import.meta.url), "utf8")) as PlaceCase[];
  const cases = recorded.map((one, index) => [index, one.size, one] as const);

  test.each(cases)("script %i, on a disk of %i MiB: each block of each file lies where Linux puts it", (_index, _size, one) => {
    expect(ourMaps(filesystem, one)).toEqual(one.maps);
  });
});
