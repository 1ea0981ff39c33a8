/**
 * The kernel's filesystems through node:fs: tmpfs by itself, and overlayfs over tmpfs as dockerd mounts it.
 *
 * Interface: everything lies in a temporary folder that `dispose` removes. The overlay peer is run in a mount namespace of its own
 * (child.ts), so that a killed run leaves no mount behind.
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CannotRun, type Fill, type OpenMode, type Peer, type Tree } from "../peer.ts";

const TMPFS_MAGIC = 0x01021994;
const FLAGS = { read: "r", write: "r+", append: "a" } as const;
const NO_THROW = { throwIfNoEntry: false } as const;

/** The folder `root` of this machine as a tree. */
class FolderTree implements Tree {
  readonly #root: string;
  readonly #dispose: () => void;

  constructor(root: string, dispose: () => void) {
    this.#root = root;
    this.#dispose = dispose;
  }

  mkdirp(path: string): void {
    mkdirSync(this.#root + path, { recursive: true });
  }
  writeFile(path: string, content: Uint8Array): void {
    writeFileSync(this.#root + path, content);
  }
  open(path: string, mode: OpenMode): number {
    return openSync(this.#root + path, FLAGS[mode]);
  }
  close(handle: number): void {
    closeSync(handle);
  }
  read(handle: number, into: Uint8Array, position: number): number {
    return readSync(handle, into, 0, into.length, position);
  }
  write(handle: number, content: Uint8Array, position: number): void {
    writeSync(handle, content, 0, content.length, position);
  }
  append(handle: number, content: Uint8Array): void {
    writeSync(handle, content);
  }
  truncate(path: string, length: number): void {
    truncateSync(this.#root + path, length);
  }
  rename(source: string, target: string): void {
    renameSync(this.#root + source, this.#root + target);
  }
  unlink(path: string): void {
    unlinkSync(this.#root + path);
  }
  readdir(path: string): number {
    return readdirSync(this.#root + path).length;
  }
  stat(path: string): number {
    return statSync(this.#root + path).size;
  }
  missing(path: string): boolean {
    return statSync(this.#root + path, NO_THROW) === undefined;
  }
  dispose(): void {
    this.#dispose();
  }
}

/** node:fs on the machine's tmpfs. */
export function nodeTmpfs(): Peer {
  const place = ["/dev/shm", tmpdir()].find(isTmpfs);
  if (place === undefined) throw new CannotRun("no tmpfs at /dev/shm");
  return {
    layersMax: 0,
    copiesUp: false,
    share: 1,
    mount(_layers: number, fill: Fill): Tree {
      const root = mkdtempSync(join(place, "cowlab-bench-"));
      const tree = new FolderTree(root, () => rmSync(root, { recursive: true, force: true }));
      fill(tree, 0);
      return tree;
    },
  };
}

function isTmpfs(folder: string): boolean {
  try {
    return statfsSync(folder).type === TMPFS_MAGIC;
  } catch {
    return false;
  }
}

/** node:fs on the kernel's overlayfs, all layers on one tmpfs, with dockerd's options. */
export function overlayfsTmpfs(): Peer {
  if (process.platform !== "linux" || process.getuid?.() !== 0) throw new CannotRun("mounting overlayfs needs root on Linux");
  mountOverlay(1, () => {}).dispose();
  return { layersMax: 127, copiesUp: true, share: 1, mount: mountOverlay };
}

function mountOverlay(layers: number, fill: Fill): Tree {
  const base = mkdtempSync(join(tmpdir(), "cowlab-bench-"));
  const mounted: string[] = [];
  const dispose = (): void => {
    for (const place of mounted.reverse()) system("umount", [place]);
    rmSync(base, { recursive: true, force: true });
  };
  try {
    system("mount", ["-t", "tmpfs", "-o", "size=90%,nr_inodes=0", "tmpfs", base]);
    mounted.push(base);
    for (const name of ["upper", "work", "merged"]) mkdirSync(join(base, name));
    const lowers: string[] = [];
    for (let layer = 0; layer < layers; layer++) {
      mkdirSync(join(base, String(layer)));
      fill(new FolderTree(join(base, String(layer)), () => {}), layer);
      lowers.unshift(String(layer));
    }
    // Names relative to the folder, as dockerd gives them, keep 127 layers within the page that mount(2) allows.
    const options = `lowerdir=${lowers.join(":")},upperdir=upper,workdir=work,index=off`;
    system("mount", ["-t", "overlay", "-o", options, "overlay", join(base, "merged")], base);
    mounted.push(join(base, "merged"));
  } catch (error) {
    dispose();
    throw error;
  }
  return new FolderTree(join(base, "merged"), dispose);
}

/** Runs a command of the system in a folder. @throws CannotRun with the first line of its complaint. */
function system(command: string, parameters: readonly string[], folder = "/"): void {
  const { status, stderr, error } = spawnSync(command, [...parameters], { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new CannotRun((error?.message ?? stderr).trim().split("\n")[0]);
}
