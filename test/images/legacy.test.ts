/**
 * Images from before Docker 1.10, and what the migration makes of them.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { digestOfContent } from "../../src/archive/digest.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { openStores } from "../../src/images/daemon.ts";
import { DistributionStore } from "../../src/images/distribution.ts";
import { chainIds, EMPTY_DIFF_ID } from "../../src/images/ids.ts";
import { addLegacyImage, migrateImages, writeLegacyTags } from "../../src/images/legacy.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { dockerHost, driverOn, must } from "../drivers/docker-host.ts";
import { layerOf } from "./hostile-archive.ts";

const BASE = layerOf([
  { name: "etc/", mode: 0o40755 },
  { name: "etc/motd", body: "hello", mode: 0o100644, mtime: { seconds: 5, nanoseconds: 0 } },
]);

describe.each([...DRIVERS.keys()])("%s", (name) => {
  const host = dockerHost(DRIVERS.get(name)?.backings?.[0] ?? "ext4");
  const driver = driverOn(host, { name });
  const checksum = `sha256:${"c".repeat(64)}`;
  const add = (parent: string, tar: Content, command: readonly string[]): string =>
    must(addLegacyImage(host, driver, { parent, tar, command, created: "2015-11-01T10:00:00.5Z", checksum }));
  const base = add("", BASE, ["/bin/sh", "-c", "#(nop) ADD file"]);
  const config = add(base, layerOf([]), ["/bin/sh", "-c", "#(nop) ENV A=1"]);
  const top = add(
    config,
    layerOf([
      { name: "etc/", mode: 0o40755 },
      { name: "etc/more", body: "x", mode: 0o100600 },
    ]),
    ["run", "it"],
  );
  must(writeLegacyTags(host, driver, { "lab/app": { old: top, base } }));
  const daemon = openStores(host, driver, { newHasher: nodeHasher });
  const migration = must(migrateImages(daemon));

  test("every image gets an ID of what it holds, parents first, and the tags follow", () => {
    expect(migration.failed).toEqual([]);
    expect(migration.images.map(({ old }) => old).sort()).toEqual([base, config, top].sort());
    const ids = new Map(migration.images.map(({ old, id }) => [old, id]));
    for (const { id } of migration.images) expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(daemon.images.get("lab/app:old")?.config.id).toBe(ids.get(top));
    expect(daemon.images.get("lab/app:base")?.config.id).toBe(ids.get(base));
    expect(daemon.images.parentOf(ids.get(top) ?? "")).toBe(ids.get(config));
    daemon.images.check();
  });

  test("the driver keeps its layers under the old names; an empty step keeps a layer of its own", () => {
    const image = daemon.images.get("lab/app:old");
    const { diffIds = [], history = [] } = image?.config ?? {};
    expect(diffIds.length).toBe(3);
    expect(diffIds[1]).toBe(EMPTY_DIFF_ID);
    expect(history.map(({ emptyLayer }) => emptyLayer)).toEqual([false, false, false]);
    expect(history.map(({ createdBy }) => createdBy)).toEqual([
      "/bin/sh -c #(nop) ADD file",
      "/bin/sh -c #(nop) ENV A=1",
      "run it",
    ]);
    expect(image?.top?.cacheId).toBe(top);
    expect(image?.top?.chainId).toBe(chainIds(diffIds, nodeHasher).at(-1));
    expect(image?.top?.parent?.parent?.cacheId).toBe(base);
    const record = image?.config.record ?? {};
    for (const gone of ["id", "parent", "Size"]) expect(record).not.toHaveProperty(gone);
    expect(Object.keys(record)).toEqual([...Object.keys(record)].sort());
  });

  test("what a registry called a layer is remembered under its diffID", () => {
    const diffId = daemon.images.get("lab/app:base")?.config.diffIds[0] ?? "";
    expect(new DistributionStore(daemon.layers.parts).namesOf(diffId)).toEqual([{ digest: checksum, repository: "" }]);
  });

  test("migrating again changes nothing: the same bytes have the same IDs", () => {
    expect(must(migrateImages(daemon)).images).toEqual(migration.images);
  });

  test("a layer's tar can be put together again after the migration", () => {
    const layer = daemon.images.get("lab/app:base")?.top;
    const tar = layer === undefined ? Content.empty : must(daemon.layers.tarStream(layer));
    expect(digestOfContent(tar, nodeHasher)).toBe(layer?.diffId);
  });
});
