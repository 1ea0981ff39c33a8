/**
 * The XML of thin_dump and thin_restore (spec/block-cow.md §1.11), as thin-provisioning-tools 0.9 writes it.
 */
import type { DeviceModel, MappingRun } from "../../sim/thin/model.ts";

/** What the superblock's element says. */
export interface XmlSuperblock {
  readonly uuid: string;
  readonly time: number;
  readonly transaction: number;
  readonly flags: number;
  readonly version: number;
  readonly dataBlockSectors: number;
  readonly dataBlocks: number;
}

/** A whole dump. */
export interface ThinDump {
  readonly superblock: XmlSuperblock;
  readonly devices: readonly DeviceModel[];
}

function runLine({ origin, data, length, time }: MappingRun): string {
  if (length === 1) return `    <single_mapping origin_block="${origin}" data_block="${data}" time="${time}"/>\n`;
  return `    <range_mapping origin_begin="${origin}" data_begin="${data}" length="${length}" time="${time}"/>\n`;
}

function deviceLines({ id, details, runs }: DeviceModel): string {
  const { mapped, transaction, creationTime, snapshotTime } = details;
  const head = `  <device dev_id="${id}" mapped_blocks="${mapped}" transaction="${transaction}" creation_time="${creationTime}" snap_time="${snapshotTime}">\n`;
  return `${head}${runs.map(runLine).join("")}  </device>\n`;
}

/** The text of a dump, every device with its own mappings. */
export function dumpXml({ superblock, devices }: ThinDump): string {
  const { uuid, time, transaction, flags, version, dataBlockSectors, dataBlocks } = superblock;
  const head = `<superblock uuid="${uuid}" time="${time}" transaction="${transaction}" flags="${flags}" version="${version}" data_block_size="${dataBlockSectors}" nr_data_blocks="${dataBlocks}">\n`;
  return `${head}${devices.map(deviceLines).join("")}</superblock>\n`;
}
