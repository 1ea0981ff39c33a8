/**
 * What overlay and overlay2 find out by trials before they start, and overlay2 before it trusts the upper folder (moby
 * daemon/graphdriver/overlayutils, overlay2/check.go).
 */
import { EXDEV, isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import { DriverError, errnoText, isDriverError, NOT_SUPPORTED, pathError } from "./driver.ts";
import { exists, isFilledDirectory, makeDirectories, makeDirectory, parentPath, removeAll, writeFile } from "./files.ts";

/** ioutil.TempDir: a new folder whose name begins with `prefix`. */
function temporaryFolder(host: Host, home: string, prefix: string): string | DriverError {
  for (;;) {
    const path = `${home}/${prefix}${host.random.uint32()}`;
    const made = host.task.mkdir(path, 0o700);
    if (made === undefined) return path;
    if (made.code !== "EEXIST") return pathError("mkdir", path, made);
  }
}

/** Runs a trial in a folder of its own, which is removed afterwards. */
function inFolder(
  host: Host,
  place: { home: string; prefix: string },
  trial: (folder: string) => DriverError | undefined,
): DriverError | undefined {
  const folder = temporaryFolder(host, place.home, place.prefix);
  if (isDriverError(folder)) return folder;
  const result = trial(folder);
  removeAll(host.task, folder);
  return result;
}

function mountFailure(host: Host, folder: string, data: string): DriverError | undefined {
  const failed = host.mount({ type: "overlay", source: "overlay", target: `${folder}/merged`, options: data });
  if (failed === undefined) return undefined;
  return new DriverError(`failed to mount overlay: ${errnoText(failed.errno)}`, { errno: failed.errno });
}

/** Mounts a union of lower folders of these names, the top one first, in `home`'s filesystem. @returns why that fails. */
function supportsOverlay(host: Host, home: string, lowers: readonly string[]): DriverError | undefined {
  return inFolder(host, { home, prefix: "check-overlayfs-support" }, (folder) => {
    for (const name of [...lowers, "upper", "work", "merged"]) {
      const failed = makeDirectory(host.task, `${folder}/${name}`, 0o755);
      if (failed !== undefined) return failed;
    }
    const lowerdir = lowers.map((name) => `${folder}/${name}`).join(":");
    const data = `lowerdir=${lowerdir},upperdir=${folder}/upper,workdir=${folder}/work`;
    const failed = mountFailure(host, folder, data);
    if (failed === undefined) host.unmount(`${folder}/merged`);
    return failed;
  });
}

function xattrIs(host: Host, path: string, name: string, text: string): boolean {
  const value = host.task.lgetxattr(path, name);
  return !isErrno(value) && new TextDecoder().decode(value) === text;
}

/** Touches an opaque folder and renames a lower one in a mounted trial. @returns why the upper folder tells no true difference. */
function tryUnion(host: Host, folder: string): DriverError | undefined {
  const failed = writeFile(host.task, `${folder}/merged/d/f`, { text: "", mode: 0o644 });
  if (failed !== undefined) return new DriverError(`failed to write to merged directory: ${failed.message}`);
  if (xattrIs(host, `${folder}/l3/d`, "trusted.overlay.opaque", "y")) {
    return new DriverError("opaque flag erroneously copied up, consider update to kernel 4.8 or later to fix");
  }
  const renamed = host.task.rename(`${folder}/merged/d1`, `${folder}/merged/d2`);
  // Without redirect_dir a lower folder cannot be renamed: what Docker hopes for.
  if (renamed === EXDEV) return undefined;
  if (renamed !== undefined) return new DriverError(`failed to rename dir in merged directory: ${errnoText(renamed)}`);
  if (xattrIs(host, `${folder}/l3/d2`, "trusted.overlay.redirect", "d1")) {
    return new DriverError("kernel has CONFIG_OVERLAY_FS_REDIRECT_DIR enabled");
  }
  return undefined;
}

/**
 * Whether a layer's upper folder tells its difference to the parent.
 * @param options - mount options of an experiment; Docker itself tries the kernel's defaults
 * @returns why it does not.
 */
export function nativeDiffObstacle(host: Host, home: string, options: readonly string[]): DriverError | undefined {
  return inFolder(host, { home, prefix: "opaque-bug-check" }, (folder) => {
    for (const name of ["l1/d", "l1/d1", "l2/d", "l3", "work", "merged"]) {
      const failed = makeDirectories(host.task, `${folder}/${name}`, 0o755);
      if (failed !== undefined) return failed;
    }
    const opaque = host.task.lsetxattr(`${folder}/l2/d`, "trusted.overlay.opaque", new TextEncoder().encode("y"));
    if (opaque !== undefined) return new DriverError(`failed to set opaque flag on middle layer: ${errnoText(opaque)}`);
    const layers = [`lowerdir=${folder}/l2:${folder}/l1`, `upperdir=${folder}/l3`, `workdir=${folder}/work`];
    const failed = mountFailure(host, folder, [...options, ...layers].join(","));
    if (failed !== undefined) return failed;
    const obstacle = tryUnion(host, folder);
    host.unmount(`${folder}/merged`);
    return obstacle;
  });
}

/**
 * Whether the kernel copies up a file without its data where its bits alone change (overlay2/check.go, usingMetacopy; moby 23.0).
 * @param options - mount options of an experiment; Docker itself tries the kernel's defaults
 */
export function usesMetacopy(host: Host, home: string, options: readonly string[]): boolean | DriverError {
  let told = false;
  const place = exists(host.task, home) ? home : parentPath(home);
  const failed = inFolder(host, { home: place, prefix: "metacopy-check" }, (folder) => {
    for (const name of ["l1", "l2", "work", "merged"]) {
      const unmade = makeDirectory(host.task, `${folder}/${name}`, 0o755);
      if (unmade !== undefined) return unmade;
    }
    const unwritten = writeFile(host.task, `${folder}/l1/f`, { text: "", mode: 0o700 });
    if (unwritten !== undefined) return unwritten;
    const layers = [`lowerdir=${folder}/l1`, `upperdir=${folder}/l2`, `workdir=${folder}/work`];
    const unmounted = mountFailure(host, folder, [...options, ...layers].join(","));
    if (unmounted !== undefined) return unmounted;
    const unchanged = host.task.chmod(`${folder}/merged/f`, 0o600);
    told = unchanged === undefined && !isErrno(host.task.lgetxattr(`${folder}/l2/f`, "trusted.overlay.metacopy"));
    host.unmount(`${folder}/merged`);
    return undefined;
  });
  return failed ?? told;
}

/** How each backing filesystem is made to tell types (overlayutils.ErrDTypeNotSupported). */
const REFORMAT: ReadonlyMap<string, string> = new Map([
  ["xfs", " Reformat the filesystem with ftype=1 to enable d_type support."],
  ["extfs", " Reformat the filesystem (or use tune2fs) with -O filetype flag to enable d_type support."],
]);

/** Whether the entries of a folder in `home`'s filesystem tell their type (fsutils.SupportsDType). */
function tellsTypes(host: Host, home: string): boolean | DriverError {
  let told = false;
  const failed = inFolder(host, { home, prefix: ".d_type_check" }, (folder) => {
    const unwritten = writeFile(host.task, `${folder}/marker`, { text: "", mode: 0o644 });
    if (unwritten !== undefined) return unwritten;
    const entries = host.task.readdir(folder);
    told = !isErrno(entries) && entries.every(({ type }) => type !== 0);
    return undefined;
  });
  return failed ?? told;
}

/** A driver that stands on overlay mounts. */
interface OverlayUser {
  readonly name: string;
  readonly backing: string;
  /** The lower folders of its trial mount, the top one first. */
  readonly lowers: readonly string[];
  /** Whether a new home is refused where entries do not tell their type. */
  readonly needsTypes: boolean;
}

/**
 * What both drivers ask before they start: that overlays mount in their home's filesystem, and that its entries tell their type. Without types
 * a new home, or an empty one, is refused; one with something in it is used all the same (graphdriver.IsInitialized).
 * @returns whether entries tell their type.
 */
export function checkOverlayHome(
  host: Host,
  home: string,
  { name, backing, lowers, needsTypes }: OverlayUser,
): boolean | DriverError {
  const place = exists(host.task, home) ? home : parentPath(home);
  if (supportsOverlay(host, place, lowers) !== undefined) return NOT_SUPPORTED;
  const types = tellsTypes(host, place);
  if (isDriverError(types) || types || !needsTypes || isFilledDirectory(host.task, home)) return types;
  const what = `${name}: the backing ${backing} filesystem is formatted without d_type support`;
  const how = REFORMAT.get(backing) ?? "";
  return new DriverError(
    `${what}, which leads to incorrect behavior.${how} Backing filesystems without d_type support are not supported.`,
  );
}
