/**
 * The superblock's fields, block 0 of the metadata (spec/block-cow.md §1.10). Everything is in its first 512 bytes, so that a power cut
 * leaves the old one or the new one.
 */
import { get64, set64 } from "./metadata-block.ts";

export const SUPERBLOCK_LOCATION = 0;
const MAGIC = 27_022_010;
const VERSION = 2;
/** The metadata must be checked before the pool may be written again. */
const NEEDS_CHECK = 1;
/** A metadata block in sectors. */
const METADATA_BLOCK_SECTORS = 8;

/** Word offsets. */
const AT = {
  flags: 1,
  magic: 8,
  version: 10,
  time: 11,
  transaction: 12,
  held: 14,
  dataSpace: 16,
  metadataSpace: 48,
  mappings: 80,
  details: 82,
  dataBlockSectors: 84,
  metadataBlockSectors: 85,
  metadataBlocks: 86,
  compatRo: 89,
  incompat: 90,
} as const;

/** A superblock's words with names. */
export class Superblock {
  readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  /** Fills zeroed words in for a new pool. */
  format(dataBlockSectors: number, metadataBlocks: number): void {
    const { words } = this;
    set64(words, AT.magic, MAGIC);
    words[AT.version] = VERSION;
    words[AT.dataBlockSectors] = dataBlockSectors;
    words[AT.metadataBlockSectors] = METADATA_BLOCK_SECTORS;
    set64(words, AT.metadataBlocks, metadataBlocks);
  }

  get hasMagic(): boolean {
    return get64(this.words, AT.magic) === MAGIC;
  }

  get version(): number {
    return this.words[AT.version] as number;
  }

  get flags(): number {
    return this.words[AT.flags] as number;
  }

  get needsCheck(): boolean {
    return (this.flags & NEEDS_CHECK) !== 0;
  }

  set needsCheck(needed: boolean) {
    this.words[AT.flags] = needed ? this.flags | NEEDS_CHECK : this.flags & ~NEEDS_CHECK;
  }

  get time(): number {
    return this.words[AT.time] as number;
  }

  set time(time: number) {
    this.words[AT.time] = time;
  }

  get transaction(): number {
    return get64(this.words, AT.transaction);
  }

  set transaction(id: number) {
    set64(this.words, AT.transaction, id);
  }

  /** Where the superblock's copy of a reserved metadata snapshot lies; 0: none. */
  get held(): number {
    return get64(this.words, AT.held);
  }

  set held(location: number) {
    set64(this.words, AT.held, location);
  }

  get mappings(): number {
    return get64(this.words, AT.mappings);
  }

  set mappings(root: number) {
    set64(this.words, AT.mappings, root);
  }

  get details(): number {
    return get64(this.words, AT.details);
  }

  set details(root: number) {
    set64(this.words, AT.details, root);
  }

  get dataBlockSectors(): number {
    return this.words[AT.dataBlockSectors] as number;
  }

  get metadataBlocks(): number {
    return get64(this.words, AT.metadataBlocks);
  }

  /** Whether it asks for features that nobody here knows. */
  get hasUnknownFeatures(): boolean {
    return this.words[AT.compatRo] !== 0 || this.words[AT.incompat] !== 0;
  }

  /** Blocks of the data device. */
  get dataBlocks(): number {
    return get64(this.words, AT.dataSpace);
  }

  /** The word at which the data's space map root begins. */
  get dataSpaceAt(): number {
    return AT.dataSpace;
  }

  /** The word at which the metadata's space map root begins. */
  get metadataSpaceAt(): number {
    return AT.metadataSpace;
  }

  /** Zeroes both space map roots, as a metadata snapshot's copy has them. */
  clearSpaceMaps(): void {
    this.words.fill(0, AT.dataSpace, AT.mappings);
  }
}
