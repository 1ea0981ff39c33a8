/**
 * The storage options of devicemapper (moby daemon/graphdriver/devmapper/deviceset.go, v20.10; spec/drivers.md §5.3).
 */
import { GIB } from "../../../sim/core/units.ts";
import { DOCKER_20_10, type DockerProfile } from "../docker-profile.ts";
import { DriverError, isDriverError } from "../driver.ts";
import { parseBool, parseKeyValue, parseSize } from "../options.ts";

/** Everything that can be set, with Docker's defaults filled in. Sizes in bytes. */
export interface DevmapperOptions {
  /** A pool that exists: Docker makes none of its own then. */
  readonly thinPoolDevice: string | undefined;
  readonly dataDevice: string | undefined;
  readonly metadataDevice: string | undefined;
  /** A block device of which Docker makes a pool by itself. */
  readonly directLvmDevice: string | undefined;
  readonly baseSize: number;
  readonly baseSizeGiven: boolean;
  readonly dataLoopSize: number;
  readonly metadataLoopSize: number;
  /** "" until it is chosen: xfs where the kernel has it. */
  readonly filesystem: string;
  readonly mkfsArguments: readonly string[];
  readonly mountOptions: string;
  /** Sectors of a pool block. */
  readonly blockSectors: number;
  /** Discard a device before it is deleted. */
  readonly discard: boolean;
  readonly deferredRemoval: boolean;
  readonly deferredDeletion: boolean;
  /** Percent of the pool that must be free for a new device. */
  readonly minFreePercent: number;
}

type Draft = { -readonly [K in keyof DevmapperOptions]: DevmapperOptions[K] };

const SECTOR = 512;

function defaults({ deferred }: DockerProfile): Draft {
  return {
    thinPoolDevice: undefined,
    dataDevice: undefined,
    metadataDevice: undefined,
    directLvmDevice: undefined,
    baseSize: GIB(10),
    baseSizeGiven: false,
    dataLoopSize: GIB(100),
    metadataLoopSize: GIB(2),
    filesystem: "",
    mkfsArguments: [],
    mountOptions: "",
    blockSectors: 128,
    discard: true,
    deferredRemoval: deferred,
    deferredDeletion: deferred,
    minFreePercent: 10,
  };
}

type Setter = (draft: Draft, value: string) => DriverError | undefined;

/** A setter for a size. */
function size(key: "baseSize" | "dataLoopSize" | "metadataLoopSize"): Setter {
  return (draft, value) => {
    const parsed = parseSize(value);
    if (isDriverError(parsed)) return parsed;
    draft[key] = parsed;
    if (key === "baseSize") draft.baseSizeGiven = true;
    return undefined;
  };
}

/** A setter for yes or no. */
function flag(key: "discard" | "deferredRemoval" | "deferredDeletion"): Setter {
  return (draft, value) => {
    const parsed = parseBool(value);
    if (isDriverError(parsed)) return parsed;
    draft[key] = parsed;
    return undefined;
  };
}

/** An option that is checked and changes nothing here. */
function yesOrNo(_: Draft, value: string): DriverError | undefined {
  const parsed = parseBool(value);
  return isDriverError(parsed) ? parsed : undefined;
}

function percent(draft: Draft, value: string): DriverError | undefined {
  if (!value.endsWith("%")) return new DriverError("devmapper: Option dm.min_free_space requires % suffix");
  const number = parseWhole(value.slice(0, -1));
  if (isDriverError(number)) return number;
  if (number >= 100) return new DriverError(`devmapper: Invalid value ${value} for option dm.min_free_space`);
  draft.minFreePercent = number;
  return undefined;
}

function logLevel(_: Draft, value: string): DriverError | undefined {
  if (!/^[+-]?\d+$/.test(value)) return unparsed("libdm_log_level", value, notWhole("ParseInt", value));
  return /^\+?[2-7]$/.test(value) ? undefined : new DriverError("dm.libdm_log_level must be in range [2,7]");
}

function retries(_: Draft, value: string): DriverError | undefined {
  const number = parseWhole(value);
  return isDriverError(number) ? number : undefined;
}

/** strconv.ParseUint. */
function parseWhole(text: string): number | DriverError {
  return /^\d+$/.test(text) ? Number(text) : notWhole("ParseUint", text);
}

function notWhole(parser: string, text: string): DriverError {
  return new DriverError(`strconv.${parser}: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function unparsed(name: string, value: string, { message }: DriverError): DriverError {
  return new DriverError(`could not parse \`dm.${name}=${value}\`: ${message}`);
}

/** What the volume manager would do. @param max - the most that Docker takes, which is more than its words say of some */
function within(name: string, max: number): Setter {
  return (_, value) => {
    const number = parseWhole(value.replace(/%$/, ""));
    if (isDriverError(number)) return unparsed(name, value, number);
    return number > max ? new DriverError(`dm.${name} must be greater than 0 and less than 100`) : undefined;
  };
}

const SETTERS: Readonly<Record<string, Setter>> = {
  "dm.basesize": size("baseSize"),
  "dm.loopdatasize": size("dataLoopSize"),
  "dm.loopmetadatasize": size("metadataLoopSize"),
  "dm.fs": (draft, value) => {
    if (value !== "ext4" && value !== "xfs") return new DriverError(`devmapper: Unsupported filesystem ${value}`);
    draft.filesystem = value;
    return undefined;
  },
  "dm.mkfsarg": (draft, value) => {
    draft.mkfsArguments = [...draft.mkfsArguments, value];
    return undefined;
  },
  "dm.mountopt": (draft, value) => {
    draft.mountOptions = draft.mountOptions === "" ? value : `${draft.mountOptions},${value}`;
    return undefined;
  },
  "dm.metadatadev": (draft, value) => {
    draft.metadataDevice = value;
    return undefined;
  },
  "dm.datadev": (draft, value) => {
    draft.dataDevice = value;
    return undefined;
  },
  "dm.thinpooldev": (draft, value) => {
    draft.thinPoolDevice = value.replace(/^\/dev\/mapper\//, "");
    return undefined;
  },
  "dm.blkdiscard": flag("discard"),
  "dm.blocksize": (draft, value) => {
    const parsed = parseSize(value);
    if (isDriverError(parsed)) return parsed;
    draft.blockSectors = Math.floor(parsed / SECTOR);
    return undefined;
  },
  "dm.override_udev_sync_check": yesOrNo,
  "dm.use_deferred_removal": flag("deferredRemoval"),
  "dm.use_deferred_deletion": flag("deferredDeletion"),
  "dm.min_free_space": percent,
  "dm.xfs_nospace_max_retries": retries,
  "dm.directlvm_device": (draft, value) => {
    draft.directLvmDevice = value;
    return undefined;
  },
  "dm.directlvm_device_force": yesOrNo,
  "dm.thinp_percent": within("thinp_percent", 99),
  "dm.thinp_metapercent": within("thinp_metapercent", 99),
  "dm.thinp_autoextend_percent": within("thinp_autoextend_percent", 100),
  "dm.thinp_autoextend_threshold": within("thinp_autoextend_threshold", 100),
  "dm.libdm_log_level": logLevel,
};

/** Reads the daemon's options. @returns the text that the daemon would log. */
export function parseDevmapperOptions(
  words: readonly string[],
  docker: DockerProfile = DOCKER_20_10,
): DevmapperOptions | DriverError {
  const draft = defaults(docker);
  let discardGiven = false;
  for (const word of words) {
    const parsed = parseKeyValue(word);
    if (isDriverError(parsed)) return parsed;
    const setter = Object.hasOwn(SETTERS, parsed.key) ? SETTERS[parsed.key] : undefined;
    if (setter === undefined) return new DriverError(`devmapper: Unknown option ${parsed.key}\n`);
    const failed = setter(draft, parsed.value);
    if (failed !== undefined) return failed;
    discardGiven ||= parsed.key === "dm.blkdiscard";
  }
  // Only loop files have anything to win by it: on a device of its own nobody else gets the space. Of a pool that Docker makes it does not think.
  const ownDevice = draft.dataDevice ?? draft.thinPoolDevice;
  if (!discardGiven && ownDevice !== undefined) draft.discard = false;
  // Where deletion is deferred by default, too: who turns removal's off has to turn both off.
  if (draft.deferredDeletion && !draft.deferredRemoval) {
    return new DriverError(
      "devmapper: Deferred deletion can not be enabled as deferred removal is not enabled. Enable deferred removal using --storage-opt dm.use_deferred_removal=true parameter",
    );
  }
  return draft;
}
