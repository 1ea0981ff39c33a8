/**
 * The runs of one mapping by their first pages: a tree of nodes with up to 32 branches, five bits of the page number a level, all nodes in one
 * array. A node keeps only the branches that it has, in order, behind a bitmap of them; a search counts bits instead of comparing pages. So a
 * file written all over costs a few bytes a run, and one with two distant runs little more. A mapping with few runs needs none of this
 * (run-list.ts).
 *
 * Interface: `first` is the column that says at which page a row begins; a row's first page does not change while the row is in the index.
 */

import { assert } from "../core/assert.ts";
import { onesIn } from "../core/bits.ts";
import type { RunTable } from "./run-table.ts";

const DIGIT_BITS = 5;
const BRANCHES: number = 1 << DIGIT_BITS;
/** Levels whose digits lie within the low 30 bits of a page number. */
const LOW_LEVELS = 6;

/** The words of a node: which branches it has (of a free node: the next free one), how large it is, and the branches. */
const BITMAP = 0;
const SIZE = 1;
const BRANCH = 2;
/** Sizes of nodes in words. */
const SIZES: readonly number[] = [4, 8, 16, BRANCH + BRANCHES];
const FIRST_WORDS = 64;

/** The branch that a page is on at a level; 0 is the lowest. */
function digitOf(page: number, level: number): number {
  const bits =
    level < LOW_LEVELS ? page >>> (DIGIT_BITS * level) : Math.floor(page / 2 ** 30) >>> (DIGIT_BITS * (level - LOW_LEVELS));
  return bits & (BRANCHES - 1);
}

export class RunIndex {
  #words = new Uint32Array(FIRST_WORDS);
  #end = 1;
  /** The first free node of each size; 0: none. */
  readonly #free = SIZES.map(() => 0);
  /** 0: there are no runs. */
  #root = 0;
  #levels = 1;
  /** The page behind the last that so many levels can tell. */
  #reach = BRANCHES;
  #size = 0;
  /** The lowest node that `below` came to last, the word that leads to it, and its first page; NaN: none that is still there. */
  #leaf = 0;
  #leafLink = 0;
  #leafPage = Number.NaN;

  get size(): number {
    return this.#size;
  }

  /** An index of the runs of a list (run-list.ts). */
  static of(table: RunTable, list: number): RunIndex {
    const index = new RunIndex();
    for (let row = list; row !== 0; row = table.following[row] as number) index.add(table.first, row);
    return index;
  }

  /** The row with the greatest first page that is not behind `page`, or 0. */
  below(page: number): number {
    const words = this.#words;
    const top = this.#levels - 1;
    let node = this.#root;
    if (node === 0 || page < 0) return 0;
    if (page >= this.#reach) return this.#lastIn(node, top);
    let link = 0;
    let aside = 0;
    let asideLevel = 0;
    for (let level = top; ; level--) {
      const bitmap = words[node + BITMAP] as number;
      const digit = digitOf(page, level);
      if (level === 0) {
        this.#leaf = node;
        this.#leafLink = link;
        this.#leafPage = page - digit;
      }
      const before = onesIn(bitmap & ((1 << digit) - 1));
      const isThere = (bitmap >>> digit) & 1;
      if (level === 0 && before + isThere > 0) return words[node + BRANCH + before + isThere - 1] as number;
      if (before > 0) {
        aside = node + BRANCH + before - 1;
        asideLevel = level;
      }
      if (level === 0 || isThere === 0) break;
      link = node + BRANCH + before;
      node = words[link] as number;
    }
    return aside === 0 ? 0 : this.#lastIn(words[aside] as number, asideLevel - 1);
  }

  /** The row with the smallest first page behind `page`, or 0. */
  above(page: number): number {
    const words = this.#words;
    const top = this.#levels - 1;
    let node = this.#root;
    if (node === 0 || page >= this.#reach) return 0;
    if (page < 0) return this.#firstIn(node, top);
    let aside = 0;
    let asideLevel = 0;
    for (let level = top; ; level--) {
      const bitmap = words[node + BITMAP] as number;
      const digit = digitOf(page, level);
      const upTo = bitmap & ((2 << digit) - 1);
      const until = onesIn(upTo);
      const hasMore = (bitmap & ~((2 << digit) - 1)) !== 0;
      if (level === 0 && hasMore) return words[node + BRANCH + until] as number;
      if (hasMore) {
        aside = node + BRANCH + until;
        asideLevel = level;
      }
      if (level === 0 || ((bitmap >>> digit) & 1) === 0) break;
      node = words[node + BRANCH + until - 1] as number;
    }
    return aside === 0 ? 0 : this.#firstIn(words[aside] as number, asideLevel - 1);
  }

  #lastIn(node: number, level: number): number {
    const words = this.#words;
    let at = node;
    for (let left = level; left >= 0; left--) at = words[at + BRANCH + onesIn(words[at + BITMAP] as number) - 1] as number;
    return at;
  }

  #firstIn(node: number, level: number): number {
    const words = this.#words;
    let at = node;
    for (let left = level; left >= 0; left--) at = words[at + BRANCH] as number;
    return at;
  }

  add(first: Float64Array, row: number): void {
    const page = first[row] as number;
    const digit = digitOf(page, 0);
    const isHere = page - digit === this.#leafPage;
    this.#leafPage = Number.NaN;
    this.#size += 1;
    if (isHere) this.#branch(this.#leafLink, this.#leaf, digit, row);
    else this.#addFromRoot(page, row);
  }

  #addFromRoot(page: number, row: number): void {
    for (; page >= this.#reach; this.#reach *= BRANCHES, this.#levels += 1) {
      if (this.#root === 0) continue;
      const root = this.#newNode(0);
      this.#words[root + BITMAP] = 1;
      this.#words[root + BRANCH] = this.#root;
      this.#root = root;
    }
    if (this.#root === 0) this.#root = this.#newNode(0);
    // The word that leads to the node; 0 for #root.
    let link = 0;
    let node = this.#root;
    for (let level = this.#levels - 1; level > 0; level--) {
      const digit = digitOf(page, level);
      const bitmap = this.#words[node + BITMAP] as number;
      if (((bitmap >>> digit) & 1) !== 0) link = node + BRANCH + onesIn(bitmap & ((1 << digit) - 1));
      else link = this.#branch(link, node, digit, this.#newNode(0));
      node = this.#words[link] as number;
    }
    this.#branch(link, node, digitOf(page, 0), row);
  }

  /** Gives a node a branch that it does not have; a full one is replaced by a larger one. @returns the branch's word. */
  #branch(link: number, given: number, digit: number, to: number): number {
    let node = given;
    const bitmap = this.#words[node + BITMAP] as number;
    const count = onesIn(bitmap);
    const size = this.#words[node + SIZE] as number;
    if (count + BRANCH === SIZES[size]) {
      node = this.#newNode(size + 1);
      this.#words.copyWithin(node + BRANCH, given + BRANCH, given + BRANCH + count);
      this.#freeNode(given);
      if (link === 0) this.#root = node;
      else this.#words[link] = node;
    }
    const words = this.#words;
    const place = node + BRANCH + onesIn(bitmap & ((1 << digit) - 1));
    for (let at = node + BRANCH + count; at > place; at--) words[at] = words[at - 1] as number;
    words[place] = to;
    words[node + BITMAP] = bitmap | (1 << digit);
    return place;
  }

  remove(first: Float64Array, row: number): void {
    const page = first[row] as number;
    const path: number[] = [];
    this.#leafPage = Number.NaN;
    let at = this.#root;
    for (let level = this.#levels - 1; level >= 0; level--) {
      path.push(at);
      const digit = digitOf(page, level);
      const bitmap = this.#words[at + BITMAP] as number;
      assert(((bitmap >>> digit) & 1) !== 0, "a run is not in its mapping's index");
      at = this.#words[at + BRANCH + onesIn(bitmap & ((1 << digit) - 1))] as number;
    }
    assert(at === row, "a run is not in its mapping's index");
    this.#size -= 1;
    for (let level = 0; ; level++) {
      const node = path.pop();
      if (node === undefined) break;
      if (!this.#cutBranch(node, digitOf(page, level))) return;
      this.#freeNode(node);
    }
    this.#root = 0;
    this.#levels = 1;
    this.#reach = BRANCHES;
  }

  /** Takes a branch from a node. @returns whether it was the last. */
  #cutBranch(node: number, digit: number): boolean {
    const words = this.#words;
    const bitmap = words[node + BITMAP] as number;
    const end = node + BRANCH + onesIn(bitmap) - 1;
    for (let at = node + BRANCH + onesIn(bitmap & ((1 << digit) - 1)); at < end; at++) words[at] = words[at + 1] as number;
    words[node + BITMAP] = bitmap & ~(1 << digit);
    return words[node + BITMAP] === 0;
  }

  #newNode(size: number): number {
    let node = this.#free[size] as number;
    if (node !== 0) this.#free[size] = this.#words[node + BITMAP] as number;
    else {
      node = this.#end;
      this.#end += SIZES[size] as number;
      if (this.#end > this.#words.length) this.#grow();
    }
    this.#words[node + BITMAP] = 0;
    this.#words[node + SIZE] = size;
    return node;
  }

  #freeNode(node: number): void {
    const size = this.#words[node + SIZE] as number;
    this.#words[node + BITMAP] = this.#free[size] as number;
    this.#free[size] = node;
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2 + BRANCHES);
    words.set(this.#words);
    this.#words = words;
  }
}
