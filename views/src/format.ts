// Figures and times as a person reads them. Nothing is computed of figures: each stands as the server sent it.

const amounts = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const numbers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 6 });
const times = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "short" });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export function money(amount: number | undefined): string | undefined {
  return amount === undefined ? undefined : amounts.format(amount);
}

export function number(value: number | undefined, unit = ""): string | undefined {
  return value === undefined ? undefined : `${numbers.format(value)}${unit}`;
}

/** Returns the milliseconds since the time, undefined where the text is no time. */
export function ageOf(time: string | undefined, now: number): number | undefined {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? undefined : now - at;
}

/** Returns the time and its age in words. */
export function timeAndAge(time: string, now: number): string {
  const age = ageOf(time, now);
  return age === undefined ? time : `${times.format(Date.parse(time))}, ${inWords(age)}`;
}

function inWords(age: number): string {
  if (age < MINUTE) return "just now";
  if (age < HOUR) return counted(Math.floor(age / MINUTE), "minute");
  if (age < DAY) return counted(Math.floor(age / HOUR), "hour");
  return counted(Math.floor(age / DAY), "day");
}

function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
}

/** Returns whether the date, such as 2026-11-30, is over. A program is good until the end of its last day. */
export function isOver(date: string | undefined, now: number): boolean {
  const end = date === undefined ? undefined : ageOf(date, now);
  return end !== undefined && end >= (/^\d{4}-\d{2}-\d{2}$/.test(date ?? "") ? DAY : 0);
}

const SHORT_FORMS: Record<string, string> = { id: "ID", ids: "IDs", utm: "UTM", vin: "VIN", url: "URL" };

/** Returns the name of a field as a person reads it. The server writes the labels of a question by the same rule. */
export function fieldInWords(name: string): string {
  const words = name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase().split(" ");
  return words.map((word) => SHORT_FORMS[word] ?? word).join(" ");
}
