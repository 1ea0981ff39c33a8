/**
 * Reads the XML of thin_dump (spec/block-cow.md §1.11). Shared parts are given once by `<def name>` and used by `<ref name/>`; a device that
 * is one reference and nothing else shares the tree.
 */
import type { DeviceModel, MappingRun } from "../../sim/thin/model.ts";
import type { ThinDump, XmlSuperblock } from "./xml.ts";

/** What is wrong with a text, and in which line. */
export class XmlError extends Error {
  override readonly name = "XmlError";
}

/** One tag. */
interface Tag {
  readonly name: string;
  readonly closes: boolean;
  readonly attributes: ReadonlyMap<string, string>;
  readonly line: number;
}

function* tagsOf(text: string): Generator<Tag> {
  let line = 1;
  let last = 0;
  for (const match of text.matchAll(/<(\/?)([\w-]+)((?:\s+[\w-]+\s*=\s*"[^"]*")*)\s*(\/?)>|<[!?][^>]*>/g)) {
    for (let at = last; at < match.index; at++) if (text[at] === "\n") line += 1;
    last = match.index;
    const [, slash, name, rest = "", selfClosing] = match;
    if (name === undefined) continue;
    const attributes = new Map([...rest.matchAll(/([\w-]+)\s*=\s*"([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]));
    yield { name, closes: slash === "/", attributes, line };
    if (selfClosing === "/") yield { name, closes: true, attributes: new Map(), line };
  }
}

function numberOf({ name, attributes, line }: Tag, key: string, otherwise?: number): number {
  const text = attributes.get(key);
  if (text === undefined && otherwise !== undefined) return otherwise;
  if (text === undefined || !/^\d+$/.test(text)) throw new XmlError(`line ${line}: <${name}> needs ${key}, a whole number`);
  if (!Number.isSafeInteger(Number(text))) throw new XmlError(`line ${line}: the ${key} of <${name}> is too large: ${text}`);
  return Number(text);
}

function superblockOf(tag: Tag): XmlSuperblock {
  return {
    uuid: tag.attributes.get("uuid") ?? "",
    time: numberOf(tag, "time"),
    transaction: numberOf(tag, "transaction"),
    flags: numberOf(tag, "flags", 0),
    version: numberOf(tag, "version", 2),
    dataBlockSectors: numberOf(tag, "data_block_size"),
    dataBlocks: numberOf(tag, "nr_data_blocks"),
  };
}

function runOf(tag: Tag, { dataBlocks }: XmlSuperblock): MappingRun {
  const time = numberOf(tag, "time");
  const run =
    tag.name === "single_mapping"
      ? { origin: numberOf(tag, "origin_block"), data: numberOf(tag, "data_block"), length: 1, time }
      : { origin: numberOf(tag, "origin_begin"), data: numberOf(tag, "data_begin"), length: numberOf(tag, "length"), time };
  // In thin_restore's words (thin-provisioning-tools 0.9).
  if (run.length > 0 && run.data + run.length > dataBlocks)
    throw new XmlError(`mapping beyond end of data device (${Math.max(run.data, dataBlocks)} >= ${dataBlocks})`);
  return run;
}

/** Collects the mappings of a device or of a shared part. */
class Collector {
  readonly tag: Tag;
  #runs: MappingRun[] = [];
  /** The one reference that is everything so far. */
  #only: readonly MappingRun[] | undefined;

  constructor(tag: Tag) {
    this.tag = tag;
  }

  add(run: MappingRun): void {
    this.#own().push(run);
  }

  refer(runs: readonly MappingRun[]): void {
    if (this.#only === undefined && this.#runs.length === 0) this.#only = runs;
    else this.#own().push(...runs);
  }

  #own(): MappingRun[] {
    if (this.#only !== undefined) this.#runs = [...this.#only];
    this.#only = undefined;
    return this.#runs;
  }

  /** The list itself where it is one reference, so that who has the same list shares it. */
  get runs(): readonly MappingRun[] {
    return this.#only ?? this.#runs;
  }
}

const DEVICE_ID_MAX = 2 ** 32 - 1;

function deviceOf({ tag, runs }: Collector): DeviceModel {
  const id = numberOf(tag, "dev_id");
  if (id > DEVICE_ID_MAX) throw new XmlError(`line ${tag.line}: the dev_id of <device> is too large: ${id}`);
  return {
    id,
    details: {
      mapped: numberOf(tag, "mapped_blocks"),
      transaction: numberOf(tag, "transaction"),
      creationTime: numberOf(tag, "creation_time"),
      snapshotTime: numberOf(tag, "snap_time"),
    },
    runs,
  };
}

/** Reads a dump. @throws XmlError with the line. */
export function parseXml(text: string): ThinDump {
  let superblock: XmlSuperblock | undefined;
  let open: Collector | undefined;
  const shared = new Map<string, readonly MappingRun[]>();
  const devices: DeviceModel[] = [];
  const path: string[] = [];
  const within = (tag: Tag): Collector => {
    if (open === undefined) throw new XmlError(`line ${tag.line}: <${tag.name}> is outside of a device`);
    return open;
  };
  for (const tag of tagsOf(text)) {
    if (!tag.closes) path.push(tag.name);
    else if (path.pop() !== tag.name) throw new XmlError(`line ${tag.line}: </${tag.name}> closes nothing`);
    switch (tag.name) {
      case "superblock":
        if (!tag.closes) superblock = superblockOf(tag);
        break;
      case "device":
      case "def":
        if (!tag.closes) open = new Collector(tag);
        else if (tag.name === "device") devices.push(deviceOf(within(tag)));
        else shared.set(within(tag).tag.attributes.get("name") ?? "", within(tag).runs);
        if (tag.closes) open = undefined;
        break;
      case "single_mapping":
      case "range_mapping":
        if (!tag.closes && superblock !== undefined) within(tag).add(runOf(tag, superblock));
        break;
      case "ref": {
        if (tag.closes) break;
        const runs = shared.get(tag.attributes.get("name") ?? "");
        if (runs === undefined) throw new XmlError(`line ${tag.line}: nothing is defined as ${tag.attributes.get("name")}`);
        within(tag).refer(runs);
        break;
      }
      default:
        throw new XmlError(`line ${tag.line}: unknown element <${tag.name}>`);
    }
  }
  if (superblock === undefined) throw new XmlError("line 1: no <superblock>");
  const [inside] = path.slice(-1);
  if (inside !== undefined) throw new XmlError(`line ${text.split("\n").length}: the text ends within <${inside}>`);
  return { superblock, devices: devices.sort((one, other) => one.id - other.id) };
}
