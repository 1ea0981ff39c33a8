/**
 * The thin tools on metadata images: dump, restore, check and ls, with the output and exit codes of thin-provisioning-tools 0.9.
 * What that version does not see (wrong counts of data blocks, wrong numbers of mappings) is told in the words of 1.1.
 */
import type { BlockDevice } from "../../sim/block/device.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { buildImage } from "../../sim/thin/build.ts";
import { type BlockFault, checkImage, type ImageFault } from "../../sim/thin/check-image.ts";
import { type BlockKind, METADATA_BLOCK_SIZE } from "../../sim/thin/metadata-block.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { type MetadataState, openTrees } from "../../sim/thin/metadata-state.ts";
import { type DeviceModel, readDeviceDetails, readDevices } from "../../sim/thin/model.ts";
import { checksumOf } from "../../sim/thin/sealed-block.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "../../sim/thin/superblock.ts";
import { parseXml, XmlError } from "./parse-xml.ts";
import { dumpXml, type ThinDump } from "./xml.ts";

/** What a tool prints, and how it exits. */
export interface ToolResult {
  readonly out: string;
  readonly err: string;
  readonly exitCode: 0 | 1;
}

const NO_LIST: ToolResult = { out: "", err: "metadata contains errors (run thin_check for details).\n", exitCode: 1 };
const NO_DUMP: ToolResult = { ...NO_LIST, err: `${NO_LIST.err}perhaps you wanted to run with --repair\n` };

/** What the tool calls a block whose checksum is wrong. */
const BLOCK_NAMES: Readonly<Record<BlockKind, string>> = {
  superblock: "superblock",
  node: "btree node",
  bitmap: "space map bitmap",
  index: "metadata index block",
};

/** In the words of thin_check 0.9 (persistent-data/data-structures/btree_node_checker.cc). */
function blockText({ block, what, numbers: [one, other] = [], as = "node" }: BlockFault): string {
  switch (what) {
    case "order":
      return `keys are out of order, ${one} <= ${other} (block ${block})`;
    case "valueSize":
      return `value size mismatch: expected ${one}, but got ${other} (block ${block}).`;
    case "mostEntries":
      return `max entries too large: ${one} (block ${block})`;
    case "entries":
      return `bad nr_entries: ${one} < ${other} (block ${block})`;
    case "bounds":
      return `block out of bounds (${block} >= ${one})\n`;
    case "checksum":
    case "place":
      if (one !== undefined) return `bad checksum in ${BLOCK_NAMES[as]}, wanted ${one}`;
      return `bad checksum in ${BLOCK_NAMES[as]} (block ${block})`;
    default:
      return `btree node is not as it should be (block ${block})`;
  }
}

/** One fault as a checker's lines, indented by its depth. */
function faultText(fault: ImageFault): string {
  switch (fault.kind) {
    case "superblock":
      return "  superblock is corrupt\n";
    case "spaceMap":
      return `${blockText(fault.fault)}\n`;
    case "details":
      return `  missing devices: [0, -]\n    ${blockText(fault.fault)}\n`;
    case "devices":
      return `  missing all mappings for devices: [0, -]\n    ${blockText(fault.fault)}\n`;
    case "mappings":
      return `  thin device ${fault.device} is missing mappings [0, -]\n    ${blockText(fault.fault)}\n`;
    case "noDetails":
    case "noMappings":
      return `  Inconsistency between the details tree and the mapping tree (device ${fault.device})\n`;
    case "mappedCount":
      return `  Thin device ${fault.device} has unexpected number of mappings, expected ${fault.expected}, actual ${fault.got}\n`;
    case "metadataCount":
      return `  metadata reference counts differ for block ${fault.block}, expected ${fault.expected}, but got ${fault.got}\n`;
    case "dataCount":
      return `  Bad reference count for data block ${fault.block}.  Expected ${fault.expected}, but space map contains ${fault.got}.\n`;
    default: {
      const never: never = fault;
      return never;
    }
  }
}

/** Which faults belong under which of the checker's headings. */
const SECTIONS: readonly (readonly [string, ReadonlySet<ImageFault["kind"]>])[] = [
  ["examining superblock", new Set<ImageFault["kind"]>(["superblock"])],
  ["examining devices tree", new Set<ImageFault["kind"]>(["details"])],
  ["examining mapping tree", new Set<ImageFault["kind"]>(["devices", "mappings", "noDetails", "noMappings", "mappedCount"])],
  ["checking space map counts", new Set<ImageFault["kind"]>(["spaceMap", "metadataCount", "dataCount"])],
];

function hasBrokenTrees(faults: readonly ImageFault[]): boolean {
  return faults.some(({ kind }) => kind === "details" || kind === "devices" || kind === "mappings");
}

function superblockText(device: BlockDevice): string {
  const content = device.read(bytes(SUPERBLOCK_LOCATION), bytes(METADATA_BLOCK_SIZE));
  if (isErrno(content)) return `${content.text}\n`;
  return `bad checksum in superblock, wanted ${checksumOf(content, "superblock")}\n`;
}

/** `thin check --clear-needs-check-flag`: where nothing is wrong, a pool may write again. */
export function thinCheckAndClear(device: BlockDevice): ToolResult {
  const result = thinCheck(device);
  const { superblock, faults } = checkImage(new MetadataBlocks(device));
  if (superblock === undefined || hasBrokenTrees(faults))
    return { ...result, err: `${result.err}metadata has not been fully examined\n` };
  if (result.exitCode !== 0 || !superblock.needsCheck) return result;
  const blocks = new MetadataBlocks(device);
  const block = blocks.change(SUPERBLOCK_LOCATION, "superblock");
  if (isErrno(block)) return { ...result, err: `${result.err}${block.text}\n`, exitCode: 1 };
  new Superblock(block.words).needsCheck = false;
  const failed = blocks.flush();
  if (failed !== undefined) return { ...result, err: `${result.err}${failed.text}\n`, exitCode: 1 };
  return { ...result, err: `${result.err}cleared needs_check flag\n` };
}

/** `thin check`. */
export function thinCheck(device: BlockDevice): ToolResult {
  const { superblock, faults } = checkImage(new MetadataBlocks(device));
  const treesBroken = hasBrokenTrees(faults);
  let err = "";
  for (const [heading, kinds] of SECTIONS) {
    if (heading === "checking space map counts" && treesBroken) break;
    err += `${heading}\n${faults
      .filter(({ kind }) => kinds.has(kind))
      .map(faultText)
      .join("")}`;
    if (superblock === undefined) {
      err += `    ${superblockText(device)}`;
      break;
    }
  }
  // The number of free blocks is the tool's own: all but one.
  const out =
    superblock === undefined
      ? ""
      : `TRANSACTION_ID=${superblock.transaction}\nMETADATA_FREE_BLOCKS=${Math.floor(device.size / METADATA_BLOCK_SIZE) - 1}\n`;
  return { out, err, exitCode: faults.length === 0 ? 0 : 1 };
}

/** An image that is open; what the tool says where it cannot be. */
function openImage(device: BlockDevice): { readonly superblock: Superblock; readonly state: MetadataState } | ToolResult {
  const image = openTrees(new MetadataBlocks(device));
  return isErrno(image) ? { out: "", err: superblockText(device), exitCode: 1 } : image;
}

/**
 * What an image says, and where a metadata snapshot is held (0: nowhere); what the tool says where it cannot be read.
 * @param isWanted - whether a node of mappings is to be looked into; default: each is.
 */
export function readImage(
  device: BlockDevice,
  isWanted?: (node: number) => boolean,
): (ThinDump & { readonly held: number }) | ToolResult {
  const image = openImage(device);
  if (!("state" in image)) return image;
  const { superblock, state } = image;
  const devices = readDevices(state, isWanted);
  if (isErrno(devices)) return NO_DUMP;
  return {
    superblock: {
      uuid: "",
      time: superblock.time,
      transaction: superblock.transaction,
      flags: superblock.flags,
      version: superblock.version,
      dataBlockSectors: superblock.dataBlockSectors,
      dataBlocks: superblock.dataBlocks,
    },
    devices,
    held: superblock.held,
  };
}

/** `thin dump`; a damaged image is not printed, not even in part. */
export function thinDump(device: BlockDevice): ToolResult {
  const { superblock, faults } = checkImage(new MetadataBlocks(device));
  if (superblock !== undefined && hasBrokenTrees(faults)) return NO_DUMP;
  const dump = readImage(device);
  if ("exitCode" in dump) return dump;
  return { out: dumpXml(dump), err: "", exitCode: 0 };
}

/** `thin restore`: writes the image that a dump describes. */
export function thinRestore(device: BlockDevice, xml: string): ToolResult {
  let dump: ThinDump;
  try {
    dump = parseXml(xml);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    return { out: "", err: `${error.message}\n`, exitCode: 1 };
  }
  const { superblock, devices } = dump;
  const { time, transaction, dataBlockSectors, dataBlocks } = superblock;
  const failed = buildImage(device, {
    time,
    transaction,
    needsCheck: (superblock.flags & 1) !== 0,
    dataBlockSectors,
    dataBlocks,
    devices,
  });
  if (failed !== undefined) return { out: "", err: `metadata device too small: ${failed.text}\n`, exitCode: 1 };
  return { out: "", err: "", exitCode: 0 };
}

const SECTORS_TO_BYTES = 512;
const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes as the tool shows them: the first unit in which the number is not above 8192. */
function sizeText(size: number): string {
  if (size === 0) return "0";
  let value = Math.floor(size / 1024);
  let unit = 0;
  while (value > 8192 && unit + 1 < UNITS.length) {
    value = Math.floor(value / 1024);
    unit += 1;
  }
  return `${value}${UNITS[unit]}`;
}

interface LsRow {
  readonly id: number;
  readonly mapped: number;
  readonly exclusive: number;
  readonly transaction: number;
  readonly created: number;
  readonly snapped: number;
}

/** The tool's fields by name. */
const FIELDS: Readonly<Record<string, (row: LsRow, blockSectors: number) => string>> = {
  DEV: (row) => String(row.id),
  TRANSACTION: (row) => String(row.transaction),
  CREATE_TIME: (row) => String(row.created),
  SNAP_TIME: (row) => String(row.snapped),
  ...amounts("MAPPED", (row) => row.mapped),
  ...amounts("EXCLUSIVE", (row) => row.exclusive),
  ...amounts("SHARED", (row) => row.mapped - row.exclusive),
};

function amounts(name: string, blocks: (row: LsRow) => number): Record<string, (row: LsRow, blockSectors: number) => string> {
  return {
    [`${name}_BLOCKS`]: (row) => String(blocks(row)),
    [`${name}_SECTORS`]: (row, sectors) => String(blocks(row) * sectors),
    [`${name}_BYTES`]: (row, sectors) => String(blocks(row) * sectors * SECTORS_TO_BYTES),
    [name]: (row, sectors) => sizeText(blocks(row) * sectors * SECTORS_TO_BYTES),
  };
}

/** How many devices map each data block: what is mapped once is exclusive. */
function rowsOf(devices: readonly DeviceModel[]): readonly LsRow[] {
  const mappers = new Map<number, number>();
  for (const { runs } of devices) {
    for (const { data, length } of runs) {
      for (let block = data; block < data + length; block++) mappers.set(block, (mappers.get(block) ?? 0) + 1);
    }
  }
  return devices.map(({ id, details, runs }) => {
    let exclusive = 0;
    for (const { data, length } of runs) {
      for (let block = data; block < data + length; block++) if (mappers.get(block) === 1) exclusive += 1;
    }
    const { mapped, transaction, creationTime, snapshotTime } = details;
    return { id, mapped, exclusive, transaction, created: creationTime, snapped: snapshotTime };
  });
}

const DEFAULT_FIELDS = "DEV,MAPPED,CREATE_TIME,SNAP_TIME";

/** `thin ls`. */
export function thinLs(device: BlockDevice, options: { readonly format?: string; readonly headers: boolean }): ToolResult {
  const names = (options.format ?? DEFAULT_FIELDS).split(",");
  const unknown = names.find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) return { out: "", err: `unknown field: ${unknown}\n`, exitCode: 1 };
  const image = openImage(device);
  if (!("state" in image)) return image;
  const { dataBlockSectors } = image.superblock;
  // Only shared and exclusive blocks need the mappings.
  const needsMappings = names.some((name) => name.startsWith("EXCLUSIVE") || name.startsWith("SHARED"));
  const devices = needsMappings ? readDevices(image.state) : readDeviceDetails(image.state);
  if (isErrno(devices)) return NO_LIST;
  const cells = rowsOf(devices).map((row) => names.map((name) => FIELDS[name]?.(row, dataBlockSectors) ?? ""));
  if (options.headers) cells.unshift(names);
  const widths = names.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const out = cells.map((row) => `${row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join(" ")} \n`).join("");
  return { out, err: "", exitCode: 0 };
}
