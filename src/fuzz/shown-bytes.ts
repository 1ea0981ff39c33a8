/**
 * Bytes in the form of the traces.
 */
import { Content } from "../../sim/core/content.ts";
import type { Json } from "../calls/json.ts";
import { shown } from "../calls/show.ts";

/** Up to 64 printable bytes as they are, all else by length and digest. */
export function shownBytes(bytes: Uint8Array): Json {
  return shown(Content.copyOf(bytes));
}
