/**
 * Images as registries have them: manifests of schema 2, and what a daemon remembers of layers' names there (spec/drivers.md §10.1).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { digestOf } from "../../src/archive/digest.ts";
import { ArchiveFault } from "../../src/archive/fault.ts";
import { exportImages } from "../../src/cli/image-export.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { openStores } from "../../src/images/daemon.ts";
import { DistributionStore, pushImage, repositoryOf } from "../../src/images/distribution.ts";
import type { ImageFiles } from "../../src/images/files.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { loadImages } from "../../src/images/load.ts";
import { readImages } from "../../src/images/read-images.ts";
import { encodeSchema2 } from "../../src/images/registry-image.ts";
import { inspectImage } from "../../src/images/views.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { nodeGzip } from "../../src/node/gzip.ts";
import { must, text } from "../drivers/docker-host.ts";
import { daemonOn, loaded } from "./daemons.ts";
import { material, openFiles, readContext } from "./material.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-registry-"));
afterAll(() => rmSync(folder, { recursive: true }));

const DIGEST_A = `sha256:${"a".repeat(64)}`;
const DIGEST_B = `sha256:${"b".repeat(64)}`;

test("a manifest has Docker's fields in Docker's order, and three spaces an indent", () => {
  const raw = encodeSchema2({ digest: DIGEST_A, size: 7 }, [{ digest: DIGEST_B, size: 12 }]);
  expect(new TextDecoder().decode(raw)).toBe(`{
   "schemaVersion": 2,
   "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
   "config": {
      "mediaType": "application/vnd.docker.container.image.v1+json",
      "size": 7,
      "digest": "${DIGEST_A}"
   },
   "layers": [
      {
         "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
         "size": 12,
         "digest": "${DIGEST_B}"
      }
   ]
}`);
});

test.each([
  ["busybox", "docker.io/library/busybox"],
  ["lab/app:2", "docker.io/lab/app"],
  ["localhost/a:1", "localhost/a"],
  ["reg.test:5000/a/b:1", "reg.test:5000/a/b"],
])("the repository of %s is %s", (reference, repository) => {
  expect(repositoryOf(reference)).toBe(repository);
});

/** Files of a folder in memory. */
function filesOf(files: ReadonlyMap<string, Content>): ImageFiles {
  return { names: [...files.keys()].sort(), get: (name) => files.get(name) };
}

async function pushed(driver: string): Promise<{
  readonly daemon: Awaited<ReturnType<typeof loaded>>["daemon"];
  readonly image: StoredImage;
  readonly manifest: Uint8Array;
  readonly digest: string;
  readonly files: Map<string, Content>;
}> {
  const { daemon } = await loaded(material("save-overlay2.tar.gz"), driver);
  const image = daemon.images.get("lab/built:4") as StoredImage;
  const { manifest, digest, blobs } = must(pushImage(daemon.images, image, "lab/built:4"));
  const files = new Map([...blobs].map(([blob, content]) => [blob.slice(7), content]));
  files.set("manifest.json", Content.literal(manifest));
  return { daemon, image, manifest, digest, files };
}

describe.each([...DRIVERS.keys()])("%s", (driver) => {
  test("what is pushed can be pulled: the same image, and the names of its layers are remembered on the disk", async () => {
    const { daemon, image, manifest, digest, files } = await pushed(driver);
    const { layers } = JSON.parse(new TextDecoder().decode(manifest)) as { layers: { digest: string; size: number }[] };
    expect(layers.map((layer) => layer.size)).toEqual(layers.map((layer) => files.get(layer.digest.slice(7))?.length));
    expect(layers.map((layer) => digestOf(gunzipSync(files.get(layer.digest.slice(7))?.toBytes() ?? ""), nodeHasher))).toEqual(
      image.config.diffIds,
    );
    const root = `/var/lib/docker/image/${driver}/distribution`;
    const [first] = layers;
    const [diffId] = image.config.diffIds;
    expect(text(daemon.host, `${root}/diffid-by-digest/sha256/${first?.digest.slice(7)}`)).toBe(diffId);
    expect(text(daemon.host, `${root}/v2metadata-by-diffid/sha256/${diffId?.slice(7)}`)).toBe(
      `[{"Digest":"${first?.digest}","SourceRepository":"docker.io/lab/built","HMAC":""}]`,
    );
    expect(must(inspectImage(daemon, image))["RepoDigests"]).toEqual([`lab/built@${digest}`]);

    const other = daemonOn(driver);
    const archive = await readImages(filesOf(files), readContext());
    expect(archive.format).toBe("registry");
    const source = archive.images[0];
    if (source === undefined) throw new Error("no image");
    const named = { ...archive, images: [{ ...source, tags: ["lab/built:4"] }] };
    must(await loadImages(named, other.images, readContext()));
    expect(other.images.get("lab/built:4")?.config.id).toBe(image.config.id);
    const known = new DistributionStore(other.layers.parts);
    expect(layers.map((layer) => known.diffIdOf(layer.digest))).toEqual(image.config.diffIds);
    expect(known.namesOf(diffId ?? "")).toEqual([{ digest: first?.digest, repository: "docker.io/lab/built" }]);
    other.images.check();
  });
});

test("a new daemon over the same files knows the image by its digest; deleting the image forgets it", async () => {
  const { daemon, image, digest } = await pushed("vfs");
  const again = openStores(daemon.host, daemon.driver, { newHasher: nodeHasher, gzip: nodeGzip });
  expect(again.images.digestsOf(image.config.id)).toEqual([`lab/built@${digest}`]);
  expect(again.images.tagsOf(image.config.id)).toEqual(["lab/built:4"]);
  must(again.images.delete(image.config.id));
  expect(text(daemon.host, "/var/lib/docker/image/vfs/repositories.json")).not.toContain(digest);
});

test("a layer has 50 names at most, each once, the latest last", () => {
  const known = new DistributionStore(daemonOn("vfs").layers.parts);
  const nameOf = (number: number): { digest: string; repository: string } => ({
    digest: `sha256:${String(number).padStart(64, "0")}`,
    repository: "docker.io/a/b",
  });
  for (let number = 0; number < 60; number++) must(known.add(DIGEST_A, nameOf(number)));
  must(known.add(DIGEST_A, nameOf(20)));
  const names = known.namesOf(DIGEST_A);
  expect(names).toHaveLength(50);
  expect([names[0], names[49]]).toEqual([nameOf(10), nameOf(20)]);
  expect(names.filter(({ digest }) => digest === nameOf(20).digest)).toHaveLength(1);
});

describe("what a registry should not have is refused", () => {
  async function codeOf(change: (files: Map<string, Content>) => void): Promise<string | undefined> {
    const { files } = await pushed("vfs");
    change(files);
    try {
      await readImages(filesOf(files), readContext());
    } catch (error) {
      return error instanceof ArchiveFault ? error.code : String(error);
    }
    return undefined;
  }

  function edited(files: Map<string, Content>, from: string | RegExp, to: string): void {
    files.set("manifest.json", Content.text((files.get("manifest.json")?.toText() ?? "").replace(from, to)));
  }

  const blob = (files: Map<string, Content>): string =>
    [...files.keys()].find((name) => (files.get(name)?.length ?? 0) < 2000) ?? "";

  type Files = Map<string, Content>;
  const cases: readonly (readonly [string, (files: Files) => void, string])[] = [
    ["another schema", (files) => edited(files, '"schemaVersion": 2', '"schemaVersion": 1'), "E_FORMAT"],
    ["a layer of another length", (files) => edited(files, /"size": \d+,(?=[^}]*\}\s*\])/, '"size": 1,'), "E_DIGEST_MISMATCH"],
    [
      "a layer of other bytes",
      (files) => void files.set(blob(files), Content.zeros(files.get(blob(files))?.length ?? 0)),
      "E_DIGEST_MISMATCH",
    ],
    ["a missing layer", (files) => void files.delete(blob(files)), "E_IMAGE_MISSING"],
    ["a digest that is none", (files) => edited(files, /"digest": "sha256:/, '"digest": "sha256:../'), "E_DIGEST_FORMAT"],
    ["fewer layers", (files) => edited(files, /"layers": \[[^\]]*\]/, '"layers": []'), "E_IMAGE_LAYERS"],
    ["no configuration", (files) => edited(files, '"config"', '"other"'), "E_IMAGE_JSON"],
  ];
  test.each(cases)("%s", async (_, change, code) => {
    expect(await codeOf(change)).toBe(code);
  });
});

const skopeo = spawnSync("skopeo", ["--version"]).status === 0;

describe.skipIf(!skopeo)("skopeo (skipped where it is not installed)", () => {
  test("finds our digest in the folder we export, and copies it into a layout with the same layers", async () => {
    const out = join(folder, "exported");
    const line = await exportImages(material("save-vfs.tar.gz"), { output: out, format: "registry", image: "lab/built:4" });
    const digest = /digest: (\S+) size/.exec(line)?.[1];
    expect(execFileSync("skopeo", ["manifest-digest", join(out, "manifest.json")], { encoding: "utf8" }).trim()).toBe(digest);
    const shown = JSON.parse(execFileSync("skopeo", ["inspect", `dir:${out}`], { encoding: "utf8" })) as { Digest: string };
    expect(shown.Digest).toBe(digest);
    const layout = join(folder, "layout");
    execFileSync("skopeo", ["copy", "--quiet", `dir:${out}`, `oci:${layout}:4`]);
    const ours = await readImages(await openFiles(out), readContext());
    const theirs = await readImages(await openFiles(layout), readContext());
    expect(theirs.images[0]?.config.diffIds).toEqual(ours.images[0]?.config.diffIds);
    // skopeo writes the folder of a layout as we write ours.
    const back = join(folder, "back");
    execFileSync("skopeo", ["copy", "--quiet", `oci:${layout}:4`, `dir:${back}`, "--format", "v2s2"]);
    expect((await readImages(await openFiles(back), readContext())).format).toBe("registry");
    expect(readFileSync(join(back, "version"), "utf8")).toBe(readFileSync(join(out, "version"), "utf8"));
  });
});

test("an archive may replace the very file that it is read from", async () => {
  const path = join(folder, "same.tar");
  writeFileSync(path, gunzipSync(readFileSync(material("save-vfs.tar.gz"))));
  const idsOf = async (): Promise<string[]> =>
    (await readImages(await openFiles(path), readContext())).images.map(({ config }) => config.id);
  const before = await idsOf();
  await exportImages(path, { output: path });
  expect(await idsOf()).toEqual(before);
});
