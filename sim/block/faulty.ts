/**
 * A device that fails where a test says so: the fault is a device around another, never a flag within an engine (after the kernel's
 * dm-flakey and dm-error).
 *
 * Interface: a command that fails does not reach the device below. Commands are counted from 1 for each kind, from when the fault was
 * injected. Of several faults that apply the one injected first answers, but each counts every command of its kind.
 */
import { Content } from "../core/content.ts";
import { EIO, type Errno, isErrno } from "../core/errno.ts";
import { type Bytes, bytes } from "../core/units.ts";
import { type BlockDevice, type IoLimits, readEach, writeEach } from "./device.ts";

/** When which commands fail. */
export interface Fault {
  readonly on: "read" | "write" | "discard" | "flush";
  /** The n-th command of its kind (that touches the range, if there is one), from 1; default 1: the next. */
  readonly at?: number;
  /** How many commands fail from there on; default 1. `Infinity`: for ever. */
  readonly times?: number;
  /** What they give; default EIO. ENOSPC is what a thin volume gives. */
  readonly error?: Errno;
  /** Only commands that touch these bytes: a bad spot on the medium. Not for flushes. */
  readonly range?: { readonly start: number; readonly end: number };
}

interface Armed {
  readonly fault: Fault;
  seen: number;
}

export class FaultyDevice implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly io: IoLimits | undefined;
  readonly rotational: boolean | undefined;
  readonly #device: BlockDevice;
  #armed: Armed[] = [];
  #failed = 0;

  constructor(device: BlockDevice, faults: readonly Fault[] = []) {
    this.name = device.name;
    this.size = device.size;
    this.sectorSize = device.sectorSize;
    this.io = device.io;
    this.rotational = device.rotational;
    this.#device = device;
    for (const fault of faults) this.inject(fault);
  }

  /** How many commands failed by a fault. */
  get failed(): number {
    return this.#failed;
  }

  /** Adds a fault; its count of commands begins now. */
  inject(fault: Fault): void {
    this.#armed.push({ fault, seen: 0 });
  }

  /** Takes all faults away. */
  heal(): void {
    this.#armed = [];
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    return this.#fails("read", offset, length) ?? this.#device.read(offset, length);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    return this.#fails("write", offset, content.length) ?? this.#device.write(offset, content);
  }

  readUnits(offset: Bytes, length: Bytes, unit: Bytes): Content | Errno {
    if (this.#armed.length === 0) return readEach(this.#device, offset, length, unit);
    const parts: Content[] = [];
    for (let at = 0; at < length; at += unit) {
      const part = this.read(bytes(offset + at), unit);
      if (isErrno(part)) return part;
      parts.push(part);
    }
    return Content.concat(parts);
  }

  writeUnits(offset: Bytes, content: Content, unit: Bytes): Errno | undefined {
    if (this.#armed.length === 0) return writeEach(this.#device, offset, content, unit);
    for (let at = 0; at < content.length; at += unit) {
      const failed = this.write(bytes(offset + at), content.slice(at, at + unit));
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    return this.#fails("discard", offset, length) ?? this.#device.discard(offset, length);
  }

  flush(): Errno | undefined {
    return this.#fails("flush", 0, this.size) ?? this.#device.flush();
  }

  #fails(on: Fault["on"], offset: number, length: number): Errno | undefined {
    let error: Errno | undefined;
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.on !== on) continue;
      if (fault.range !== undefined && (offset >= fault.range.end || offset + length <= fault.range.start)) continue;
      armed.seen += 1;
      const first = fault.at ?? 1;
      if (armed.seen >= first && armed.seen < first + (fault.times ?? 1)) error ??= fault.error ?? EIO;
    }
    if (error !== undefined) this.#failed += 1;
    return error;
  }
}
