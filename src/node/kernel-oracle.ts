/**
 * The running kernel as an oracle: `kernel-oracle.py` makes a script's steps on it.
 *
 * Interface: one script at a time. `end` stops the oracle; its mounts end with it, since it has a mount namespace of its own.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Json, parseJson } from "../calls/json.ts";
import type { Script } from "../fuzz/script.ts";

const PROGRAM = fileURLToPath(new URL("kernel-oracle.py", import.meta.url));

/** Why the kernel cannot be asked here; undefined where it can. */
export function kernelObstacle(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can mount filesystems";
  const works = (command: string, words: readonly string[]): boolean => spawnSync(command, words).status === 0;
  if (!works("python3", ["--version"])) return "there is no python3";
  const script =
    'd=$(mktemp -d) && mount -t tmpfs t "$d" && cd "$d" && mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m';
  return works("unshare", ["--mount", "sh", "-c", script]) ? undefined : "no overlay filesystem can be mounted";
}

/** Whether a filesystem of this type can be made on a loop device here. */
export function canMake(type: string): boolean {
  const script = `f=$(mktemp) && d=$(mktemp -d) && truncate -s 512M "$f" && mkfs.${type} -q "$f" && mount -o loop "$f" "$d"; r=$?; umount "$d"; rm -rf "$f" "$d"; exit $r`;
  return spawnSync("unshare", ["--mount", "sh", "-c", script]).status === 0;
}

/** A step of a script of mounts: paths are relative to the tmpfs in which it happens, those in the options too. */
export interface MountStep {
  readonly do:
    | "mkdir"
    | "file"
    | "rmdir"
    | "exists"
    | "overlay"
    | "remount"
    | "umount"
    | "write"
    | "append"
    | "symlink"
    | "metacopy"
    | "chmod"
    | "unlink"
    | "stat"
    | "read";
  readonly path: string;
  readonly options?: string;
  /** What is written, or where a symbolic link leads. */
  readonly text?: string;
  /** Of a file without data (metacopy): its size in bytes, and where its data are. */
  readonly size?: number;
  readonly redirect?: string;
}

export class KernelOracle {
  readonly #child: ChildProcessWithoutNullStreams = spawn("unshare", ["--mount", "python3", PROGRAM]);
  readonly #answers: AsyncIterator<string> = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  #errors = "";

  constructor() {
    this.#child.stderr.on("data", (text: Buffer) => {
      this.#errors += text.toString();
    });
  }

  /** What the kernel answers to each step. @param fresh - on a filesystem that is made for this script alone */
  async ask(script: Script, { fresh = false }: { readonly fresh?: boolean } = {}): Promise<Json[]> {
    const lines = [{ open: { ...script.ground, fresh } }, ...script.steps, { close: true }];
    this.#child.stdin.write(`${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
    const answers: Json[] = [];
    for (const _ of lines) {
      const { value, done } = await this.#answers.next();
      if (done === true) throw new Error(`the oracle ended: ${this.#errors}`);
      answers.push(parseJson(value));
    }
    return answers.slice(1, -1);
  }

  /** What the kernel answers to mounts in a fresh tmpfs: "ok" or an errno for each step. */
  async mounts(steps: readonly MountStep[]): Promise<Json> {
    this.#child.stdin.write(`${JSON.stringify({ mounts: steps })}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`the oracle ended: ${this.#errors}`);
    return parseJson(value);
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.stdin.end();
    await ended;
  }
}
