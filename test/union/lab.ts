/**
 * A small lab for the rules of unions: layers as folders of one tmpfs, and containers as overlay mounts over them.
 */
import { Clock } from "../../sim/core/clock.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { type KernelProfile, k6_18 } from "../../sim/core/kernel-profile.ts";
import { NameTable } from "../../sim/core/names.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { Tmpfs } from "../../sim/fs/tmpfs.ts";
import type { LayerDirectory } from "../../sim/union/layer.ts";
import { LowerViews } from "../../sim/union/lower-views.ts";
import type { OverlayFileSystem } from "../../sim/union/overlayfs/filesystem.ts";
import { InUse } from "../../sim/union/overlayfs/in-use.ts";
import { mountOverlay, type OverlayHost } from "../../sim/union/overlayfs/mount.ts";
import { isMountFailure, type OverlayOptions, parseOptions } from "../../sim/union/overlayfs/options.ts";
import { type FileSystem, type Inode, newAttributes, S_IFCHR, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";
import { Task } from "../../sim/vfs/task.ts";
import { Vfs } from "../../sim/vfs/vfs.ts";
import { CallSession } from "../../src/calls/session.ts";
import { bytesText, compareTexts, typeName } from "../../src/calls/show.ts";

const MEMORY_PAGES = 65_536;
const MARKS = ["opaque", "redirect", "metacopy", "whiteout"];

interface Tree {
  readonly diff: LayerDirectory;
  /** The folders of the layers below, topmost first. */
  readonly chain: readonly LayerDirectory[];
  readonly overlay: OverlayFileSystem | undefined;
  readonly session: CallSession;
}

/** Everything that overlays stand on in a test. */
export class UnionLab implements OverlayHost {
  readonly names: NameTable = new NameTable();
  readonly clock: Clock = new Clock();
  readonly events: EventStream = new EventStream(() => this.clock.now);
  readonly inUse: InUse = new InUse();
  readonly views: LowerViews = new LowerViews();
  readonly cache: PageCache;
  readonly vfs: Vfs;
  readonly backing: FileSystem;
  readonly options: Partial<OverlayOptions>;
  readonly trees: Map<string, Tree> = new Map();
  readonly profile?: KernelProfile;
  #devices = 10;

  constructor(mountOptions = "", profile?: KernelProfile) {
    this.cache = new PageCache(this.clock, this.events, { memoryPages: MEMORY_PAGES });
    this.vfs = new Vfs({ names: this.names, clock: this.clock, events: this.events, cache: this.cache });
    this.backing = new Tmpfs(this, { device: deviceNumber(0, 1), mode: 0o755 });
    const parsed = parseOptions(`lowerdir=l,upperdir=u,workdir=w,${mountOptions}`, (profile ?? k6_18).overlay, (path) => path);
    if (!("lower" in parsed)) throw new Error(parsed.message);
    this.options = parsed.options;
    if (profile !== undefined) this.profile = profile;
  }

  newDevice(): ReturnType<typeof deviceNumber> {
    return deviceNumber(0, this.#devices++);
  }

  folder(directory: Inode, name: string): Inode {
    const made = this.backing.create(directory, this.names.intern(name), {
      mode: S_IFDIR | 0o755,
      uid: 0,
      gid: 0,
      rdev: 0,
      target: "",
    });
    if (isErrno(made)) throw new Error(`${name}: ${made.code}`);
    return made;
  }

  /** A layer over another; a raw one is written in its own folder. */
  add(name: string, parent?: string, raw = false): Tree {
    const { backing: fs } = this;
    const home = this.folder(fs.root, name);
    const diff = { fs, inode: this.folder(home, "diff") };
    const work = { fs, inode: this.folder(home, "work") };
    const below = parent === undefined ? undefined : this.tree(parent);
    const chain = below === undefined ? [] : [below.diff, ...below.chain];
    const overlay = chain.length === 0 || raw ? undefined : mountOverlay(this, { lower: chain, upper: diff, work }, this.options);
    if (overlay !== undefined && isMountFailure(overlay)) throw new Error(overlay.message);
    const mount = this.vfs.mountRoot(overlay ?? fs);
    const root = { mount, inode: overlay === undefined ? diff.inode : overlay.root };
    const tree: Tree = { diff, chain, overlay, session: new CallSession(new Task(this.vfs, root), { keepsSeen: true }) };
    this.trees.set(name, tree);
    return tree;
  }

  tree(name: string): Tree {
    const tree = this.trees.get(name);
    if (tree === undefined) throw new Error(`there is no ${name}`);
    return tree;
  }

  /** The rows of the upper step of a trace. */
  upper(name: string): unknown[] {
    const { fs, inode } = this.tree(name).diff;
    const rows: [string, ...unknown[]][] = [];
    const of = newAttributes();
    const visit = (directory: Inode, path: string): void => {
      fs.iterate(directory, (entry) => {
        const at = fs.lookup(directory, entry);
        if (isErrno(at)) throw new Error("a listed name is not found");
        const where = `${path}/${this.names.text(entry)}`;
        fs.getattr(at, of);
        const kind = (of.mode & S_IFMT) === S_IFCHR && of.rdev === 0 ? "whiteout" : typeName(of.mode);
        const isFolder = (of.mode & S_IFMT) === S_IFDIR;
        const marks: Record<string, string> = {};
        for (const mark of MARKS) {
          const value = fs.getxattr(at, `trusted.overlay.${mark}`);
          if (!isErrno(value)) marks[mark] = bytesText(value);
        }
        rows.push(Object.keys(marks).length > 0 ? [where, kind, marks] : [where, kind]);
        if (isFolder) visit(at, where);
      });
    };
    visit(inode, "");
    return rows.sort(([one], [other]) => compareTexts(one, other));
  }

  check(): void {
    for (const { overlay } of this.trees.values()) overlay?.check();
  }
}
