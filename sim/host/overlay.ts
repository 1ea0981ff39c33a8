/**
 * overlay as mount(8) makes it: its layers are paths of the host.
 */
import { isErrno } from "../core/errno.ts";
import { mountOverlayPaths } from "../union/overlayfs/mount.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

function mountOverlay(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const { names, clock, events, views, inUse } = host;
  const parts = { names, clock, events, views, inUse, profile: host.kernel, newDevice: () => host.anonymousNumber() };
  return mountOverlayPaths(parts, data, (path) => {
    const place = host.resolve(path, request.directory ?? "/");
    return isErrno(place) ? place : { fs: place.mount.fs, inode: place.inode, readOnly: place.mount.readOnly };
  });
}

/** overlay. */
export const OVERLAY: FileSystemType = { name: "overlay", mount: mountOverlay };
