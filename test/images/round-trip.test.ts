/**
 * apply(diff(a, b), a) = b for random trees on every driver: what a container changed, committed and unpacked again, is the same tree.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TarWriter } from "../../src/archive/tar-write.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import type { Layer } from "../../src/layers/layer-store.ts";
import { must } from "../drivers/docker-host.ts";
import { PROPERTY_MILLISECONDS, runs } from "../runs.ts";
import { daemonOn } from "./daemons.ts";
import { type Action, act, action, inTree, rows } from "./random-tree.ts";

/** Changes a container over `parent`, commits it, and holds the new layer's tree to the container's. */
function commitAndCompare(daemon: Daemon, parent: Layer, actions: readonly Action[]): Layer {
  daemon.host.clock.advance(3_000_000_000 as never);
  const container = must(daemon.layers.createWritable("c", parent.chainId, { init: false }));
  const wanted = inTree(daemon, container.mountId, (task) => {
    for (const one of actions) act(task, one);
    return rows(task);
  });
  const tar = must(daemon.layers.writableTar(container));
  const layer = must(daemon.layers.register({ content: tar, mode: "docker" }, parent.chainId));
  expect(inTree(daemon, layer.cacheId, (task) => rows(task))).toEqual(wanted);
  // The tar that is kept is the tar that came.
  expect(must(daemon.layers.tarStream(layer)).sha256()).toBe(tar.sha256());
  must(daemon.layers.releaseWritable(container));
  daemon.layers.check();
  return layer;
}

describe.each([...DRIVERS.keys()])("%s", (driver) => {
  test("a container's tree survives commit and unpacking, over three layers", { timeout: PROPERTY_MILLISECONDS }, () => {
    fc.assert(
      fc.property(fc.array(fc.array(action, { maxLength: 14 }), { minLength: 2, maxLength: 3 }), (layers) => {
        const daemon = daemonOn(driver);
        let top = must(daemon.layers.register({ content: new TarWriter().end(), mode: "strict" }, ""));
        for (const actions of layers) top = commitAndCompare(daemon, top, actions);
        daemon.host.check();
      }),
      runs(12),
    );
  });
});
