/**
 * What the pages of a run hold, and how a page changes: what is written at once from its beginning on is its content, short pieces after that go
 * into a PageBuffer, longer ones stay runs of content.
 */
import { Content } from "../core/content.ts";
import { PAGE_SIZE } from "./address-space.ts";
import { PageBuffer } from "./page-buffer.ts";
import type { RunContent } from "./run-table.ts";

/** A piece shorter than this goes into a page's buffer; a longer one stays a run of the page's content. */
const BUFFERED_BYTES = 512;
/** A page whose content has more runs than this becomes bytes. */
const PAGE_RUNS_MAX = 8;

/** How many pages a range of bytes touches. */
export function pagesOf(start: number, end: number): number {
  return Math.ceil(end / PAGE_SIZE) - Math.floor(start / PAGE_SIZE);
}

/** The bytes of a part of a run. */
export function part(content: RunContent, from: number, to: number): Content {
  if (content instanceof PageBuffer) return content.read(from, to);
  const known = content.slice(from, to);
  const short = to - from - known.length;
  return short === 0 ? known : Content.concat([known, Content.zeros(short)]);
}

/** A page's content with other bytes at a place: up to their end, or its own. */
function pageOf(known: Content, at: number, bytes: Content): Content {
  const before = known.slice(0, at);
  return Content.concat([before, Content.zeros(at - before.length), bytes, known.slice(at + bytes.length)]);
}

/** A page that was not in memory, with bytes at a place. Those of most small files are all that is ever written there. */
export function freshPage(at: number, bytes: Content): RunContent {
  if (at === 0) return bytes;
  if (bytes.length >= BUFFERED_BYTES) return pageOf(Content.empty, at, bytes);
  return new PageBuffer(Content.empty, at, bytes);
}

/** A page after bytes were put at a place: a buffer that is full becomes content again. */
export function withBytes(known: RunContent, at: number, bytes: Content): RunContent {
  if (known instanceof PageBuffer) {
    known.write(at, bytes);
    return known.used === PAGE_SIZE && at + bytes.length === PAGE_SIZE ? known.frozen() : known;
  }
  if (bytes.length >= BUFFERED_BYTES && known.runs.length <= PAGE_RUNS_MAX) return pageOf(known, at, bytes);
  return new PageBuffer(known, at, bytes);
}

/** A page after a part of it was zeroed. */
export function withZeros(known: RunContent, from: number, to: number): RunContent {
  if (!(known instanceof PageBuffer))
    return to < known.length ? pageOf(known, from, Content.zeros(to - from)) : known.slice(0, from);
  if (to >= known.used) known.cut(from);
  else known.write(from, Content.zeros(to - from));
  return known;
}
