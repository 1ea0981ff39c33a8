/**
 * The merged view of a stack of lower layers: what a union without a writable layer shows. It is built as names are asked for, never
 * changes, and is shared by every mount over the same stack: a container adds only its upper layer's names.
 *
 * Words: a *view node* is one object of the view: for a directory the stack of layer directories that make it up, topmost first; for
 * anything else the one layer inode that shows. Node 1 is the root; 0 is none.
 *
 * Interface: after the first lookup of a name, finding it again is one hash probe, whatever the number of layers. `lastProbes` tells how
 * many layer lookups the kernel makes for a name, since the cost that is modelled is not the cost of the simulation.
 * Rules: union.md 1.2 (fs/overlayfs/namei.c: ovl_lookup, ovl_lookup_layer).
 */
import { assert } from "../core/assert.ts";
import { EACCES, EIO, EPERM, type Errno, isErrno } from "../core/errno.ts";
import type { Name, NameTable } from "../core/names.ts";
import { EntryMap } from "../vfs/entry-map.ts";
import { type FileSystem, type Inode, S_IFDIR, S_IFMT, S_IFREG, typeOf } from "../vfs/filesystem.ts";
import { findInDataLayers } from "./data-layers.ts";
import { ABSENT, type LayerDirectory, type LayerRules, OPAQUE, type StackedDirectory, WHITEOUT } from "./layer.ts";
import { type Listing, mergeListing } from "./listing.ts";
import { type NamePlaces, placesIn } from "./name-places.ts";
import { type ViewNode, ViewNodes } from "./view-nodes.ts";
import { isAbsolute, isDots, NO_NAME, newSearch, redirected, type Search } from "./view-search.ts";
import { XattrWhiteouts } from "./xattr-whiteouts.ts";

/** The root of every view. */
export const VIEW_ROOT: ViewNode = 1;
/** The child of an entry that was asked for and is not there. */
const NEGATIVE = 0xffff_ffff;
/** In the pools: a data-only layer that has not been looked for, and its inode. */
const DATA_UNKNOWN = 0xffff;
const INODE_UNKNOWN = -1;
/** From how many layers on a directory keeps which of them have a name: below, asking each layer costs less. */
const PLACES_KEPT_DEPTH = 4;

/** A part of the path of a search. */
interface PathPart {
  readonly begin: number;
  readonly end: number;
  /** Whether it is the last. */
  readonly final: boolean;
}

export class LowerView {
  readonly layers: readonly LayerDirectory[];
  /** Layers that show no names, and are asked only for the data of a file which the lowest layer has without them. */
  readonly dataLayers: readonly LayerDirectory[];
  readonly #rules: LayerRules;
  readonly #names: NameTable;
  readonly #dentries = new EntryMap();
  /** Where in the data-only layers a node's data are, as long as nobody has asked for them. */
  readonly #dataPaths = new Map<ViewNode, string>();
  readonly #nodes = new ViewNodes();
  readonly #listings = new Map<ViewNode, Listing>();
  readonly #xattrWhiteouts = new XattrWhiteouts();
  readonly #strays = new Map<number, ViewNode>();
  readonly #pastOthers = new Map<string, ViewNode>();
  readonly #assembled = new Map<string, ViewNode>();
  /** Which layers of a deep directory have which names, whiteouts too. */
  readonly #places = new Map<ViewNode, NamePlaces>();
  /** How many layer lookups the kernel makes for the name that was looked up last. */
  lastProbes = 0;
  /** How many mounts use it. */
  users = 0;

  /**
   * @param layers - the lower directories, topmost first.
   * @param dataLayers - the data-only ones, in the order in which they are asked.
   */
  constructor(
    layers: readonly LayerDirectory[],
    rules: LayerRules,
    names: NameTable,
    dataLayers: readonly LayerDirectory[] = [],
  ) {
    assert(layers.length > 0, "a view needs a layer");
    this.layers = layers;
    this.dataLayers = dataLayers;
    this.#rules = rules;
    this.#names = names;
    const root = newSearch(NO_NAME);
    for (const [index, { fs, inode }] of layers.entries()) {
      this.#take(root, index, inode);
      const marks = index < layers.length - 1 ? rules.marksOf(fs, inode, index) : 0;
      // Nobody looks whether a root hides anything.
      if (!isErrno(marks)) this.#xattrWhiteouts.noteLayer(root, marks, index);
    }
    this.#add(root);
  }

  /** Which layer shows the node: an index into `layers`. */
  layerOf(node: ViewNode): number {
    return this.#nodes.layerAt(this.#nodes.startOf(node));
  }
  fsOf(node: ViewNode): FileSystem {
    return (this.layers[this.layerOf(node)] as LayerDirectory).fs;
  }
  /** The topmost layer's inode of the node. */
  inodeOf(node: ViewNode): Inode {
    return this.#nodes.inodeAt(this.#nodes.startOf(node));
  }
  /**
   * Makes sure that a file's data are found, which are looked for when they are first needed (ovl_maybe_lookup_lowerdata).
   * @returns ENOENT when no data-only layer has a file there.
   */
  findData(node: ViewNode): Errno | undefined {
    const path = this.#dataPaths.get(node);
    if (path === undefined) return undefined;
    const found = findInDataLayers(this.dataLayers, this.#names, path);
    if (isErrno(found)) return found;
    this.#nodes.setPlace(this.#lastPlace(node), this.layers.length + found.layer, found.inode);
    this.#dataPaths.delete(node);
    return undefined;
  }
  /** Whether it is known where a file's data are. */
  knowsData(node: ViewNode): boolean {
    return !this.#dataPaths.has(node);
  }
  /** Where a file's data are: the lowest of its layers. Precondition: findData. */
  dataFsOf(node: ViewNode): FileSystem {
    return this.#fsAt(this.#lastPlace(node));
  }
  dataInodeOf(node: ViewNode): Inode {
    return this.#nodes.inodeAt(this.#lastPlace(node));
  }
  #lastPlace(node: ViewNode): number {
    return this.#nodes.startOf(node) + this.depthOf(node) - 1;
  }
  /** How many layers make up the node: 1 for what is no directory, unless its data are in another layer than its attributes. */
  depthOf(node: ViewNode): number {
    return this.#nodes.countOf(node);
  }
  isDirectory(node: ViewNode): boolean {
    return (this.fsOf(node).mode(this.inodeOf(node)) & S_IFMT) === S_IFDIR;
  }

  /**
   * Looks a name up in a merged directory.
   * @returns the node, 0 when no layer shows one, or the Errno of a redirect that is wrong or forbidden.
   */
  lookup(directory: ViewNode, name: Name): ViewNode | Errno {
    const known = this.#dentries.lookup(directory, name);
    if (known !== 0) {
      this.lastProbes = this.#nodes.probesOf(known);
      return known;
    }
    return this.#find(directory, name);
  }

  /**
   * The directories at a name, past whatever else there is: what a directory above the view merges with.
   * Precondition: the rules merge past others.
   */
  lookupDirectory(directory: ViewNode, name: Name): ViewNode | Errno {
    const found = this.lookup(directory, name);
    if (isErrno(found) || found === 0 || this.isDirectory(found)) return found;
    const key = `${directory}/${name}`;
    const known = this.#pastOthers.get(key);
    if (known !== undefined) return known;
    const search = newSearch(name);
    search.isDirectory = true;
    const made = this.#run(directory, search);
    if (!isErrno(made)) this.#pastOthers.set(key, made);
    return made;
  }

  /** The directory that is made up of given ones of the layers, topmost first; 0 for none. */
  assemble(stack: readonly { readonly layer: number; readonly inode: Inode }[]): ViewNode {
    if (stack.length === 0) return 0;
    const key = stack.map(({ layer, inode }) => `${layer}:${inode}`).join();
    const known = this.#assembled.get(key);
    if (known !== undefined) return known;
    const search = newSearch(NO_NAME);
    search.isDirectory = true;
    for (const { layer, inode } of stack) this.#take(search, layer, inode);
    const made = this.#add(search);
    this.#assembled.set(key, made);
    return made;
  }

  /** Looks up what a redirect names: a sibling in `directory`, or a path from the layers' roots. Errors as for `lookup`, and EACCES for what is no name. */
  lookupRedirect(directory: ViewNode, redirect: string): ViewNode | Errno {
    const name = this.#names.intern(redirect);
    if (redirect === "" || isDots(redirect, 0, redirect.length)) return EACCES;
    if (!redirect.startsWith("/")) return this.lookup(directory, name);
    // No name holds a slash, so that a path kept as a name of the root meets no entry.
    const known = this.#dentries.lookup(VIEW_ROOT, name);
    if (known !== 0) {
      this.lastProbes = known === NEGATIVE ? 0 : this.#nodes.probesOf(known);
      return known === NEGATIVE ? 0 : known;
    }
    return this.#find(VIEW_ROOT, name, redirect);
  }

  /** The node that stands for one inode of a layer outside the tree of names: a copied-up file's origin. */
  stray(layer: number, inode: Inode): ViewNode {
    const key = inode * this.layers.length + layer;
    const known = this.#strays.get(key);
    if (known !== undefined) return known;
    const search = newSearch(NO_NAME);
    this.#take(search, layer, inode);
    const made = this.#add(search);
    this.#strays.set(key, made);
    return made;
  }

  /** What a merged directory holds, in the order of union.md section 7; kept after the first call. */
  listing(directory: ViewNode): Listing | Errno {
    const known = this.#listings.get(directory);
    if (known !== undefined) return known;
    const made = mergeListing(this.stackOf(directory), this.#rules, ({ layer }) =>
      this.#xattrWhiteouts.mayBeIn(directory, layer),
    );
    if (!isErrno(made)) this.#listings.set(directory, made);
    return made;
  }

  /** The layers' directories that make up a merged one, topmost first. */
  stackOf(directory: ViewNode): StackedDirectory[] {
    const start = this.#nodes.startOf(directory);
    const stack: StackedDirectory[] = [];
    for (let at = start; at < start + this.depthOf(directory); at++) {
      stack.push({ fs: this.#fsAt(at), inode: this.#nodes.inodeAt(at), layer: this.#nodes.layerAt(at) });
    }
    return stack;
  }

  /** Where a directory's layers have their names; built once, at the cost of listing them. Undefined when one cannot be listed. */
  #placesOf(directory: ViewNode): NamePlaces | undefined {
    const known = this.#places.get(directory);
    if (known !== undefined) return known;
    const places = placesIn(this.stackOf(directory), this.#rules);
    if (places !== undefined) this.#places.set(directory, places);
    return places;
  }

  #fsAt(place: number): FileSystem {
    const layer = this.#nodes.layerAt(place);
    const among = this.layers.length;
    return ((layer < among ? this.layers[layer] : this.dataLayers[layer - among]) as LayerDirectory).fs;
  }

  /** @param path - the name's text where it is an absolute path. */
  #find(directory: ViewNode, name: Name, path?: string): ViewNode | Errno {
    const node = this.#run(directory, newSearch(name, path));
    if (isErrno(node)) return node;
    // That a name is absent is each mount's to remember; only what a redirect names is asked for here again and again.
    if (node !== 0) this.#dentries.put(directory, name, node);
    else if (path !== undefined) this.#dentries.put(directory, name, NEGATIVE);
    return node;
  }

  /** Asks the layers of a directory for what is searched. */
  #run(directory: ViewNode, search: Search): ViewNode | Errno {
    let from = directory;
    const depth = this.depthOf(directory);
    // A name is asked for only where it is; a path, or what a redirect names, in each layer.
    const places = depth >= PLACES_KEPT_DEPTH && search.path === undefined ? this.#placesOf(directory) : undefined;
    for (let index = 0; index < this.depthOf(from) && !search.stop; index++) {
      if (places !== undefined && search.path === undefined) {
        const next = places.next(search.name, index);
        search.probes += (next < 0 ? depth : next) - index;
        if (next < 0) break;
        index = next;
      }
      const place = this.#nodes.startOf(from) + index;
      const layer = this.#nodes.layerAt(place);
      const wasRelative = !isAbsolute(search);
      const lowest = this.#isLowest(search, layer, index === this.depthOf(from) - 1);
      const failed = this.#refuse(search) ?? this.#findInLayer(search, layer, this.#nodes.inodeAt(place), lowest);
      if (failed !== undefined) return failed;
      if (wasRelative && isAbsolute(search) && from !== VIEW_ROOT) {
        // An absolute redirect goes on from the roots of the layers below this one.
        from = VIEW_ROOT;
        index = layer;
      }
    }
    const dataPath = this.#dataPathOf(search);
    if (isErrno(dataPath)) return dataPath;
    this.lastProbes = search.probes;
    const node = search.layers.length === 0 ? 0 : this.#add(search);
    if (dataPath !== undefined) this.#dataPaths.set(node, dataPath);
    return node;
  }

  /**
   * Whether nobody looks at what a layer says of the layers below it (ovl_lookup: d.last). A parent that ends in the layer may still hold what an
   * absolute redirect finds further down, and what is no directory what a data-only layer has.
   */
  #isLowest({ isDirectory }: Search, layer: number, endsParent: boolean): boolean {
    const hasDataLayers = this.dataLayers.length > 0;
    if (!this.#rules.followsRedirects && !hasDataLayers) return endsParent && !this.#rules.looksAtLowestMarks;
    return (isDirectory || !hasDataLayers) && layer === this.layers.length - 1;
  }

  /** Whether options forbid to ask further layers for what the layers so far have told of (ovl_check_follow_redirect). */
  #refuse({ lacksData, path }: Search): Errno | undefined {
    const { followsMetacopies, followsRedirects } = this.#rules;
    return (lacksData && !followsMetacopies) || (path !== undefined && !followsRedirects) ? EPERM : undefined;
  }

  /** Where the data-only layers are to be asked for a file that no other layer has the data of, whatever the options. @returns EPERM, EIO. */
  #dataPathOf(search: Search): string | undefined | Errno {
    if (search.lacksData && this.dataLayers.length > 0 && isAbsolute(search)) {
      search.layers.push(DATA_UNKNOWN);
      search.inodes.push(INODE_UNKNOWN as Inode);
      return search.path;
    }
    return this.#refuse(search) ?? (search.lacksData ? EIO : undefined);
  }

  /** Asks one layer for the name or path of a search. */
  #findInLayer(search: Search, layer: number, from: Inode, lowest: boolean): Errno | undefined {
    const { fs } = this.layers[layer] as LayerDirectory;
    const { path = "" } = search;
    const isName = search.path === undefined;
    let at = from;
    let begin = path.startsWith("/") ? 1 : 0;
    for (;;) {
      const slash = path.indexOf("/", begin);
      const end = slash < 0 ? path.length : slash;
      if ((begin === end && !isName) || isDots(path, begin, end)) return EACCES;
      const name = isName ? search.name : this.#names.intern(path, begin, end);
      const found = this.#rules.probe(fs, at, name, layer);
      search.probes += 1;
      if (isErrno(found)) return found;
      if (found === ABSENT) return undefined;
      if (found === WHITEOUT) {
        search.stop = true;
        return undefined;
      }
      at = found as Inode;
      const final = slash < 0;
      // What a redirect on the way has put in the place of the parts before may be longer or shorter.
      const shift = (search.path ?? "").length - path.length;
      const type = fs.mode(at) & S_IFMT;
      if (final && search.lacksData && type !== S_IFREG) {
        search.stop = true;
        return undefined;
      }
      if (type !== S_IFDIR) {
        if (search.isDirectory && this.#rules.mergesPastOthers) return undefined;
        search.stop = true;
        return final && !search.isDirectory
          ? this.#takeObject(search, { fs, inode: at, layer }, begin + shift, lowest)
          : undefined;
      }
      const part = { begin: begin + shift, end: end + shift, final };
      const failed = lowest ? undefined : this.#afterDirectory(search, { fs, inode: at, layer }, part);
      if (failed !== undefined) return failed;
      if (final) {
        search.isDirectory = true;
        this.#take(search, layer, at);
        return undefined;
      }
      begin = end + 1;
    }
  }

  /** Adds what is no directory; a file without data goes on in the layers below. */
  #takeObject(search: Search, { fs, inode, layer }: StackedDirectory, begin: number, lowest: boolean): Errno | undefined {
    this.#take(search, layer, inode);
    const lacksData = typeOf(fs, inode) === S_IFREG && this.#rules.lacksData(fs, inode);
    if (isErrno(lacksData)) return lacksData;
    search.lacksData = lacksData;
    if (!lacksData) return undefined;
    search.stop = false;
    const redirect = lowest ? undefined : this.#rules.redirectOf(fs, inode);
    if (isErrno(redirect)) return redirect;
    if (redirect !== undefined) search.path = redirected(search, begin, redirect);
    return undefined;
  }

  #take(search: Search, layer: number, inode: Inode): void {
    search.layers.push(layer);
    search.inodes.push(inode);
  }

  /** What a directory on the way says of the layers below it: that they do not count, or that they have it elsewhere. */
  #afterDirectory(search: Search, directory: StackedDirectory, { begin, end, final }: PathPart): Errno | undefined {
    const marks = this.#rules.marksOf(directory.fs, directory.inode, directory.layer);
    if (isErrno(marks)) return marks;
    if (final) this.#xattrWhiteouts.noteLayer(search, marks, directory.layer);
    if ((marks & OPAQUE) !== 0) {
      search.stop = true;
      return undefined;
    }
    const redirect = this.#rules.redirectOf(directory.fs, directory.inode);
    if (redirect === undefined || isErrno(redirect)) return redirect;
    const rest = final ? "" : (search.path ?? "").slice(end);
    search.path = redirected(search, begin, redirect) + rest;
    return undefined;
  }

  #add(search: Search): ViewNode {
    const node = this.#nodes.add(search.layers, search.inodes, search.probes);
    this.#xattrWhiteouts.noteDirectory(node, search);
    return node;
  }
}
