// The server's sentences in words for people: they name arguments, which only programs know.

import type { Arguments } from "./host.js";
import { chosenPlans, incentiveTitle, planTitle, type Offers } from "./quote-offers.js";

const WORDS: Record<string, string> = {
  customer_cash: "money down",
  term_months: "term",
  annual_miles: "miles a year",
  no_taxes_or_fees: "leaving out taxes and fees",
  credit_score: "credit score",
  zip_code: "zip code",
  "trade_in.value": "trade-in value",
  "trade_in.payoff": "what is owed on the trade-in",
  "trade_in.mileage": "miles of the trade-in",
  trade_in: "trade-in",
  apr_percent: "APR",
  rate_percent: "rate",
  amount_financed: "amount financed",
  due_at_signing: "what is due at signing",
  total_cost: "total",
  rate_changes: "whether the rate may be increased later",
  end_of_lease_charge: "whether a charge may be imposed at the end of the lease",
};

/** An argument of a list, such as plans.0.tier. */
const PLAN = /\bplans\.(\d+)(?:\.(?:tier|id|code))?/g;
/** A text as JSON writes it. */
const TEXT = /"(?:[^"\\]|\\.)*"/g;
/** One or several incentives by their names. */
const INCENTIVES = new RegExp(`\\bincentives (${TEXT.source}(?:, ${TEXT.source})*)`, "g");
const NAME = /\b[a-z]+(?:_[a-z0-9]+)+(?:\.[a-z]+)?\b/g;

/** Returns the sentence as people say it. `args` are those that it is about. */
export function inWords(text: string, args: Arguments = {}, offers: Offers = {}): string {
  return text
    .replace("leave deal_type out", "change any term here")
    .replace(PLAN, (place: string, index: string) => planName(Number(index), args, offers) ?? place)
    .replace(INCENTIVES, (_place: string, names: string) =>
      names.replace(TEXT, (name) => incentiveTitle(offers, String(JSON.parse(name)))),
    )
    .replace(NAME, (name: string) => WORDS[name] ?? name.replace(/[._]/g, " "))
    .replace(/\bRoadster\b/g, "the dealer's system")
    .replace(/^[a-z]/, (letter) => letter.toUpperCase());
}

function planName(index: number, args: Arguments, offers: Offers): string | undefined {
  const plan = chosenPlans(args)[index];
  return plan && planTitle(offers, plan);
}
