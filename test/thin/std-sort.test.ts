/** Lists with equal keys, and how std::sort of libstdc++ 12 left them (by a hash over their numbers): length, keys, form, hash. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { stdSort } from "../../src/thin/std-sort.ts";

interface Item {
  readonly key: number;
  readonly number: number;
}

const RECORDED = JSON.parse(readFileSync(new URL("../data/std-sort.json", import.meta.url), "utf8")) as (readonly [
  length: number,
  keys: number,
  form: number,
  hash: number,
])[];

/** Keys in turn, up and down, or such that every median of three is as bad as can be. */
function keyOf(form: number, at: number, length: number, keys: number): number {
  if (form === 1) return at % keys;
  if (form === 2) return (at < Math.floor(length / 2) ? at : length - at) % keys;
  if (at >= keys) return 2 * (at - keys + 1);
  return at % 2 === 0 ? at + 1 : keys + at + (keys % 2 === 0 ? 0 : 1);
}

test("lists with equal items are left as std::sort leaves them", () => {
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  for (const [length, keys, form, hash] of RECORDED) {
    const list = Array.from(
      { length },
      (_, number): Item => ({ key: form === 0 ? next() % keys : keyOf(form, number, length, keys), number }),
    );
    stdSort(list, (one, other) => one.key < other.key);
    let told = 2_166_136_261;
    for (const { number } of list) told = Math.imul(told ^ number, 16_777_619) >>> 0;
    expect([length, keys, form, told]).toEqual([length, keys, form, hash]);
  }
});
