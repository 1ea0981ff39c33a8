/**
 * What the runner needs of one driver on one machine, whatever stands behind it.
 */
import type { CutChoice, Disk } from "../../sim/block/disk.ts";
import type { FaultyDevice } from "../../sim/block/faulty.ts";
import type { Allocations } from "../../sim/core/allocations.ts";
import type { EventStream } from "../../sim/core/events.ts";
import type { Json } from "../calls/json.ts";
import type { CallSession } from "../calls/session.ts";
import type { CopySource } from "../images/build-context.ts";
import type { Instruction } from "../images/builder.ts";
import type { ContainerOptions } from "../layers/lab.ts";
import type { VolumeOption } from "../layers/volume-option.ts";
import type { ImageField, Operation, ZfsTool } from "./action.ts";
import type { Archive } from "./archive.ts";
import type { CallMetric, MetricId } from "./metrics.ts";
import type { Credentials, DriverChoice, HostChoice } from "./scenario.ts";

/** A failure of the driver or the machine as Docker words it. */
export class WorldFailure {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

export interface World {
  /** Begins an image layer over another, open for writing until something stands on it. */
  addLayer(name: string, parent: string | undefined): WorldFailure | undefined;
  /** Creates and starts a container over an image layer. */
  addContainer(name: string, parent: string, options?: ContainerOptions): WorldFailure | undefined;
  /** What happens inside; `now` is its virtual time in nanoseconds. */
  readonly events: EventStream;
  /** Allocations of space on the machine, some of which a test may fail. */
  readonly allocations: Allocations;
  now(): number;
  /** The process that acts in a layer or a container. */
  session(name: string): CallSession | WorldFailure;
  /** Ends writing to a layer: nothing holds its files open any more. */
  seal(name: string): WorldFailure | undefined;
  /** `docker diff`: lines such as "C /etc", sorted. */
  diff(container: string): readonly string[] | WorldFailure;
  /** What `docker ps -s` shows of a container, in bytes. */
  containerSizes(name: string): { readonly size: number; readonly virtual: number } | WorldFailure;
  /** du(1) of the driver's folder, in bytes. */
  diskUsage(acrossMounts: boolean): number;
  /** The driver removes a container or a layer, after the process in it has ended and it is unmounted; a refusal leaves it there. */
  remove(name: string): WorldFailure | undefined;
  /** A command of zfs(8) or zpool(8): what it writes. Names of containers and layers stand for their datasets, in its words and in what it writes. */
  zfs(tool: ZfsTool, words: readonly string[]): string | WorldFailure;
  /** Takes a base image out of an archive. */
  importImage(name: string, archive: Archive): WorldFailure | undefined;
  /**
   * One step of Docker's builder over an image (undefined: scratch); the result is the image's newest state.
   * @param act - does the step's work, as the user that the image names; returns why it failed
   */
  buildStep(
    name: string,
    from: string | undefined,
    instruction: Instruction,
    act: (session: CallSession, user: Credentials | undefined) => string | undefined,
  ): WorldFailure | undefined;
  /** Unpacks the context of a build, until it is closed. */
  openContext(archive: Archive): CopySource | WorldFailure;
  /** A step of the builder that copies files, as `buildStep`. */
  copyStep(
    name: string,
    from: string | undefined,
    order: Extract<Operation, { kind: "copy" }>,
    context: CopySource | undefined,
  ): WorldFailure | undefined;
  /** Makes one layer of what an image's build put over another image (undefined: scratch). */
  squash(name: string, from: string | undefined): WorldFailure | undefined;
  /** The same before Docker 1.10: every step over the last one of that name. */
  buildLegacyStep(
    name: string,
    instruction: Instruction,
    act: (session: CallSession) => string | undefined,
  ): WorldFailure | undefined;
  /** Migrates every image of before 1.10; their names are then those of images by content. */
  migrate(): WorldFailure | undefined;
  /** The topmost layer of such an image, for containers. */
  imageLayer(name: string): string | WorldFailure;
  /** Whom the containers of an image run as where nobody says it: its USER; "" for root. */
  imageUser(name: string): string;
  /** Where their processes begin: its WORKDIR. */
  imageWorkdir(name: string): string;
  /** Who that is in a container: numbers, by its own files. */
  execUser(container: string, user: string): Credentials | WorldFailure;
  /** The volumes that an image of Docker's own stores gives each container; none for any other. */
  imageVolumes(name: string): readonly VolumeOption[];
  /** The sizes of an image's layers together, by its topmost layer. */
  imageSize(layer: string): number | WorldFailure;
  /** Puts layers over such an image until there are `layers` in all, or somebody refuses: how far it went, and what was said. */
  stack(order: { readonly image: string; readonly layers: number; readonly by: "docker" | "driver" }): Json | WorldFailure;
  /** What Docker shows of such an image. */
  show(name: string, field: ImageField): Json | WorldFailure;
  /** sync(2): everything that is dirty reaches the disk. */
  sync(): WorldFailure | undefined;
  /** Writes everything back, then forgets clean pages (vm.drop_caches = 1). */
  dropCaches(): WorldFailure | undefined;
  /** Lets virtual time pass, in nanoseconds. */
  tick(span: number): void;
  /** The filesystem at /var/lib/docker. */
  readonly backing: string;
  /**
   * Metrics as they stand: amounts since the machine was made. What calls did is the runner's own.
   * @param looksOnly - writes nothing for it: the space of a pool of zfs is told as of its last transaction group
   */
  figures(looksOnly?: boolean): Readonly<Record<Exclude<MetricId, CallMetric>, number>>;
  /** Throws an InvariantError when an engine's books do not add up. */
  check(): void;
  /** The disk; undefined where the backing filesystem is in memory. */
  readonly disk: Disk | undefined;
  /** Around the disk: what the backing filesystem stands on, whose commands may be made to fail. */
  readonly device: FaultyDevice | undefined;
  /** How many filesystems ended with something that could not be written any more, of which nobody was told. */
  readonly lostAtUnmount: number;
  /** Whether something must be repaired before it may be written to: a thin pool that wants thin_check. */
  needsRepair(): boolean;
  /**
   * Pulls the plug, and starts again on what is left. This world is over then.
   * @param choice - what the cut keeps of the disk's unflushed writes
   * @param image - another disk than the machine's: what it held at an earlier time
   * @returns why it does not start again
   */
  restart(choice: CutChoice, image?: Disk): World | WorldFailure;
}

/** Why a driver cannot be run, as a part of a sentence. */
export class Missing {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/** Makes a fresh machine with one driver. */
export type MakeWorld = (choice: DriverChoice, host: HostChoice, seed: number) => World | Missing | WorldFailure;
