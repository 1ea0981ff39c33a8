/** An xfs in memory, its parts put together: for mkfs and mount. */
import type { BlockDevice } from "../../block/device.ts";
import { loadBodies, loadBody } from "./inode-load.ts";
import type { Geometry } from "./layout.ts";
import { allocateMetadata, freeMetadata } from "./space.ts";
import { type XfsEnvironment, XfsState } from "./state.ts";

export function newState(device: BlockDevice, geometry: Geometry, environment: XfsEnvironment): XfsState {
  const parts = { takeBlock: allocateMetadata, giveBlock: freeMetadata, loadBodies, loadBody };
  return new XfsState(device, geometry, environment, parts);
}
