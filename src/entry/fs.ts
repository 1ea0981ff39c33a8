/**
 * cowlab/fs: node:fs over simulated containers. The public names, one by one.
 */
export { type KernelProfile, kernelProfile } from "../../sim/core/kernel-profile.ts";
export { type NodeFs, nodeFs } from "../fs/face.ts";
export type { ProcessOptions } from "../fs/kernel.ts";
export { type FilesJson, fromJson, type Lower } from "../fs/lower.ts";
export {
  type DiffRow,
  type OverlayControls,
  type OverlayFs,
  type OverlayFsOptions,
  overlayFs,
  type Snapshot,
} from "../fs/overlay-fs.ts";
export { fromDir } from "../node/lower.ts";
export { requireWith } from "../node/require-with.ts";
