// The terms of a quote among its arguments, and what a message to the model may tell of them.

import type { Arguments } from "./host.js";
import type { Offers } from "./quote-offers.js";

/** A code or the name of an incentive. Anything longer, or with a blank, could be a sentence to the model. */
const PLAIN_NAME = /^[\w-]{1,30}$/;

/**
 * Returns the arguments as a message may tell them. A text that is no plain name is left out, as it may be the upstream's.
 * Of an incentive, its row stands in its place: the model can read the name there.
 */
export function tellable(value: unknown, offers: Offers): unknown {
  if (typeof value === "string") return PLAIN_NAME.test(value) ? value : placeOf(value, offers);
  if (Array.isArray(value)) return value.map((item) => tellable(item, offers));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, tellable(item, offers)]));
}

function placeOf(text: string, { incentives = [] }: Offers): string {
  const row = incentives.findIndex(({ name }) => name === text);
  return row === -1 ? "(named in the view)" : `(the name in details.incentives.${row}, with detail full)`;
}

/** Returns the arguments as the server takes them. What is owed on a trade-in counts once its value is given. */
export function complete(args: Arguments): Arguments {
  const { trade_in, ...others } = args;
  const hasValue = (trade_in as { value?: number } | undefined)?.value !== undefined;
  return hasValue ? args : others;
}

/** Returns the arguments that are terms of the deals. */
export function termsOf(args: Arguments): Arguments {
  const { vin: _vin, dealer: _dealer, detail: _detail, deal_type: _type, ...terms } = args;
  return terms;
}

export function sameTerms(one: Arguments, other: Arguments): boolean {
  const sorted = (args: Arguments): string => JSON.stringify(Object.entries(termsOf(args)).sort());
  return sorted(one) === sorted(other);
}
