/** Seconds since 1970 as dates, as the C library writes them. */
import { expect, test } from "vitest";
import { ctime, isoTime } from "../../sim/core/calendar.ts";

test.each([
  [0, "Thu Jan  1 00:00:00 1970", "1970-01-01T00:00:00+0000"],
  [951_827_696, "Tue Feb 29 12:34:56 2000", "2000-02-29T12:34:56+0000"],
  [1_600_000_000, "Sun Sep 13 12:26:40 2020", "2020-09-13T12:26:40+0000"],
  [4_107_542_399, "Sun Feb 28 23:59:59 2100", "2100-02-28T23:59:59+0000"],
  [4_107_542_400, "Mon Mar  1 00:00:00 2100", "2100-03-01T00:00:00+0000"],
  [-1, "Wed Dec 31 23:59:59 1969", "1969-12-31T23:59:59+0000"],
])("%i seconds are %s", (seconds, text, iso) => {
  expect([ctime(seconds), isoTime(seconds)]).toEqual([text, iso]);
});
