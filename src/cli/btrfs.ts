/**
 * `cowlab btrfs`: send streams, made from folders and received into a simulated btrfs.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { makeSnapshot, makeSubvolume, subvolumeIdOf } from "../../sim/cow/btrfs/ioctl.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { type Command, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { formatJson } from "../calls/json.ts";
import { perform } from "../calls/perform.ts";
import { CallSession } from "../calls/session.ts";
import { InputError, readWhole } from "../node/input-error.ts";
import { copyRealFolder } from "../node/real-folder.ts";
import { writeWhole } from "../node/whole-file.ts";
import { counted } from "../scenario/figures.ts";
import { UsageError } from "./exit.ts";

const TOP = "/m";
/** The simulated device: sparse, so that its size costs nothing. */
const DEVICE_SIZE = GIB(1024);
const STREAM_BYTES_MAX = GIB(1);

/** A host with a fresh btrfs. */
function freshHost(): { host: Host; fs: Btrfs } {
  const host = createHost();
  host.addDisk({ size: DEVICE_SIZE });
  host.mkfs("btrfs", "vda");
  host.task.mkdir(TOP, 0o755);
  host.mount({ type: "btrfs", source: "vda", target: TOP });
  const place = host.task.resolve(TOP);
  if (isErrno(place) || !(place.mount.fs instanceof Btrfs)) throw new TypeError("a fresh btrfs mounts");
  return { host, fs: place.mount.fs };
}

function readStream(path: string): Command[] {
  const commands = decodeStream(readWhole(path, STREAM_BYTES_MAX));
  if (commands instanceof StreamProblem) throw new InputError(`${path}: ${commands.message}`);
  return commands;
}

/** The commands of streams, one a line, as `btrfs receive --dump` prints them. */
export function dump(paths: readonly string[]): string {
  return paths.map((path) => `${dumpStream(readStream(path)).join("\n")}\n`).join("");
}

/** Receives streams one after the other. @returns what is there then, a row a file as a trace's `tree` gives it. */
export function receiveStreams(paths: readonly string[]): string {
  const { host } = freshHost();
  for (const path of paths) {
    const failed = receive({ task: host.task, folder: TOP, top: TOP }, readStream(path));
    if (failed === undefined) continue;
    if (isErrno(failed)) throw new UsageError(`${path}: ${failed.text}`);
    throw new UsageError(`${path}: ${dumpStream([failed.command]).join("").replace(/ +/g, " ")}: ${failed.errno.text}`);
  }
  const inside = host.task.chroot(TOP);
  if (isErrno(inside)) throw new TypeError("the mounted folder is there");
  const result = perform(new CallSession(inside), { call: "tree" });
  const rows = "value" in result && Array.isArray(result.value) ? result.value : [];
  return rows.map((row) => `${formatJson(row)}\n`).join("");
}

/** Makes a subvolume of a folder and writes its stream: whole, or as the difference to another folder's. */
export function sendFolder(
  folder: string,
  options: { readonly output: string; readonly parent?: string; readonly name?: string },
): string {
  const { name = "snapshot" } = options;
  if (name === "" || name === "." || name === ".." || name.includes("/"))
    throw new UsageError(`--name takes the name of a subvolume, without "/", not "${name}"`);
  const { host, fs } = freshHost();
  const { names, task } = host;
  const top = fs.root;
  const made = makeSubvolume(fs, top, names.intern("work"));
  if (isErrno(made)) throw new TypeError("a fresh btrfs takes a subvolume");
  const snapshotOf = (source: string, called: string): number => {
    copyRealFolder(task, source, `${TOP}/work`);
    const work = task.resolve(`${TOP}/work`);
    const id = isErrno(work) ? work : makeSnapshot(fs, work.inode, top, { name: names.intern(called), readOnly: true });
    if (isErrno(id)) throw new UsageError(`${source}: ${id.text}`);
    return id;
  };
  const parent = options.parent === undefined ? undefined : snapshotOf(options.parent, "parent");
  const id = snapshotOf(folder, "snapshot");
  const commands = send(fs, id, name, parent);
  if (isErrno(commands)) throw new TypeError(`a read-only snapshot is sent, not refused: ${commands.code}`);
  writeWhole(options.output, [encodeStream(commands)]);
  return `${options.output}: ${counted(commands.length, "command")}, subvolume ${subvolumeIdOf(fs, top)}/${id}\n`;
}
