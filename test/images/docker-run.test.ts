/**
 * The same steps as a real Docker's (test/data/images/run-<driver>): what `docker diff`, `inspect -s`, `history` and the driver's own folder
 * showed there must be what they show here.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY, S_IFDIR, S_IFIFO, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { commitContainer, importRootfs } from "../../src/images/commit.ts";
import { containerSize } from "../../src/images/containers.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import { tarFiles } from "../../src/images/files.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { readImages } from "../../src/images/read-images.ts";
import { chainOf, historyOf, imageUsage, inspectImage } from "../../src/images/views.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn, loaded } from "./daemons.ts";
import { material, openFiles, readContext } from "./material.ts";

const RUNS = ["vfs", "overlay", "overlay2", "btrfs"].filter((name) => DRIVERS.has(name));

function text(driver: string, name: string): string {
  return readFileSync(material(`run-${driver}/${name}`), "utf8");
}

function write(task: Task, path: string, content: Content, flags: number): void {
  const fd = must(task.open(path, flags, 0o644));
  must(task.write(fd, content));
  must(task.close(fd));
}

function removeAll(task: Task, path: string): void {
  const of = must(task.lstat(path));
  if ((of.mode & S_IFMT) !== S_IFDIR) return void must(task.unlink(path));
  for (const { name } of must(task.readdir(path))) removeAll(task, `${path}/${name}`);
  must(task.rmdir(path));
}

/** The program that ran in the containers, as far as these steps use it. */
function act(task: Task, [verb = "", path = "", other = ""]: readonly string[]): void {
  const fresh = O_WRONLY | O_CREAT | O_TRUNC;
  if (verb === "write") write(task, path, Content.pattern(1, Number(other)), fresh);
  else if (verb === "append") write(task, path, Content.text(other), O_WRONLY | O_APPEND);
  else if (verb === "mkdir") must(task.mkdir(path, 0o755));
  else if (verb === "ln") must(task.link(path, other));
  else if (verb === "sym") must(task.symlink(path, other));
  else if (verb === "chmod") must(task.chmod(other, Number.parseInt(path, 8)));
  else if (verb === "fifo") must(task.mknod(path, S_IFIFO | 0o644));
  else if (verb === "chown") must(task.chown(other, 1000, 1000));
  else if (verb === "rm") removeAll(task, path);
  // Docker's own tool went on after a rename that was refused.
  else if (verb === "mv") task.rename(path, other);
  else throw new Error(verb);
}

const STEPS: Readonly<Record<string, string>> = {
  "2": "write /data/big.bin 3000000 · mkdir /app · mkdir /app/lib · write /app/lib/liba.so 70000 · write /app/run 100 · ln /app/run /app/run2 · sym lib/liba.so /app/liba · chmod 04755 /app/run · fifo /app/pipe · chown 1000 /app/lib",
  "3": "rm /etc/motd · rm /usr/share/doc · append /data/big.bin x · mv /app/run /app/run.old · mkdir /usr/share/doc · write /usr/share/doc/new 10 · rm /app/lib · mkdir /app/lib · write /app/lib/libb.so 1 · chmod 0600 /etc/passwd · mv /app/lib /app/lib2 · mv /usr/share /usr/share2 · ln /etc/hosts.allow /etc/hosts.deny",
};

interface Ran {
  readonly daemon: Daemon;
  /** lab/base:1, lab/app:2, lab/app:3 */
  readonly images: readonly StoredImage[];
  readonly diffs: Readonly<Record<string, readonly string[]>>;
  readonly sizes: Readonly<Record<string, { readonly sizeRw: number; readonly sizeRootFs: number }>>;
}

function run(driver: string): Ran {
  const daemon = daemonOn(driver);
  const base = new URL("../data/base.tar.gz", import.meta.url);
  const images = [must(importRootfs(daemon, Content.literal(gunzipSync(readFileSync(base))), { message: "base" }))];
  const diffs: Record<string, string[]> = {};
  const sizes: Record<string, { sizeRw: number; sizeRootFs: number }> = {};
  for (const tag of ["2", "3"]) {
    const parent = images.at(-1);
    const container = must(daemon.layers.createWritable(`c${tag}`, parent?.top?.chainId ?? "", { init: true }));
    const task = must(daemon.host.task.chroot(must(daemon.driver.get(container.mountId))));
    task.umask = 0;
    // Where Docker bound its program into the container.
    if (isErrno(task.stat("/tool"))) must(task.mkdir("/tool", 0o755));
    daemon.host.clock.advance(2_000_000_000 as never);
    for (const step of STEPS[tag]?.split(" · ") ?? []) act(task, step.split(" "));
    task.exit();
    must(daemon.driver.put(container.mountId));
    diffs[tag] = must(daemon.layers.changes(container))
      .map(({ kind, path }) => `${kind} ${path}`)
      .sort();
    sizes[tag] = must(containerSize(daemon, container));
    images.push(must(commitContainer(daemon, container, { parent, config: {} })));
    must(daemon.layers.releaseWritable(container));
    daemon.images.check();
  }
  daemon.host.check();
  return { daemon, images, diffs, sizes };
}

interface Inspected {
  readonly SizeRw: number;
  readonly SizeRootFs: number;
}

describe.each(RUNS)("%s", (driver) => {
  test("docker diff and docker inspect -s of both containers are Docker's", () => {
    const { diffs, sizes } = run(driver);
    for (const tag of ["2", "3"]) {
      expect(diffs[tag]).toEqual(text(driver, `diff-${tag}.txt`).trimEnd().split("\n").sort());
      const [real] = JSON.parse(text(driver, `container-${tag}.json`)) as Inspected[];
      expect(sizes[tag]).toEqual({ sizeRw: real?.SizeRw, sizeRootFs: real?.SizeRootFs });
    }
  });

  test("the committed layers have the entries that Docker's have: names, types, modes, owners, sizes, links", async () => {
    const { daemon, images } = run(driver);
    const archive = await readImages(await openFiles(material(`save-${driver}.tar.gz`)), readContext());
    const built = archive.images.find((image) => image.tags.includes("lab/built:4"));
    for (const [index, layer] of chainOf(images.at(-1)?.top).entries()) {
      const rows = (tar: Content): unknown[] =>
        // Owners' names came from that machine's passwd; the base's own tar has its own.
        [...readTar(tar, { mode: "strict" })].map(({ header }) => ({ ...header, mtime: 0, uname: "", gname: "" }));
      expect(rows(must(daemon.layers.tarStream(layer)))).toEqual(rows(built?.layers[index] ?? Content.empty));
    }
  });

  test("sizes of images and layers, history and inspect are Docker's", async () => {
    const { daemon } = await loaded(material(`save-${driver}.tar.gz`), driver);
    for (const [tag, name] of [
      ["2", "lab/app:2"],
      ["4", "lab/built:4"],
    ] as const) {
      const image = daemon.images.get(name) as StoredImage;
      const [real] = JSON.parse(text(driver, `image-${tag}.json`)) as Record<string, unknown>[];
      const ours = must(inspectImage(daemon, image));
      const plain = (record: Readonly<Record<string, unknown>>): unknown => ({
        ...record,
        Parent: "",
        GraphDriver: "",
        Metadata: "",
      });
      expect(JSON.stringify(plain(ours))).toBe(JSON.stringify(plain(real ?? {})));
      const keys = (graph: unknown): unknown => {
        const { Data, Name } = graph as { Data: object | null; Name: string };
        return [Name, Data === null ? null : Object.keys(Data)];
      };
      expect(keys(ours["GraphDriver"])).toEqual(keys(real?.["GraphDriver"]));
      const lines = historyOf(daemon, image);
      const told = text(driver, `history-${tag}.ndjson`)
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, string>);
      expect(lines.map((line) => [line.created, line.createdBy, line.comment, String(line.size)])).toEqual(
        told.map((line) => [line["CreatedAt"], line["CreatedBy"], line["Comment"], line["Size"]]),
      );
    }
    expect(
      imageUsage(daemon)
        .map(({ unique }) => unique)
        .sort(),
    ).toEqual([0, 3_000_150]);
  });

  test("layerdb says what Docker's says, but for the random names", async () => {
    const { daemon } = await loaded(material(`save-${driver}.tar.gz`), driver);
    const real = await openFiles(material(`image-store-${driver}.tar.gz`));
    for (const layer of daemon.layers.layers) {
      const file = (name: string): string | undefined =>
        real.get(real.names.find((one) => one.endsWith(`layerdb/sha256/${layer.chainId.slice(7)}/${name}`)) ?? "")?.toText();
      expect(file("diff")).toBe(layer.diffId);
      expect(file("size")).toBe(String(layer.size));
      expect(file("parent")).toBe(layer.parent?.chainId);
    }
  });
});

/** Rows of the driver's folder as `driver-tree.txt` has them: type, mode, size, nlink, path, link target. */
function driverTree(daemon: Daemon): string[] {
  const { task } = daemon.host;
  const letters: Readonly<Record<number, string>> = { 4: "d", 8: "f", 10: "l", 2: "c", 1: "p", 6: "b" };
  const rows: string[] = [];
  const visit = (path: string): void => {
    const of = must(task.lstat(daemon.driver.home + path));
    const type = letters[(of.mode & S_IFMT) >> 12] ?? "?";
    const target = type === "l" ? must(task.readlink(daemon.driver.home + path)) : "";
    rows.push(`${type} ${(of.mode & 0o7777).toString(8)} ${of.size} ${of.nlink} .${path} ${target}`);
    if (type === "d") for (const { name } of must(task.readdir(daemon.driver.home + path))) visit(`${path}/${name}`);
  };
  visit("");
  return rows;
}

/** Random names replaced: layers by the place of their chain, links of l/ by where they lead. */
function anonymous(rows: readonly string[], names: ReadonlyMap<string, string>): string[] {
  const plain = rows.map((row) => row.replace(/[0-9a-f]{64}/g, (id) => names.get(id) ?? id));
  return plain.map((row) => row.replace(/\.\/l\/[A-Z0-9]{26}/, "./l/LINK")).sort();
}

// btrfs tells other sizes of folders than ext4; its trees are compared where the filesystem is.
test.each(RUNS.filter((name) => name !== "btrfs"))(
  "%s: the driver's own folder is what Docker left: every file, mode, size and link count",
  async (driver) => {
    const { daemon } = await loaded(material(`save-${driver}.tar.gz`), driver);
    // The last steps of the build ran containers over the last layer.
    const built = daemon.images.get("lab/built:4")?.top?.chainId ?? "";
    must(daemon.layers.releaseWritable(must(daemon.layers.createWritable("step", built, { init: true }))));
    const files = tarFiles(Content.literal(gunzipSync(readFileSync(material(`image-store-${driver}.tar.gz`)))), "strict");
    const real = new Map<string, string>();
    for (const name of files.names) {
      const chain = /layerdb\/sha256\/([0-9a-f]{64})\/cache-id$/.exec(name)?.[1];
      if (chain !== undefined) real.set(files.get(name)?.toText() ?? "", chain.slice(0, 8));
    }
    const ours = new Map(daemon.layers.layers.map((layer) => [layer.cacheId, layer.chainId.slice(7, 15)]));
    expect(anonymous(driverTree(daemon), ours)).toEqual(
      anonymous(text(driver, "driver-tree.txt").replace(/\n$/, "").split("\n"), real),
    );
  },
);
