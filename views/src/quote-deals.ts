// One quoted car: its three deals side by side, and the words that belong to them.

import { element, facts, type Child } from "./dom.js";
import { DAY, ageOf, isOver, money, number, timeAndAge } from "./format.js";
import { DEALERS_OWN, DEAL_NAMES, type Deal, type DealName, type Quote } from "./quote-answer.js";

/** What stands below each deal, such as a button. */
export type Below = (name: DealName) => Child;

type Format = (figure: number) => string | undefined;

const months: Format = (figure) => number(figure, " months");
const percent: Format = (figure) => number(figure, "%");

/** The figures that can stand in a deal, in the order of the page. */
const FIGURES: Record<string, [name: string, format: Format]> = {
  monthly_payment: ["Each month", money],
  term_months: ["Term", months],
  annual_miles: ["Miles a year", number],
  apr_percent: ["APR", percent],
  money_factor: ["Money factor", number],
  rate_percent: ["Rate", percent],
  msrp: ["MSRP", money],
  price: ["Price", money],
  rebate: ["Rebates", money],
  trade_equity: ["Trade equity", money],
  total_fees: ["Fees", money],
  acquisition_fee: ["Acquisition fee", money],
  sales_tax: ["Sales tax", money],
  monthly_tax: ["Tax a month", money],
  total_financed: ["Financed", money],
  total_interest: ["Interest", money],
  cap_cost: ["Cap cost", money],
  residual_value: ["Residual value", money],
  residual_percent: ["Residual", percent],
  overage_per_mile: ["Each mile over", money],
  total_cost: ["Total", money],
  due_to_customer: ["Back to the customer", money],
};

/** What is due at signing, and its parts. */
const PARTS: Record<string, string> = {
  due_at_signing: "Due at signing",
  down_payment: "Money down",
  first_payment: "First payment",
  first_payment_waiver: "First payment waived",
  fees: "Fees",
  taxes: "Taxes",
  security_deposit: "Security deposit",
};

const TITLES: Record<DealName, string> = { cash: "Cash", finance: "Finance", lease: "Lease" };

/** Returns what of the quote has run out, in words: its age, its programs, its rebates. */
export function expired(quote: Quote, now: number): string[] {
  const age = ageOf(quote.as_of, now);
  const programs = DEAL_NAMES.filter((name) => isOver(quote[name]?.program_expires, now)).map(
    (name) => `The program of the ${name} deal ended on ${quote[name]?.program_expires}.`,
  );
  const rebates = (quote.rebates ?? [])
    .filter((rebate) => isOver(rebate.expires, now))
    .map((rebate) => `${rebate.name ?? "A rebate"} ended on ${rebate.expires}.`);
  const all = isOver(quote.expires, now) ? [`The programs and rebates ended on ${quote.expires}.`] : [];
  return [...(age !== undefined && age >= DAY ? ["This quote is more than a day old."] : []), ...all, ...programs, ...rebates];
}

/** Returns when the quote was made, and how old it is. */
export function ageText(quote: Quote, now: number): string {
  return quote.as_of === undefined ? "" : `As of ${timeAndAge(quote.as_of, now)}.`;
}

export function deals(quote: Quote, below: Below): HTMLElement {
  return element("div", { class: "deals" }, ...DEAL_NAMES.map((name) => dealCard(quote, name, below)));
}

function dealCard(quote: Quote, name: DealName, below: Below): HTMLElement {
  const deal = quote[name];
  const absence = quote.unread?.includes(name) ? "Could not be read, so it may be on offer." : "Not on offer with these terms.";
  return element(
    "section",
    { class: "card", "data-deal": name, "aria-label": TITLES[name] },
    element("h3", {}, TITLES[name]),
    ...(deal === undefined ? [element("p", { class: "note" }, absence)] : dealFigures(name, figuresToShow(quote, name, deal))),
    ...(deal === undefined ? [] : disclosures(quote, name, whole(quote, name, deal))),
    deal !== undefined && below(name),
  );
}

/** Returns the figures of the deal, without a total that is in doubt: nobody may read it as the total. */
function figuresToShow(quote: Quote, name: DealName, deal: Deal): Deal {
  const { total_cost, ...figures } = whole(quote, name, deal);
  return total_cost === undefined || deal.doubts?.["total_cost"] !== undefined ? figures : { ...figures, total_cost };
}

/** Returns the deal with what stands beside it for all deals. Cash has no lender and no program. */
function whole({ msrp, price, rebate, trade_equity, lender, expires }: Quote, name: DealName, deal: Deal): Deal {
  const ofLender = name === "cash" ? {} : { lender, program_expires: expires };
  const shared = Object.entries({ msrp, price, rebate, trade_equity, ...ofLender });
  return { ...Object.fromEntries(shared.filter(([, value]) => value !== undefined)), ...deal };
}

function dealFigures(name: DealName, deal: Deal): Child[] {
  return [
    element("p", { class: "figure" }, headline(name, deal)),
    facts(Object.keys(FIGURES).flatMap((figure) => (figure === "monthly_payment" ? [] : [figureRow(figure, deal)]))),
    ...dueAtSigning(name, deal),
    deal.lender !== undefined && element("p", { class: "note" }, `Lender: ${deal.lender}`),
    deal.program !== undefined &&
      element(
        "p",
        { class: "note" },
        `Program: ${deal.program}`,
        deal.program_expires === undefined ? null : `, until ${deal.program_expires}`,
      ),
  ];
}

function figureRow(figure: string, deal: Deal): [name: string, value: string | undefined] {
  const value = (deal as Record<string, unknown>)[figure] ?? deal.due_at_signing_parts?.[figure];
  const [name, format] = FIGURES[figure] ?? [PARTS[figure] ?? figure.replaceAll("_", " "), money];
  return [name, typeof value === "number" ? format(value) : undefined];
}

function headline(name: DealName, deal: Deal): string {
  if (deal.monthly_payment !== undefined) return `${money(deal.monthly_payment)} a month`;
  return name === "cash" ? (money(deal.total_cost ?? deal.price) ?? "No figure") : "No payment";
}

/** The parts have widths in proportion, which the style sheet works out. Each figure is the server's. */
function dueAtSigning(name: DealName, deal: Deal): Child[] {
  if (deal.due_at_signing === undefined) return [];
  const parts = Object.entries({ down_payment: deal.down_payment, ...deal.due_at_signing_parts }).filter(
    (part): part is [string, number] => part[1] !== undefined,
  );
  const shown = parts.filter(([, amount]) => amount > 0);
  const label = `Due at signing, ${name}: ${shown.map(([part, amount]) => `${PARTS[part] ?? part} ${money(amount)}`).join(", ")}`;
  const bar = element("div", { class: "bar", role: "img", "aria-label": label });
  for (const [, amount] of shown) {
    const segment = element("span");
    segment.style.flexGrow = String(amount);
    bar.append(segment);
  }
  return [
    element("p", {}, element("strong", {}, `Due at signing: ${money(deal.due_at_signing)}`)),
    shown.length > 0 && bar,
    parts.length > 0 && facts(parts.map(([part, amount]) => [PARTS[part] ?? part, money(amount)])),
  ];
}

/** Whether an item is missing for the deal, such as a total that is less than what is paid. */
function isMissing({ disclosures }: Quote, figure: string, name: DealName): boolean {
  return disclosures?.missing.some((item) => item === figure || item === `${figure} (${name})`) ?? false;
}

/** The items that the law asks to stand beside the payment. They are shown to everybody, and never shortened. */
function disclosures(quote: Quote, name: DealName, deal: Deal): Child[] {
  if (name === "cash" || quote.disclosures === undefined) return [];
  const stated = quote.disclosures.say.filter((figure) => !isMissing(quote, figure, name));
  const rows = stated.map((figure) => figureRow(figure, deal));
  const items = rows.flatMap(([figure, value]) => (value === undefined ? [] : [`${figure}: ${value}`]));
  return [
    element("h4", {}, "Disclosures"),
    element("ul", { class: "disclosures" }, ...items.map((item) => element("li", {}, item))),
  ];
}

/** Returns the dealer's own figures, null where the caller has none of them. */
export function dealersOwn(quote: Quote): HTMLElement | null {
  const rows = Object.entries({ ...quote.details?.terms, vehicle: quote.details?.vehicle ?? {} }).flatMap(([name, terms]) =>
    Object.entries(DEALERS_OWN).flatMap(([key, title]): [string, string | undefined][] => {
      const figure = terms[key];
      return typeof figure === "number" ? [[`${title}, ${name}`, money(figure)]] : [];
    }),
  );
  if (rows.length === 0) return null;
  return element(
    "section",
    { class: "card", "data-own": true, "aria-label": "The dealer's own figures" },
    element("h3", {}, "The dealer's own figures"),
    facts(rows),
  );
}
