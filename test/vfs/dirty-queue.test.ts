/** The queue of what is dirty: its order holds over many chunks, whatever leaves it meanwhile. */
import { expect, test } from "vitest";
import { DirtyQueue } from "../../sim/vfs/dirty-queue.ts";

interface Item {
  place: number;
  since: number;
}

function fill(queue: DirtyQueue<Item>, count: number, from = 0): Item[] {
  return Array.from({ length: count }, (_, index) => {
    const item: Item = { place: -1, since: from + index };
    item.place = queue.add(item, item.since);
    return item;
  });
}

function newQueue(): DirtyQueue<Item> {
  return new DirtyQueue<Item>((item) => (item as Item).place);
}

test("the oldest is told that has not left, also after thousands have", () => {
  const queue = newQueue();
  const items = fill(queue, 5000);
  for (const item of items.slice(0, 3000)) item.place = -1;
  expect(queue.oldest()).toBe(items[3000]);
  const later = fill(queue, 3000, 5000);
  expect(queue.oldest()).toBe(items[3000]);
  for (const item of items) item.place = -1;
  expect(queue.oldest()).toBe(later[0]);
  expect(later.every((item) => queue.has(item))).toBe(true);
  for (const item of later) item.place = -1;
  expect(queue.oldest()).toBeUndefined();
});

test("one that stays is told first, however many come and go behind it", () => {
  const queue = newQueue();
  const [first] = fill(queue, 1);
  for (let round = 1; round <= 5000; round++) for (const item of fill(queue, 1, round)) item.place = -1;
  expect(queue.oldest()).toBe(first);
  expect(queue.until(Number.POSITIVE_INFINITY)).toEqual([first]);
});

test("those that are old enough are told in their order, and no others", () => {
  const queue = newQueue();
  const gone = fill(queue, 2100);
  const items = fill(queue, 2100, 2100);
  for (const item of gone) item.place = -1;
  expect(queue.until(2099)).toEqual([]);
  expect(queue.until(2999)).toEqual(items.slice(0, 900));
  expect(queue.oldest()).toBe(items[0]);
  expect(queue.until(2999)).toEqual(items.slice(0, 900));
});

test("an item in another's place has its turn", () => {
  const queue = newQueue();
  const items = fill(queue, 3000);
  for (const item of items.slice(0, 2500)) item.place = -1;
  const other: Item = { place: (items[2500] as Item).place, since: 2500 };
  queue.replace(other.place, other);
  (items[2500] as Item).place = -1;
  expect(queue.oldest()).toBe(other);
  expect(queue.until(Number.POSITIVE_INFINITY)[0]).toBe(other);
});

test("rows and objects have their turns among each other, each at the time at which it came", () => {
  const places = new Map<number, number>();
  const queue = new DirtyQueue<Item>((item) => (typeof item === "number" ? (places.get(item) ?? -1) : item.place));
  const expected: (Item | number)[] = [];
  for (let at = 0; at < 3000; at++) {
    const since = Math.floor(at / 7);
    const item: Item | number = at % 3 === 0 ? { place: -1, since } : at;
    const place = queue.add(item, since);
    if (typeof item === "number") places.set(item, place);
    else item.place = place;
    expected.push(item);
  }
  places.delete(1);
  expect(queue.until(199)).toEqual(expected.slice(0, 1400).filter((item) => item !== 1));
  expect(queue.has(2)).toBe(true);
  expect(queue.at(places.get(2999) as number)).toBe(2999);
});
