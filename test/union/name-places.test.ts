/** Which layers of a merged directory have a name: the typed chains against plain lists. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Name } from "../../sim/core/names.ts";
import { NamePlaces } from "../../sim/union/name-places.ts";

const LAYERS = 9;
const names = fc.integer({ min: 1, max: 40 }).map((value) => value as Name);

test("The next place of a name is the topmost layer, from the asked one on, that has it", () => {
  const stacks = fc.array(fc.uniqueArray(names), { minLength: 1, maxLength: LAYERS });
  fc.assert(
    fc.property(stacks, names, fc.nat(LAYERS), (stack, name, from) => {
      const places = new NamePlaces();
      for (let place = stack.length - 1; place >= 0; place--) for (const each of stack[place] ?? []) places.add(each, place);
      expect(places.next(name, from)).toBe(stack.findIndex((layer, place) => place >= from && layer.includes(name)));
    }),
  );
});
