/**
 * zpool(8) on the host's pools: what they are (`list`, `get`, `set`, `status`, `history`), and their devices (`attach`, `replace`, `detach`, `offline`, `online`, `clear`,
 * `scrub`, `sync`). Disks are the host's, by name.
 *
 * Interface: commands, options and refusals are those of OpenZFS 2.1; an option that is not here is refused, as the tool refuses an unknown one.
 */
import type { BlockDevice } from "../../sim/block/device.ts";
import { assert } from "../../sim/core/assert.ts";
import { readLabel } from "../../sim/cow/zfs/labels.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zpoolSet } from "../../sim/cow/zfs/pool-properties.ts";
import { zpoolStatus } from "../../sim/cow/zfs/pool-status.ts";
import {
  shortName,
  zpoolAttach,
  zpoolClear,
  zpoolDetach,
  zpoolOffline,
  zpoolOnline,
  zpoolReplace,
  zpoolScrub,
} from "../../sim/cow/zfs/vdev-commands.ts";
import type { Host } from "../../sim/host.ts";
import { optionsOf, type ToolAnswer, type ToolWords, usage } from "./tool-words.ts";
import { noted } from "./zfs-history.ts";
import { get, history, list } from "./zpool-show.ts";

interface Command {
  readonly host: Host;
  readonly pool: Pool;
  /** Words behind the pool's name. */
  readonly names: readonly string[];
  readonly options: ReadonlyMap<string, readonly string[]>;
}

/** Options of each command, as getopt(3) has them. */
const OPTIONS: Readonly<Record<string, string>> = {
  list: "Hpo:",
  get: "Hpo:",
  set: "",
  history: "il",
  status: "x",
  attach: "f",
  replace: "f",
  detach: "",
  offline: "t",
  online: "",
  clear: "",
  scrub: "",
  sync: "",
};

function answer(err: string | undefined): ToolAnswer {
  return err === undefined ? { out: "" } : { err };
}

function deviceOf(host: Host, word: string): BlockDevice | undefined {
  return host.device(shortName(word))?.device;
}

/** Whether a disk is a pool's already, in the tool's words (zpool_in_use, check_file). One that left a pool without its knowing is none of it. */
function inUse({ host, options }: Command, device: BlockDevice): string | undefined {
  const label = readLabel(device);
  if (label === undefined) return undefined;
  const pool = host.pools.get(label.pool);
  const isActive = pool?.guid === label.guid;
  const isForced = options.has("f");
  if (isActive ? !pool.store.tops.some(({ sides }) => sides.some(({ guid }) => guid === label.side)) : isForced) return undefined;
  const how = isForced ? "the following errors must be manually repaired:" : "use '-f' to override the following errors:";
  return `invalid vdev specification\n${how}\n/dev/${device.name} is part of ${isActive ? "active" : "exported"} pool '${label.pool}'`;
}

/** attach and replace: what is to come, when it may. */
function join(command: Command, word: string | undefined, run: (device: BlockDevice) => string | undefined): ToolAnswer {
  const device = deviceOf(command.host, word ?? "");
  if (device === undefined)
    return { err: `cannot open '${word}': no such device in /dev\nmust be a full path or shorthand device name` };
  return answer(inUse(command, device) ?? run(device));
}

/** One command for each of some devices; the first refusal is told. */
function forEach(names: readonly string[], run: (name: string) => string | undefined): ToolAnswer {
  if (names.length === 0) return { err: "missing device name" };
  const wrong = names.map(run).filter((one) => one !== undefined);
  return wrong.length === 0 ? { out: "" } : { err: wrong.join("\n") };
}

function online({ host, pool, names }: Command): ToolAnswer {
  const told = forEach(names, (name) => zpoolOnline(pool, name, deviceOf(host, name)));
  if ("err" in told) return told;
  const away = names.filter((name) =>
    pool.store.tops.some(({ sides }) => sides.some((side) => side.name === shortName(name) && side.state !== "ONLINE")),
  );
  const lines = away.flatMap((name) => [
    `warning: device '${name}' onlined, but remains in faulted state`,
    "use 'zpool replace' to replace devices that are no longer present",
  ]);
  return { out: lines.join("\n") };
}

function isHealthy(pool: Pool): boolean {
  return !zpoolStatus(pool).includes("\nstatus: ");
}

function statusOfAll({ pools }: Host, onlyTroubled: boolean): ToolAnswer {
  if (pools.size === 0) return { out: "no pools available" };
  const shown = [...pools.values()].filter((pool) => !onlyTroubled || !isHealthy(pool));
  return { out: shown.length === 0 ? "all pools are healthy" : shown.map(zpoolStatus).join("\n\n") };
}

/** zpool set. */
function set({ pools }: Host, { names }: ToolWords): ToolAnswer {
  const [pair, name, ...more] = names;
  if (pair === undefined) return usage("missing property=value argument");
  if (name === undefined) return usage("missing pool name");
  if (more.length > 0) return usage("too many pool names");
  const equals = pair.indexOf("=");
  if (equals < 0) return usage("missing value in property=value argument");
  const pool = pools.get(name);
  if (pool === undefined) return { err: `cannot open '${name}': no such pool` };
  return answer(zpoolSet(pool, pair.slice(0, equals), pair.slice(equals + 1)));
}

/** Commands on pools that are named behind other words, or not at all. */
const OF_ALL: Readonly<Record<string, (host: Host, words: ToolWords) => ToolAnswer>> = { list, get, set, history };

const COMMANDS: Readonly<Record<string, (command: Command) => ToolAnswer>> = {
  online,
  status: ({ pool, options }) => ({
    out: options.has("x") && isHealthy(pool) ? `pool '${pool.name}' is healthy` : zpoolStatus(pool),
  }),
  attach: (command) => {
    const [old = "", word] = command.names;
    if (word === undefined) return { err: "missing <new_device> specification" };
    return join(command, word, (device) => zpoolAttach(command.pool, old, device));
  },
  replace: (command) => {
    const [old = "", word = old] = command.names;
    return join(command, word, (device) => zpoolReplace(command.pool, old, device));
  },
  detach: ({ pool, names: [name] }) =>
    name === undefined ? { err: "missing <device> specification" } : answer(zpoolDetach(pool, name)),
  offline: ({ pool, names, options }) => forEach(names, (name) => zpoolOffline(pool, name, options.has("t"))),
  clear: ({ pool, names: [name] }) => answer(zpoolClear(pool, name)),
  scrub: ({ pool }) => answer(zpoolScrub(pool)),
  sync: ({ pool }) =>
    pool.syncGroup() === undefined ? { out: "" } : { err: `sync '${pool.name}' failed: pool I/O is currently suspended` },
};

/** Runs one command; `words` begin with its name. */
export function runZpool(host: Host, [verb = "", ...words]: readonly string[]): ToolAnswer {
  const letters = OPTIONS[verb];
  if (letters === undefined) return usage(verb === "" ? "missing command" : `unrecognized command '${verb}'`);
  const found = optionsOf(words, letters);
  if (typeof found === "string") return usage(found);
  const ofAll = OF_ALL[verb];
  const note = (told: ToolAnswer, pool: Pool | undefined): ToolAnswer => noted(host, pool, ["zpool", verb, ...words], told);
  if (ofAll !== undefined) return note(ofAll(host, found), host.pools.get(found.names[1] ?? ""));
  const [name, ...names] = found.names;
  if (name === undefined && verb === "status") return statusOfAll(host, found.options.has("x"));
  if (name === undefined && verb === "sync") {
    for (const pool of host.pools.values()) pool.syncGroup();
    return { out: "" };
  }
  if (name === undefined) return usage("missing pool name argument");
  const pool = host.pools.get(name);
  if (pool === undefined)
    return { err: host.pools.size === 0 ? "The ZFS modules are not loaded." : `cannot open '${name}': no such pool` };
  const run = COMMANDS[verb];
  assert(run !== undefined, `zpool ${verb} has its options, and is not there`);
  return note(run({ host, pool, names, options: found.options }), pool);
}
