import { expect, test } from "vitest";
import { DriverError } from "../../src/drivers/driver.ts";
import { parseBool, parseKeyValue, parseSize } from "../../src/drivers/options.ts";

test.each([
  ["10", 10],
  ["1k", 1024],
  ["50M", 50 * 2 ** 20],
  ["1.5G", 1.5 * 2 ** 30],
  ["2 TiB", 2 * 2 ** 40],
  ["32kb", 32 * 1024],
])("the size %s is %i bytes", (text, size) => {
  expect(parseSize(text)).toBe(size);
});

test.each(["", "M", "-1", "1X", "1.2.3.4q"])("%j is no size", (text) => {
  expect(parseSize(text)).toEqual(new DriverError(`invalid size: '${text}'`));
});

test("an option's key is taken in small letters, without spaces around", () => {
  expect(parseKeyValue(" Overlay2.Size = 1G")).toEqual({ key: "overlay2.size", value: "1G" });
  expect(parseKeyValue("nothing")).toEqual(new DriverError("Unable to parse key/value option: nothing"));
});

test("a flag is what Go takes as one", () => {
  expect(parseBool("T")).toBe(true);
  expect(parseBool("false")).toBe(false);
  expect(parseBool("yes")).toEqual(new DriverError('strconv.ParseBool: parsing "yes": invalid syntax'));
});
