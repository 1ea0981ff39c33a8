/**
 * The layer store, after Docker's own tests (spec/drivers.md §12.4), on every driver.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { checksumOf, FIELDS, LINK } from "../../src/archive/tar-header.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import { EMPTY_DIFF_ID } from "../../src/images/ids.ts";
import { chainSize, type Layer, LayerStore } from "../../src/layers/layer-store.ts";
import { must, said } from "../drivers/docker-host.ts";
import { daemonOn } from "../images/daemons.ts";
import { layerOf } from "../images/hostile-archive.ts";

function register(daemon: Daemon, parent: Layer | undefined, files: Readonly<Record<string, string>>): Layer {
  const entries = Object.entries(files).map(([name, body]) => ({ name, body }));
  return must(daemon.layers.register({ content: layerOf(entries), mode: "strict" }, parent?.chainId ?? ""));
}

function write(task: Task, path: string, text: string): void {
  const fd = must(task.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644));
  must(task.write(fd, Content.text(text)));
  must(task.close(fd));
}

describe.each([...DRIVERS.keys()])("%s", (driver) => {
  test("layers go when their last child goes, the topmost first", () => {
    const daemon = daemonOn(driver);
    const base = register(daemon, undefined, { "1": "one" });
    const middle = register(daemon, base, { "2": "two" });
    const leafA = register(daemon, middle, { "3a": "a" });
    const leafB = register(daemon, middle, { "3b": "b" });
    expect(must(daemon.layers.release(base))).toEqual([]);
    expect(must(daemon.layers.release(middle))).toEqual([]);
    expect(must(daemon.layers.release(leafB))).toEqual([leafB]);
    daemon.layers.check();
    expect(must(daemon.layers.release(leafA))).toEqual([leafA, middle, base]);
    expect(daemon.layers.layers).toEqual([]);
    expect(daemon.layers.release(leafA)).toMatchObject({ message: "layer not retained" });
  });

  test("the same tar over the same layer is one layer; over another it is another, of the same diffID", () => {
    const daemon = daemonOn(driver);
    const base = register(daemon, undefined, { base: "x" });
    const other = register(daemon, undefined, { other: "y" });
    const one = register(daemon, base, { same: "z" });
    expect(register(daemon, base, { same: "z" })).toBe(one);
    const two = register(daemon, other, { same: "z" });
    expect(two.diffId).toBe(one.diffId);
    expect(two.chainId).not.toBe(one.chainId);
    expect(two.cacheId).not.toBe(one.cacheId);
    daemon.layers.check();
  });

  test("sizes are those of the files, and a chain's their sum", () => {
    const daemon = daemonOn(driver);
    const base = register(daemon, undefined, { file: "thirteen byte" });
    const top = register(daemon, base, { more: "fourteen bytes" });
    expect([base.size, top.size, chainSize(top)]).toEqual([13, 14, 27]);
  });

  test("the empty layer has the digest of the empty tar, and no size", () => {
    const daemon = daemonOn(driver);
    const layer = register(daemon, undefined, {});
    expect([layer.chainId, layer.diffId, layer.size, layer.parent]).toEqual([EMPTY_DIFF_ID, EMPTY_DIFF_ID, 0, undefined]);
  });

  test("a file smuggled into the driver's folder does not get into the tar; a changed one is told with Docker's words", () => {
    const daemon = daemonOn(driver);
    const layer = register(daemon, undefined, { etc: "content" });
    const tar = must(daemon.layers.tarStream(layer));
    const { task } = daemon.host;
    const root = must(daemon.driver.get(layer.cacheId));
    write(task, `${root}/smuggled`, "x");
    expect(must(daemon.layers.tarStream(layer)).sha256()).toBe(tar.sha256());
    write(task, `${root}/etc`, "CONTENT");
    expect(daemon.layers.tarStream(layer)).toMatchObject({ message: 'file integrity checksum failed for "etc"' });
    must(daemon.driver.put(layer.cacheId));
  });

  test("swapped tar-split files give bytes of another digest, which is not let pass", () => {
    const daemon = daemonOn(driver);
    const { task } = daemon.host;
    const one = must(daemon.layers.register({ content: layerOf([{ name: "f", body: "x", mode: 0o644 }]), mode: "strict" }, ""));
    const two = must(daemon.layers.register({ content: layerOf([{ name: "f", body: "x", mode: 0o600 }]), mode: "strict" }, ""));
    const [first, second] = [one, two].map((layer) => `${daemon.layers.db.chainFolder(layer.chainId)}/tar-split.json.gz`);
    must(task.rename(first ?? "", `${first}.away`));
    must(task.rename(second ?? "", first ?? ""));
    must(task.rename(`${first}.away`, second ?? ""));
    const wrong = daemon.layers.tarStream(one);
    expect(isDriverError(wrong) ? wrong.message : "").toContain(`could not verify layer data for: ${one.diffId}`);
  });

  test("more than 125 layers are refused, and nothing of the last stays", () => {
    const daemon = daemonOn(driver);
    let top: Layer | undefined;
    for (let depth = 1; depth <= 125; depth++) top = register(daemon, top, {});
    const refused = daemon.layers.register({ content: layerOf([]), mode: "strict" }, top?.chainId ?? "");
    expect(refused).toMatchObject({ message: "max depth exceeded" });
    daemon.layers.check();
  });

  test("Docker's own files show in a container and not in its size or changes", () => {
    const daemon = daemonOn(driver);
    const base = register(daemon, undefined, { "etc/": "", "etc/hosts": "of the image" });
    const container = must(daemon.layers.createWritable("c", base.chainId, { init: true }));
    const root = must(daemon.driver.get(container.mountId));
    const { task } = daemon.host;
    expect(must(task.lstat(`${root}/etc/hosts`)).size).toBe(0);
    expect(must(task.readlink(`${root}/etc/mtab`))).toBe("/proc/mounts");
    write(task, `${root}/own`, "1234567");
    must(daemon.driver.put(container.mountId));
    expect(must(daemon.layers.writableSize(container))).toBe(7);
    expect(must(daemon.layers.changes(container))).toEqual([{ kind: "A", path: "/own" }]);
    expect(daemon.layers.createWritable("c", base.chainId, { init: true })).toMatchObject({
      message: "mount already exists with name",
    });
    must(daemon.layers.release(base));
    expect(must(daemon.layers.releaseWritable(container))).toEqual([base]);
  });

  test("a store over the same files takes up layers and mounts, and finishes a removal that was cut short", () => {
    const daemon = daemonOn(driver);
    const base = register(daemon, undefined, { file: "x" });
    const gone = register(daemon, undefined, { gone: "y" });
    const container = must(daemon.layers.createWritable("c", base.chainId, { init: true }));
    must(daemon.layers.db.beginRemoval(gone.chainId, "0".repeat(64)));
    const again = new LayerStore(daemon.layers.parts);
    expect(again.layers.map(({ chainId }) => chainId)).toEqual([base.chainId]);
    expect(again.mounts).toMatchObject([{ name: "c", mountId: container.mountId, initId: container.initId }]);
    expect(daemon.driver.exists(gone.cacheId)).toBe(true);
    must(again.cleanup());
    expect(daemon.driver.exists(gone.cacheId)).toBe(false);
    again.check();
  });
});

/** As Docker 20.10.24 answered docker save, after a docker load that it took. */
describe("a layer that Docker takes in and cannot give out", () => {
  const saved = (raw: Uint8Array): string => {
    const daemon = daemonOn("vfs");
    const layer = must(daemon.layers.register({ content: Content.literal(raw), mode: "docker" }, ""));
    return said(daemon.layers.tarStream(layer)).replace(layer.cacheId, "ID");
  };

  test("has a name that leads out: it was unpacked at the root, and is looked for outside", () => {
    expect(saved(layerOf([{ name: "../evil", body: "x" }]).toBytes())).toBe(
      "open /var/lib/docker/vfs/dir/evil: no such file or directory",
    );
  });

  test("has a hard link with a size: what it leads to is no content of its own", () => {
    const link = { name: "b", typeflag: LINK, linkname: "a" };
    const raw = layerOf([{ name: "a", body: "hello" }, link]).toBytes();
    const header = raw.subarray(1024, 1536);
    header.set(new TextEncoder().encode("00000000005"), FIELDS.size.at);
    header.set(new TextEncoder().encode(checksumOf(header).unsigned.toString(8).padStart(6, "0")), FIELDS.checksum.at);
    expect(saved(raw)).toBe('file integrity checksum failed for "b"');
  });
});
