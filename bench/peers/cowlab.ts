/**
 * cowlab itself: a container on overlay2 on ext4 on a simulated disk. For comparison, run only when named: the same container with a
 * tmpfs under the driver, the same on aufs, and the same calls on a tmpfs alone.
 */
import type { Errno } from "../../sim/core/errno.ts";
import { GIB, TIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import type { DriverError } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { Lab } from "../../src/layers/lab.ts";
import { CannotRun, type Fill, type Peer, type Tree } from "../peer.ts";
import { cowlabBtrfs, cowlabTree, cowlabZfs } from "./cow.ts";
import { TaskTree } from "./task.ts";
import { cowlabPool } from "./thin.ts";

/** Memory for the page cache: enough for the largest workload to stay dirty, as it does on the machine that peers run on. */
const HOST_MEMORY = GIB(16);
/** Room for eight files of 64 GiB and their copies. */
const DISK_SIZE = TIB(4);
const DOCKER_ROOT = "/var/lib/docker";

/** A container on overlay2 on ext4. */
export function cowlab(): Peer {
  const container = containerOver((host) => {
    host.addDisk({ size: DISK_SIZE });
    const failed = host.mkfs("ext4", "vda");
    if (failed !== undefined) throw new CannotRun(`mkfs.ext4 fails: ${failed.code}`);
    done(host.mount({ type: "ext4", source: "vda", target: DOCKER_ROOT }));
  });
  return { ...container, pool: cowlabPool, trees: { tree: cowlabTree, btrfs: cowlabBtrfs, zfs: cowlabZfs } };
}

/** A container on overlay2 on tmpfs: no block map, no journal, no disk. */
export function cowlabOverlay2Tmpfs(): Peer {
  return containerOver((host) => {
    done(host.mount({ type: "tmpfs", source: "docker", target: DOCKER_ROOT, options: "size=0,nr_inodes=0" }));
  });
}

/** A container on aufs on tmpfs. */
export function cowlabAufsTmpfs(): Peer {
  // One branch of 127 is the container's own.
  const addBacking = (host: Host): void =>
    done(host.mount({ type: "tmpfs", source: "docker", target: DOCKER_ROOT, options: "size=0,nr_inodes=0" }));
  return { ...containerOver(addBacking, "aufs"), layersMax: 126 };
}

/** cowlab's tmpfs, without layers and disk. */
export function cowlabTmpfs(): Peer {
  return {
    layersMax: 0,
    copiesUp: false,
    share: 1,
    mount(_layers: number, fill: Fill): Tree {
      const tree = new TaskTree(createHost({ memory: HOST_MEMORY }).task);
      fill(tree, 0);
      return tree;
    },
  };
}

/** @param addBacking - mounts the filesystem that the driver keeps everything on. */
function containerOver(addBacking: (host: Host) => void, driver = "overlay2"): Peer {
  return {
    layersMax: 127,
    copiesUp: true,
    share: 1,
    mount(layers: number, fill: Fill): Tree {
      const host = createHost({ memory: HOST_MEMORY });
      new TaskTree(host.task).mkdirp(DOCKER_ROOT);
      addBacking(host);
      return mountContainer(new Lab(host, done(startDriver(host, { name: driver }))), layers, fill);
    },
  };
}

/** Layers written as a pull writes them, into the driver's own folders, and a container over them. */
function mountContainer(lab: Lab, layers: number, fill: Fill): Tree {
  let parent = "layer-0";
  done(lab.addLayer(parent));
  fill(treeOf(lab, parent), 0);
  for (let layer = 1; layer < layers; layer++) {
    const name = `layer-${layer}`;
    done(lab.addLayer(name, parent, { raw: true }));
    fill(treeOf(lab, name), layer);
    parent = name;
  }
  done(lab.addContainer("container", parent));
  return treeOf(lab, "container");
}

function treeOf(lab: Lab, name: string): Tree {
  return new TaskTree(done(lab.task(name)));
}

/** The value, or a failure as an exception. */
function done<Value>(result: Value | DriverError | { readonly errno: Errno; readonly message: string }): Value {
  if (typeof result === "object" && result !== null && "errno" in result && "message" in result) {
    throw new Error(result.message === "" ? result.errno?.code : result.message);
  }
  return result as Value;
}
