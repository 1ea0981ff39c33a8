/**
 * overlay as mount(8) makes it: its layers are paths of the host.
 */
import { EROFS, isErrno } from "../core/errno.ts";
import { mountOverlayPaths } from "../union/overlayfs/mount.ts";
import { isMountFailure } from "../union/overlayfs/options.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

function mountOverlay(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const { names, clock, events, views, inUse } = host;
  const parts = { names, clock, events, views, inUse, profile: host.kernel, newDevice: () => host.anonymousNumber() };
  const overlay = mountOverlayPaths(parts, data, (path) => {
    const place = host.resolve(path, request.directory ?? "/");
    return isErrno(place) ? place : { fs: place.mount.fs, inode: place.inode, readOnly: place.mount.readOnly };
  });
  if (isMountFailure(overlay)) return overlay;
  // By mount(2) options of a remount are not even read; without an upper layer nothing can become writable (ovl_parse_param, ovl_reconfigure).
  overlay.remount = (text) => (overlay.readOnly && !text.split(",").includes("ro") ? { errno: EROFS, message: "" } : undefined);
  return overlay;
}

/** overlay. */
export const OVERLAY: FileSystemType = { name: "overlay", mount: mountOverlay };
