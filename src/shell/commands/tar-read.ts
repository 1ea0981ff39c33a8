/**
 * An archive that tar reads, record by record (GNU tar 1.34, src/buffer.c, list.c).
 */
import { Content } from "../../../sim/core/content.ts";
import { type Errno, isErrno } from "../../../sim/core/errno.ts";
import { compressionOf } from "../../archive/compression.ts";
import { ArchiveFault } from "../../archive/fault.ts";
import { opened } from "../../archive/open-compressed.ts";
import { BLOCK } from "../../archive/tar-header.ts";
import { paddingOf } from "../../archive/tar-write.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";
import { type Member, readHeader, toldOfNext } from "../tar-format.ts";
import { RECORD } from "./tar-create.ts";

const SEEK_CUR = 1;
const BEFORE_OTHERS = new Set(["K", "L", "x"]);
/** pax's members for all others, and what is no file: passed over. */
const PASSED = new Set(["g", "M", "N", "V"]);

export class TarReader {
  readonly #process: Process;
  readonly #file: OpenedFile;
  /** What was read and not taken. */
  #held: Content = Content.empty;
  /** Bytes of the member at hand that were not taken, up to the end of its last block. */
  #left = 0;
  #padding = 0;
  /** Whether everything was read already. */
  #isWhole = false;
  failed: Errno | undefined;

  constructor(process: Process, file: OpenedFile) {
    this.#process = process;
    this.#file = file;
  }

  /**
   * Reads the first record. Of an archive that is compressed all of them, as gzip, bzip2 or xz would in a process of its own.
   * @returns false for compressed data that cannot be read
   */
  begin(): boolean {
    this.#fill();
    if (compressionOf(this.#held) === "none") return true;
    const parts = [this.#held];
    for (this.#held = Content.empty; this.#fill(); this.#held = Content.empty) parts.push(this.#held);
    this.#isWhole = true;
    try {
      this.#held = opened(Content.concat(parts));
      return true;
    } catch (error) {
      if (error instanceof ArchiveFault) return false;
      throw error;
    }
  }

  #fill(): boolean {
    if (this.#held.length > 0) return true;
    if (this.#isWhole) return false;
    // A record that ends within a block is asked for again (short_read).
    do {
      const piece = this.#process.read(this.#file, RECORD - this.#held.length);
      if (isErrno(piece)) this.failed = piece;
      if (isErrno(piece) || piece.length === 0) break;
      this.#held = Content.concat([this.#held, piece]);
    } while (this.#held.length % BLOCK !== 0);
    return this.#held.length > 0;
  }

  /** Whether what was read begins with a member, or with blocks of zeros. */
  get isArchive(): boolean {
    return this.#held.length >= BLOCK && readHeader(this.#held.slice(0, BLOCK).toBytes()) !== undefined;
  }

  #block(): Uint8Array | undefined {
    if (!this.#fill() || this.#held.length < BLOCK) return undefined;
    const block = this.#held.slice(0, BLOCK).toBytes();
    this.#held = this.#held.slice(BLOCK);
    return block;
  }

  /** The next member. @returns undefined at the end, "none" for what is no member */
  next(): Member | "none" | undefined {
    let told: Partial<Member> = {};
    for (;;) {
      this.skip();
      const block = this.#block();
      const header = block === undefined ? "end" : readHeader(block);
      if (header === undefined) return "none";
      if (header === "end") return undefined;
      this.#left = header.member.size;
      this.#padding = paddingOf(header.member.size);
      if (BEFORE_OTHERS.has(header.type)) told = { ...told, ...toldOfNext(header.type, this.#all()) };
      else if (!PASSED.has(header.type)) {
        const member = { ...header.member, ...told };
        this.#left = member.size;
        this.#padding = paddingOf(member.size);
        return member;
      }
    }
  }

  #all(): string {
    let text = "";
    for (let piece = this.data(); piece.length > 0; piece = this.data()) text += piece.toText();
    return text;
  }

  /** The member's bytes as far as the record has them; empty at their end. */
  data(): Content {
    if (this.#left === 0 || !this.#fill()) return Content.empty;
    const piece = this.#held.slice(0, Math.min(this.#left, this.#held.length));
    this.#left -= piece.length;
    const gone = this.#left === 0 ? piece.length + this.#padding : piece.length;
    if (this.#left === 0) this.#padding = 0;
    this.#held = this.#held.slice(Math.min(gone, this.#held.length));
    return piece;
  }

  /** Passes over what is left of a member: whole records by a seek. */
  skip(): void {
    let rest = this.#left + this.#padding;
    this.#left = 0;
    this.#padding = 0;
    const taken = Math.min(rest, this.#held.length);
    this.#held = this.#held.slice(taken);
    rest -= taken;
    const records = Math.floor(rest / RECORD);
    if (records > 0 && !isErrno(this.#process.lseek(this.#file, records * RECORD, SEEK_CUR))) rest -= records * RECORD;
    while (rest > 0 && this.#fill()) {
      const passed = Math.min(rest, this.#held.length);
      this.#held = this.#held.slice(passed);
      rest -= passed;
    }
  }
}
