// The terms of a quote among its arguments, and what a message to the model may tell of them.

import type { Arguments } from "./host.js";

/** A code or the name of an incentive. Anything longer, or with a blank, could be a sentence to the model. */
const PLAIN_NAME = /^[\w-]{1,30}$/;

/** Returns the arguments as a message may tell them: a text of the upstream that is no plain name is left out. */
export function tellable(value: unknown): unknown {
  if (typeof value === "string") return PLAIN_NAME.test(value) ? value : "(named in the view)";
  if (Array.isArray(value)) return value.map(tellable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, tellable(item)]));
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
