/**
 * Seconds since 1970 as dates of the proleptic Gregorian calendar in UTC, and as the C library writes them.
 */

const DAY_SECONDS = 86_400;
const DAYS: readonly string[] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: readonly string[] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4;

interface DateInYear {
  readonly year: number;
  /** From 1 on, as the day is. */
  readonly month: number;
  readonly day: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** hh:mm:ss. */
  readonly clock: string;
}

const two = (value: number): string => String(value).padStart(2, "0");

function dateOf(seconds: number): DateInYear {
  const days = Math.floor(seconds / DAY_SECONDS);
  const rest = seconds - days * DAY_SECONDS;
  // In eras of 400 years that begin with March.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const weekday = (((days + FIRST_WEEKDAY) % 7) + 7) % 7;
  return {
    year,
    month,
    day,
    weekday,
    clock: `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`,
  };
}

/** As strftime's "%FT%T%z". @param seconds - since 1970, may be negative */
export function isoTime(seconds: number): string {
  const { year, month, day, clock } = dateOf(seconds);
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${clock}+0000`;
}

/** As ctime(3), without its newline. @param seconds - since 1970, may be negative */
export function ctime(seconds: number): string {
  const { year, month, day, weekday, clock } = dateOf(seconds);
  return `${DAYS[weekday]} ${MONTHS[month - 1]} ${String(day).padStart(2)} ${clock} ${year}`;
}
