/**
 * The send stream, version 1: commands with attributes, as bytes (fs/btrfs/send.h; spec/block-cow.md 2.8).
 *
 * Interface: a command's attributes keep their order, so that what is decoded and encoded again is the same bytes.
 */
import type { Time } from "../../core/clock.ts";
import { crc32c } from "./crc32c.ts";

const MAGIC = "btrfs-stream\0";
const VERSION = 1;
const HEADER_BYTES = MAGIC.length + 4;
/** Of a command: length, number, checksum. Of an attribute: type, length. */
const COMMAND_BYTES = 10;
const ATTRIBUTE_BYTES = 4;

/** Numbers of commands. */
const COMMANDS = {
  subvol: 1,
  snapshot: 2,
  mkfile: 3,
  mkdir: 4,
  mknod: 5,
  mkfifo: 6,
  mksock: 7,
  symlink: 8,
  rename: 9,
  link: 10,
  unlink: 11,
  rmdir: 12,
  set_xattr: 13,
  remove_xattr: 14,
  write: 15,
  clone: 16,
  truncate: 17,
  chmod: 18,
  chown: 19,
  utimes: 20,
  end: 21,
  update_extent: 22,
} as const;

export type CommandName = keyof typeof COMMANDS;

/** Types of attributes, and how their values are written. */
const ATTRIBUTES = {
  uuid: [1, "uuid"],
  ctransid: [2, "number"],
  ino: [3, "number"],
  size: [4, "number"],
  mode: [5, "number"],
  uid: [6, "number"],
  gid: [7, "number"],
  rdev: [8, "number"],
  ctime: [9, "time"],
  mtime: [10, "time"],
  atime: [11, "time"],
  otime: [12, "time"],
  xattr_name: [13, "text"],
  xattr_data: [14, "bytes"],
  path: [15, "text"],
  path_to: [16, "text"],
  path_link: [17, "text"],
  file_offset: [18, "number"],
  data: [19, "bytes"],
  clone_uuid: [20, "uuid"],
  clone_ctransid: [21, "number"],
  clone_path: [22, "text"],
  clone_offset: [23, "number"],
  clone_len: [24, "number"],
} as const;

type AttributeName = keyof typeof ATTRIBUTES;
type ValueOf<Kind> = Kind extends "number" ? number : Kind extends "time" ? Time : Kind extends "bytes" ? Uint8Array : string;

/** Attributes by name, in the order in which they are written. */
export type CommandAttributes = { readonly [K in AttributeName]?: ValueOf<(typeof ATTRIBUTES)[K][1]> };

export interface Command {
  readonly name: CommandName;
  readonly attributes: CommandAttributes;
}

/** Why bytes are no send stream. */
export class StreamProblem {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

function uuidBytes(uuid: string): Uint8Array {
  const hex = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16));
}

function uuidText(raw: Uint8Array): string {
  const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function numberBytes(value: number): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value), true);
  return out;
}

function timeBytes(value: Time): Uint8Array {
  const out = new Uint8Array(12);
  const view = new DataView(out.buffer);
  view.setBigInt64(0, BigInt(value.seconds), true);
  view.setUint32(8, value.nanoseconds, true);
  return out;
}

function valueBytes(kind: string, value: unknown): Uint8Array {
  if (kind === "number") return numberBytes(value as number);
  if (kind === "time") return timeBytes(value as Time);
  if (kind === "uuid") return uuidBytes(value as string);
  return kind === "text" ? new TextEncoder().encode(value as string) : (value as Uint8Array);
}

function encodeCommand({ name, attributes }: Command): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const [key, value] of Object.entries(attributes)) {
    const [type, kind] = ATTRIBUTES[key as AttributeName];
    const raw = valueBytes(kind, value);
    const part = new Uint8Array(ATTRIBUTE_BYTES + raw.length);
    const view = new DataView(part.buffer);
    view.setUint16(0, type, true);
    view.setUint16(2, raw.length, true);
    part.set(raw, ATTRIBUTE_BYTES);
    parts.push(part);
    length += part.length;
  }
  const out = new Uint8Array(COMMAND_BYTES + length);
  const view = new DataView(out.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, COMMANDS[name], true);
  let at = COMMAND_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  view.setUint32(6, crc32c(0, out), true);
  return out;
}

/** The bytes of a whole stream. */
export function encodeStream(commands: readonly Command[]): Uint8Array {
  const parts = commands.map(encodeCommand);
  const out = new Uint8Array(HEADER_BYTES + parts.reduce((sum, { length }) => sum + length, 0));
  out.set(new TextEncoder().encode(MAGIC), 0);
  new DataView(out.buffer).setUint32(MAGIC.length, VERSION, true);
  let at = HEADER_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const COMMAND_NAMES: ReadonlyMap<number, CommandName> = new Map(
  Object.entries(COMMANDS).map(([name, number]) => [number, name as CommandName]),
);
const ATTRIBUTE_NAMES: ReadonlyMap<number, AttributeName> = new Map(
  Object.entries(ATTRIBUTES).map(([name, [type]]) => [type, name as AttributeName]),
);

function decodeValue(kind: string, raw: Uint8Array): unknown {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  if (kind === "number") return raw.length === 8 ? Number(view.getBigUint64(0, true)) : undefined;
  if (kind === "time") {
    return raw.length === 12 ? { seconds: Number(view.getBigInt64(0, true)), nanoseconds: view.getUint32(8, true) } : undefined;
  }
  if (kind === "uuid") return raw.length === 16 ? uuidText(raw) : undefined;
  return kind === "text" ? new TextDecoder().decode(raw) : raw.slice();
}

function decodeAttributes(payload: Uint8Array): CommandAttributes | undefined {
  const out: Record<string, unknown> = {};
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  for (let at = 0; at < payload.length; ) {
    if (at + ATTRIBUTE_BYTES > payload.length) return undefined;
    const name = ATTRIBUTE_NAMES.get(view.getUint16(at, true));
    const length = view.getUint16(at + 2, true);
    const start = at + ATTRIBUTE_BYTES;
    if (name === undefined || start + length > payload.length) return undefined;
    const value = decodeValue(ATTRIBUTES[name][1], payload.subarray(start, start + length));
    if (value === undefined) return undefined;
    out[name] = value;
    at = start + length;
  }
  return out as CommandAttributes;
}

/** The commands of a stream, or what is wrong with its bytes. */
export function decodeStream(raw: Uint8Array): Command[] | StreamProblem {
  if (raw.length < HEADER_BYTES || new TextDecoder().decode(raw.subarray(0, MAGIC.length)) !== MAGIC)
    return new StreamProblem("it does not begin as a send stream does");
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const version = view.getUint32(MAGIC.length, true);
  if (version !== VERSION) return new StreamProblem(`version ${version} is not known`);
  const out: Command[] = [];
  for (let at = HEADER_BYTES; at < raw.length; ) {
    if (at + COMMAND_BYTES > raw.length) return new StreamProblem(`it ends within a command, at byte ${at}`);
    const end = at + COMMAND_BYTES + view.getUint32(at, true);
    const name = COMMAND_NAMES.get(view.getUint16(at + 4, true));
    if (end > raw.length) return new StreamProblem(`it ends within a command, at byte ${at}`);
    if (name === undefined) return new StreamProblem(`command ${view.getUint16(at + 4, true)} at byte ${at} is not known`);
    const whole = raw.slice(at, end);
    whole.fill(0, 6, 10);
    if (crc32c(0, whole) !== view.getUint32(at + 6, true))
      return new StreamProblem(`the checksum of the ${name} at byte ${at} is wrong`);
    const attributes = decodeAttributes(whole.subarray(COMMAND_BYTES));
    if (attributes === undefined) return new StreamProblem(`the attributes of the ${name} at byte ${at} are wrong`);
    out.push({ name, attributes });
    at = end;
    if (name === "end") break;
  }
  return out;
}
