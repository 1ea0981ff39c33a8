/**
 * Pipes between commands, and those that here-documents come by.
 *
 * Interface: a pipe's calls are no filesystem's, and are neither told nor counted. It has no end of room: its writer is done before its reader begins.
 */
import { Content } from "../../sim/core/content.ts";

/** Both ends of one. */
export interface Pipe {
  readonly fd: -1;
  readonly path: "pipe";
  readonly device: "pipe";
  readonly held: Content[];
}

/** @param content - what is in it already */
export function newPipe(content?: Content): Pipe {
  return { fd: -1, path: "pipe", device: "pipe", held: content === undefined ? [] : [content] };
}

/** What a reader gets: as much as is there. */
export function takeFrom(held: Content[], length: number): Content {
  const all = Content.concat(held);
  held.splice(0, held.length, all.slice(length));
  return all.slice(0, length);
}
