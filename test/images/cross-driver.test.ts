/**
 * The same tree gives the same chain on every driver, but for the differences that Docker's drivers have (spec/drivers.md §2.4, §2.6, Q10; spec/measured.md
 * §2, §7, §9): asserted as such.
 *
 * - The naive drivers (devicemapper, overlay, vfs, btrfs, zfs) write the same bytes.
 * - overlay2 tars its upper folder: an opaque mark and not a whiteout a name, what was copied up without a change too, whiteouts of another mode.
 * - aufs tars its branch: its marks as the files that they are.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { digestOfContent } from "../../src/archive/digest.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter } from "../../src/archive/tar-write.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import type { Layer } from "../../src/layers/layer-store.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";
import { layerOf } from "./hostile-archive.ts";
import { type Action, act, action, inTree, rows } from "./random-tree.ts";

const NATIVE = ["overlay2", "aufs"];
const NAIVE = [...DRIVERS.keys()].filter((name) => !NATIVE.includes(name));
/** From this second on the containers work, whatever time each driver took before; every change is made within it. */
const WORK_SECOND = 1000;
const DIFF_SECOND = 1005;

/** What every driver does alike: names of one inode and renamed folders depend on the union mount (spec/measured.md §6). */
const common = action.filter((one) => one.do !== "link");

function advanceTo(daemon: Daemon, second: number): void {
  const { clock } = daemon.host;
  clock.advance((second * 1e9 - clock.now) as never);
}

interface Committed {
  readonly tar: Content;
  readonly tree: readonly string[];
}

/** Acts in a container over a layer, and takes its difference. */
function commit(daemon: Daemon, parent: Layer, actions: readonly Action[]): Committed {
  const container = must(daemon.layers.createWritable("c", parent.chainId, { init: false }));
  advanceTo(daemon, WORK_SECOND);
  const tree = inTree(daemon, container.mountId, (task) => {
    for (const one of actions) {
      const of = one.do === "rename" ? task.lstat(one.path, newAttributes()) : undefined;
      if (of !== undefined && !isErrno(of) && (of.mode & S_IFMT) === S_IFDIR) continue;
      act(task, one);
    }
    return rows(task);
  });
  advanceTo(daemon, DIFF_SECOND);
  return { tar: must(daemon.layers.writableTar(container)), tree };
}

function registered(daemon: Daemon, content: Content, parent = ""): Layer {
  return must(daemon.layers.register({ content, mode: "docker" }, parent));
}

/** A base layer: what actions leave on one driver. */
function baseOf(actions: readonly Action[]): Content {
  const daemon = daemonOn("vfs");
  return commit(daemon, registered(daemon, new TarWriter().end()), actions).tar;
}

/** The entries of a tar by name; content by its digest. */
function entriesOf(content: Content): Map<string, tar.TarHeader & { readonly body: string }> {
  const read = [...readTar(content, { mode: "strict" })];
  return new Map(read.map((entry) => [entry.header.name, { ...entry.header, body: entry.content.sha256() }]));
}

function isMark(name: string): boolean {
  return /(?:^|\/)\.wh\.[^/]*$/.test(name);
}

const layers = fc.record({ base: fc.array(common, { maxLength: 16 }), changes: fc.array(common, { maxLength: 14 }) });

test("the naive drivers write the same layers, whiteouts and all, so that commits have one chain", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(layers, ({ base, changes }) => {
      const content = baseOf(base);
      const chains = NAIVE.map((name) => {
        const daemon = daemonOn(name);
        const bottom = registered(daemon, content);
        const { tar: layer } = commit(daemon, bottom, changes);
        return registered(daemon, layer, bottom.chainId).chainId;
      });
      expect(chains).toEqual(chains.map(() => chains[0]));
    }),
    { numRuns: 15 },
  );
});

test("every driver shows the same tree of the same tars, under the same chain", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(layers, ({ base, changes }) => {
      const content = baseOf(base);
      const vfs = daemonOn("vfs");
      const bottom = registered(vfs, content);
      const { tar: layer, tree } = commit(vfs, bottom, changes);
      for (const name of DRIVERS.keys()) {
        const daemon = daemonOn(name);
        const top = registered(daemon, layer, registered(daemon, content).chainId);
        expect(top.diffId).toBe(digestOfContent(layer, nodeHasher));
        expect(inTree(daemon, top.cacheId, (task) => rows(task))).toEqual(tree);
        expect(must(daemon.layers.tarStream(top)).sha256()).toBe(layer.sha256());
      }
    }),
    { numRuns: 12 },
  );
});

describe.each(NATIVE)("%s", (name) => {
  test("writes the naive drivers' entries but for marks, and what it copied up without a change", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(layers, ({ base, changes }) => {
        const content = baseOf(base);
        const bottom = entriesOf(content);
        const [naive, native] = ["vfs", name].map((driver) => {
          const daemon = daemonOn(driver);
          return commit(daemon, registered(daemon, content), changes);
        });
        if (naive === undefined || native === undefined) throw new Error("no commits");
        expect(native.tree).toEqual(naive.tree);
        const [theirs, ours] = [entriesOf(naive.tar), entriesOf(native.tar)];
        const opaque = [...ours.keys()].filter((path) => path.endsWith(".wh..wh..opq")).map((path) => path.slice(0, -12));
        for (const [path, entry] of theirs) {
          if (isMark(path)) expect(ours.has(path) || opaque.some((folder) => path.startsWith(folder)), path).toBe(true);
          else expect(ours.get(path), path).toEqual(entry);
        }
        for (const [path, entry] of ours) {
          if (theirs.has(path) || path.endsWith(".wh..wh..opq")) continue;
          // A folder that was made anew as it had been, or a file that was opened for writing or got the mode that it had.
          expect(isMark(path), path).toBe(false);
          const before = bottom.get(path);
          if (entry.typeflag === tar.DIRECTORY) expect([entry.mode, entry.uid]).toEqual([before?.mode, before?.uid]);
          else expect(entry).toEqual(before);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe("the differences by name", () => {
  const BASE = layerOf([
    { name: "d/", mode: 0o40755 },
    { name: "d/a", body: "1", mode: 0o100644 },
    { name: "d/b", body: "2", mode: 0o100644 },
    { name: "f", body: "hello", mode: 0o100644 },
  ]);

  function tarOn(name: string, actions: readonly Action[]): Map<string, tar.TarHeader> {
    const daemon = daemonOn(name);
    return entriesOf(commit(daemon, registered(daemon, BASE), actions).tar);
  }

  const anew: readonly Action[] = [
    { do: "remove", path: "/d" },
    { do: "mkdir", path: "/d" },
    { do: "write", path: "/d/c", seed: 1, size: 3 },
  ];

  test("Q10: of a folder that was made anew, one whiteout a name, or one opaque mark", () => {
    for (const name of NAIVE) expect([...tarOn(name, anew).keys()]).toEqual(["d/", "d/.wh.a", "d/.wh.b", "d/c"]);
    for (const name of NATIVE) expect([...tarOn(name, anew).keys()]).toEqual(["d/", "d/.wh..wh..opq", "d/c"]);
  });

  // The type of a naive whiteout is NUL in the tars of Docker 18.09: Go's writer spells it "0" since version 1.11.
  test("a whiteout's mode is 0, 0600, or AUFS's own 0444", () => {
    const gone: readonly Action[] = [{ do: "remove", path: "/f" }];
    const markOn = (name: string): unknown => {
      const mark = tarOn(name, gone).get(".wh.f");
      return [mark?.mode, mark?.typeflag, mark?.size];
    };
    for (const name of NAIVE) expect(markOn(name)).toEqual([0, tar.REGULAR, 0]);
    expect(markOn("overlay2")).toEqual([0o600, tar.REGULAR, 0]);
    expect(markOn("aufs")).toEqual([0o100444, tar.REGULAR, 0]);
  });

  test("a new name of a file from below is a second file to the naive differ, and a link where the upper folder is read", () => {
    const linked: readonly Action[] = [{ do: "link", path: "/f", to: "/g" }];
    for (const name of NAIVE) expect(tarOn(name, linked).get("g")?.size).toBe(5);
    for (const name of NATIVE) expect(tarOn(name, linked).get("g")).toMatchObject({ typeflag: tar.LINK, linkname: "f" });
  });

  test("the size of a layer counts the targets of symbolic links where the driver walks its folder, and only there", () => {
    const layer = layerOf([
      { name: "l", typeflag: tar.SYMLINK, linkname: "seven77" },
      { name: "f", body: "12345" },
    ]);
    for (const name of DRIVERS.keys()) expect(registered(daemonOn(name), layer).size).toBe(NATIVE.includes(name) ? 12 : 5);
  });
});
