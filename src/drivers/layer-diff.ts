/**
 * Diff and ApplyDiff: a layer's difference out of a driver and into it (moby daemon/graphdriver/fsdiff.go, NaiveDiffDriver).
 *
 * Interface: `diffOf` and `applyDiffTo` work with every driver: with its own way where it has one, else with Docker's way for all.
 */
import type { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import type { Host } from "../../sim/host.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { exportChanges, exportTree } from "../archive/export.ts";
import { type LayerDiff, type LayerForm, unpackLayer } from "../archive/unpack.ts";
import { DriverError, type GraphDriver, isDriverError, pathError } from "./driver.ts";
import { treeChanges } from "./naive-diff.ts";

type Trees = Pick<GraphDriver, "get" | "put">;

/** The tar of a layer's difference to its parent; of a whole tree where the parent is "". */
export function diffOf(host: Host, driver: GraphDriver, ids: { id: string; parent: string }): Content | DriverError {
  return driver.diff === undefined ? naiveDiff(host, driver, ids) : driver.diff(ids.id, ids.parent);
}

/** Puts a difference into a new layer. @returns its size. @throws ArchiveFault for a layer that is refused: the driver's layer is left half filled */
export function applyDiffTo(
  host: Host,
  driver: GraphDriver,
  layer: { readonly id: string; readonly parent: string; readonly diff: LayerDiff },
): number | DriverError {
  if (driver.applyDiff === undefined) return naiveApplyDiff(host, driver, layer);
  return driver.applyDiff(layer.id, layer.parent, layer.diff);
}

/** NaiveDiffDriver.Diff: compares the trees, and tars what differs. */
export function naiveDiff(host: Host, driver: Trees, ids: { id: string; parent: string }): Content | DriverError {
  const { task, clock } = host;
  const start = clock.realTime().seconds;
  const after = driver.get(ids.id);
  if (isDriverError(after)) return after;
  if (ids.parent === "") {
    const whole = exportTree(task, after, "plain");
    driver.put(ids.id);
    return whole;
  }
  const before = driver.get(ids.parent);
  const changes = isDriverError(before) ? before : treeChanges(task, before, after);
  const tar = isDriverError(changes) ? changes : exportChanges(task, after, changes, clock.realTime());
  if (!isDriverError(before)) driver.put(ids.parent);
  driver.put(ids.id);
  // Times in a tar have whole seconds: without the wait, a change within this second could not be told from what was there.
  if (clock.realTime().seconds === start) clock.advance(nanoseconds(1_000_000_000 - clock.realTime().nanoseconds));
  return tar;
}

/** NaiveDiffDriver.ApplyDiff: unpacks over the layer's tree. */
export function naiveApplyDiff(host: Host, driver: Trees, layer: { id: string; diff: LayerDiff }): number | DriverError {
  const path = driver.get(layer.id);
  if (isDriverError(path)) return path;
  try {
    return unpackInto(host, path, layer.diff, "merge");
  } finally {
    driver.put(layer.id);
  }
}

/** Unpacks a difference into a folder of the host, from which nothing leads out. @returns the sum of the sizes in the headers */
export function unpackInto(host: Host, folder: string, diff: LayerDiff, form: LayerForm): number | DriverError {
  const task = host.task.chroot(folder);
  if (isErrno(task)) return pathError("chroot", folder, task);
  try {
    return withTemporary(task, diff, form);
  } finally {
    task.exit();
  }
}

/** Folders that Docker makes at the top of what it unpacks into; the digits behind their names are anybody's guess. */
const PIVOT = "/.pivot_root123456789";
const EXTRACT = "/temp-docker-extract123456789";

/**
 * Unpacks beside the folders that are there meanwhile (moby v20.10.27 pkg/chrootarchive): one for pivot_root(2), which goes at once, and, where a layer is put
 * on a whole tree, one for temporary files, which goes at the end. They take the inodes that come first.
 */
function withTemporary(task: Task, diff: LayerDiff, form: LayerForm): number | DriverError {
  const pivoted = task.mkdir(PIVOT, 0o700) ?? task.rmdir(PIVOT);
  if (pivoted !== undefined) return pathError("Error setting up pivot dir: mkdir", PIVOT, pivoted);
  const extracts = form === "merge";
  const made = extracts ? task.mkdir(EXTRACT, 0o700) : undefined;
  if (made !== undefined) return pathError("mkdir", EXTRACT, made);
  const size = unpackLayer(task, diff, form);
  if (extracts) task.rmdir(EXTRACT);
  return typeof size === "number" ? size : new DriverError(size.message, { errno: size.errno });
}
