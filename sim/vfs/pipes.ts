/**
 * FIFOs that are open: what was written into one and has not been read (fs/pipe.c, Linux 6.18). No call waits here: where the kernel would
 * block, it answers as with O_NONBLOCK, or opens without another end.
 *
 * Interface: a FIFO's pipe lives while a description is open for reading or writing; with the last one what it holds is gone.
 */
import { Content } from "../core/content.ts";
import { EAGAIN, EPIPE, type Errno } from "../core/errno.ts";
import { PAGE_SIZE } from "./address-space.ts";
import type { FileSystem, Inode } from "./filesystem.ts";
import type { OpenFile } from "./open-file.ts";

/** Pages that a pipe can hold (PIPE_DEF_BUFFERS). */
const PAGES = 16;

/** A page of a pipe: what is still to be read, and how far it was filled. */
interface Page {
  content: Content;
  filled: number;
}

class Pipe {
  readers = 0;
  writers = 0;
  readonly #pages: Page[] = [];

  /** @returns nothing at the end, when nobody can write; EAGAIN while somebody can. */
  read(length: number): Content | Errno {
    if (length === 0) return Content.empty;
    const parts: Content[] = [];
    let wanted = length;
    for (let page = this.#pages[0]; page !== undefined && wanted > 0; page = this.#pages[0]) {
      const part = page.content.slice(0, Math.min(wanted, page.content.length));
      parts.push(part);
      wanted -= part.length;
      page.content = page.content.slice(part.length);
      if (page.content.length === 0) this.#pages.shift();
    }
    if (parts.length === 0 && this.writers > 0) return EAGAIN;
    return Content.concat(parts);
  }

  /** Adds what there is room for; less than a page goes into the last one where it fits (pipe_write). @returns EPIPE, EAGAIN. */
  write(content: Content): number | Errno {
    if (content.length === 0) return 0;
    if (this.readers === 0) return EPIPE;
    const last = this.#pages.at(-1);
    const head = content.length % PAGE_SIZE;
    let at = 0;
    if (head > 0 && last !== undefined && last.filled + head <= PAGE_SIZE) {
      last.content = Content.concat([last.content, content.slice(0, head)]);
      last.filled += head;
      at = head;
    }
    while (at < content.length && this.#pages.length < PAGES) {
      const part = content.slice(at, Math.min(content.length, at + PAGE_SIZE));
      this.#pages.push({ content: part, filled: part.length });
      at += part.length;
    }
    return at === 0 ? EAGAIN : at;
  }
}

export class Pipes {
  readonly #pipes = new Map<FileSystem, Map<Inode, Pipe>>();

  /** The pipe of an open file: with none open for reading or writing there is nothing in it. */
  of({ mount, inode }: Pick<OpenFile, "mount" | "inode">): Pipe | undefined {
    return this.#pipes.get(mount.fs)?.get(inode);
  }

  /** A FIFO was opened. */
  enter(file: OpenFile): void {
    const { mount, inode, readable, writable } = file;
    if (!readable && !writable) return;
    const ofFs = this.#pipes.get(mount.fs) ?? new Map<Inode, Pipe>();
    this.#pipes.set(mount.fs, ofFs);
    const pipe = ofFs.get(inode) ?? new Pipe();
    ofFs.set(inode, pipe);
    if (readable) pipe.readers += 1;
    if (writable) pipe.writers += 1;
  }

  /** And is closed. */
  leave(file: OpenFile): void {
    const pipe = this.of(file);
    if (pipe === undefined) return;
    if (file.readable) pipe.readers -= 1;
    if (file.writable) pipe.writers -= 1;
    if (pipe.readers + pipe.writers > 0) return;
    const { fs } = file.mount;
    const ofFs = this.#pipes.get(fs);
    ofFs?.delete(file.inode);
    if (ofFs?.size === 0) this.#pipes.delete(fs);
  }
}
