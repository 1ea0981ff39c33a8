/**
 * The machines that a scenario can ask for: versions of Docker and cost profiles, by name, and what they are by default.
 */
import { DEVICE_PROFILES, type DeviceProfile } from "../../sim/block/profile.ts";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import { GIB } from "../../sim/core/units.ts";
import { DOCKER_20_10, DOCKER_PROFILES, type DockerProfile } from "../drivers/docker-profile.ts";

/** Whose storage drivers, by the version of Docker. */
export const DOCKERS: ReadonlyMap<string, DockerProfile> = DOCKER_PROFILES;

/** What a disk's commands cost, by the profile's name. */
export const COSTS: ReadonlyMap<string, DeviceProfile> = new Map(Object.entries(DEVICE_PROFILES));

/** What a host is where the file does not say. */
export const HOST_DEFAULTS: {
  readonly backing: "ext4";
  readonly device: number;
  readonly memory: number;
  readonly kernel: string;
  readonly docker: string;
} = { backing: "ext4", device: GIB(8), memory: GIB(2), kernel: k6_18.version, docker: DOCKER_20_10.version };
