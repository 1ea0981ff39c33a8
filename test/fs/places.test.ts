/** Where Linux 6.18 puts the blocks of files on fresh disks (test/data/ext4-places.json, xfs-places.json, which test/kernel/places.py records). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ourMaps, type PlaceCase } from "./places.ts";

describe.each(["ext4", "xfs"] as const)("%s", (filesystem) => {
  const recorded = JSON.parse(readFileSync(new URL(`../data/${filesystem}-places.json`, import.meta.url), "utf8")) as PlaceCase[];
  const cases = recorded.map((one, index) => [index, one.size, one] as const);

  test.each(cases)("script %i, on a disk of %i MiB: each block of each file lies where Linux puts it", (_index, _size, one) => {
    expect(ourMaps(filesystem, one)).toEqual(one.maps);
  });
});
