// The page of one quoted car: its state, its deals, and the lists that belong to them.

import { element, type Child } from "./dom.js";
import { money } from "./format.js";
import type { Arguments, Failure } from "./host.js";
import { DEAL_NAMES, type Quote } from "./quote-answer.js";
import { ageText, dealersOwn, deals, type Below } from "./quote-deals.js";
import { incentiveTitle, type Offers } from "./quote-offers.js";
import { inWords } from "./quote-words.js";

export interface Car {
  args: Arguments;
  /** The terms of `quote`, which are not `args` while an answer is awaited or after a failure. */
  quotedArgs: Arguments;
  quote?: Quote;
  failure?: Failure;
  /** Whether the figures for `args` are awaited. */
  isAsking: boolean;
  offers: Offers;
  /** What was chosen for the car beside it and is not on offer here, in words. */
  missing: string[];
}

/** What stands in the page besides the answer. */
export interface Surroundings {
  place: number;
  isForCustomer: boolean;
  isOutdated: boolean;
  /** Warnings, and buttons that choose the car or take it away. */
  above: Child[];
  below: Below;
}

export function carSection(car: Car, { place, isForCustomer, isOutdated, above, below }: Surroundings): HTMLElement {
  const { quote } = car;
  if (quote === undefined) return element("section", { class: "car" });
  const title = quote.vehicle ?? quote.vin;
  return element(
    "section",
    { class: isOutdated ? "car outdated" : "car", "aria-label": title },
    element(
      "div",
      {},
      element("h2", {}, title),
      element("p", { class: "note" }, `VIN ${quote.vin}. `, element("span", { "data-age": place }, ageText(quote, Date.now()))),
      ...marks(car, quote),
      ...above,
    ),
    deals(quote, below),
    element("div", {}, ...lists(car, quote), ...notes(quote, isForCustomer)),
  );
}

function marks({ missing }: Car, quote: Quote): Child[] {
  const isFree = quote.stock === undefined || quote.stock === "in stock";
  return [
    !isFree && element("p", {}, element("strong", { class: "mark" }, `This vehicle is ${quote.stock}.`)),
    quote.unpriced === true && element("p", {}, element("strong", { class: "mark" }, "This vehicle has no price.")),
    missing.length > 0 && element("p", {}, element("strong", { class: "mark" }, `Not on offer for this car: ${missing.join("; ")}.`)),
  ];
}

function lists({ quotedArgs, offers }: Car, quote: Quote): Child[] {
  const plans = (quote.plans ?? []).map((plan) => priced([plan.title ?? "A plan", plan.tier].filter(Boolean).join(", "), plan.price, plan.deals));
  const rebates = (quote.rebates ?? []).map(({ name, amount, deals: only }) =>
    priced(name === undefined ? "A rebate" : incentiveTitle(offers, name), amount, only),
  );
  const say = (text: string): string => inWords(text, quotedArgs, offers);
  const doubts = DEAL_NAMES.flatMap((name) =>
    Object.entries(quote[name]?.doubts ?? {}).map(([figure, oddity]) => `${name}: ${figure} ${oddity}`),
  );
  const rows: [string, string[]][] = [
    ["Plans in these figures", plans],
    ["Rebates in these figures", rebates],
    ["Not applied", (quote.not_applied ?? []).map(say)],
    ["Assumed", (quote.assumed ?? []).map(say)],
    ["In doubt", doubts.map(say)],
    ["To be said with a payment, and not known here", (quote.disclosures?.missing ?? []).map(say)],
    ["Disclosures", quote.disclosures?.wording ?? []],
  ];
  return rows.map(
    ([title, texts]) =>
      texts.length > 0 && element("div", {}, element("h3", {}, title), element("ul", {}, ...texts.map((text) => element("li", {}, text)))),
  );
}

function notes(quote: Quote, isForCustomer: boolean): Child[] {
  return [
    !isForCustomer && quote.hint !== undefined && element("p", { class: "note" }, inWords(quote.hint)),
    quote.caveat !== undefined && element("p", { class: "note" }, quote.caveat),
    !isForCustomer && dealersOwn(quote),
  ];
}

/** Returns the name with its amount. `only` are the deals that have it, where not all have. */
function priced(name: string, amount: number | undefined, only: string[] | undefined): string {
  const text = amount === undefined ? name : `${name}: ${money(amount)}`;
  return only === undefined ? text : `${text} (${only.join(", ")} only)`;
}
