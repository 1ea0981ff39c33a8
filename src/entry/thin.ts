/**
 * cowlab/thin: thin pools, and the thin tools on their metadata. The public names, one by one.
 */
export type { BlockDevice } from "../../sim/block/device.ts";
export { Content } from "../../sim/core/content.ts";
export { type Errno, isErrno } from "../../sim/core/errno.ts";
export { bytes } from "../../sim/core/units.ts";
export { sendMessage } from "../../sim/thin/messages.ts";
export type { ThinPool } from "../../sim/thin/pool.ts";
export { type PoolStatus, poolStatus, poolStatusLine } from "../../sim/thin/status.ts";
export type { ThinVolume } from "../../sim/thin/volume.ts";
export { type ToolResult, thinCheck, thinDump, thinLs, thinRestore } from "../thin/commands.ts";
export { type CreatedPool, createPool, openVolume, type PoolRequest } from "../thin/create-pool.ts";
