/** cowlab: a container on overlay2 on ext4 on a simulated disk. */
import { CannotRun, type Peer } from "../peer.ts";

export function cowlab(): Peer {
  throw new CannotRun("no storage driver yet");
}
