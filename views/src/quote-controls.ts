// The controls of a quote. They hold arguments of `quote_payments`, and each change of one tells of all of them.

import { element, fill } from "./dom.js";
import { money, number } from "./format.js";
import type { Arguments } from "./host.js";
import type { IncentiveRow, Plan } from "./quote-answer.js";
import { chosenIncentives, chosenPlans, put, type ChosenPlan, type Offers } from "./quote-offers.js";

const TERMS = [24, 36, 39, 48, 60, 72, 84];
const SCORES = [580, 620, 660, 700, 720, 740, 780, 820];

/** Values of a plan's list that are no tier. No tier has a blank in its code. */
const WITHOUT = "";
const ANY_TIER = "any tier";

const NOT_SAID = "Not said";

interface Trade {
  value?: number;
  payoff?: number;
  [other: string]: unknown;
}

export class Controls {
  readonly group: HTMLElement;
  private args: Arguments = {};
  private offers: Offers = {};
  private readonly term = choice(TERMS, (term) => `${term} months`, "As offered");
  private readonly score = choice(SCORES, (score) => `${score} and above`, "As assumed");
  private readonly down = slider("0", "20000", "250");
  private readonly miles = slider("5000", "25000", "1000");
  private readonly tradeValue = amount();
  private readonly payoff = amount();
  private readonly payoffNote = element("p", { class: "note", role: "status" });
  private readonly incentives = element("fieldset", { class: "wide", hidden: true });
  private readonly plans = element("fieldset", { class: "wide", hidden: true });

  constructor(private readonly onChange: (args: Arguments) => void) {
    this.group = element(
      "div",
      { class: "controls", role: "group", "aria-label": "Terms" },
      element("label", {}, "Term", this.term),
      pair("Money down", this.down),
      pair("Miles a year (lease)", this.miles),
      element("label", {}, "Trade-in value", this.tradeValue),
      element("div", {}, element("label", {}, "Owed on the trade-in", this.payoff), this.payoffNote),
      element("label", {}, "Credit score", this.score),
      this.incentives,
      this.plans,
    );
    this.group.addEventListener("input", () => this.read());
  }

  /** Shows the arguments of a car, and what it can have. */
  show(args: Arguments, offers: Offers): void {
    this.args = args;
    if (offers.incentives !== this.offers.incentives) this.offerIncentives(offers.incentives);
    if (offers.plans !== this.offers.plans) this.offerPlans(offers.plans);
    this.offers = { ...offers };
    select(this.term, args["term_months"]);
    select(this.score, args["credit_score"]);
    this.down.set(args["customer_cash"]);
    this.miles.set(args["annual_miles"]);
    const trade = (args["trade_in"] ?? {}) as Trade;
    this.tradeValue.value = textOf(trade.value);
    this.payoff.value = textOf(trade.payoff);
    this.notePayoff(trade);
    for (const box of this.incentives.querySelectorAll("input")) box.checked = chosenIncentives(args).includes(box.value);
    for (const list of this.plans.querySelectorAll("select")) {
      const plan = chosenPlans(args).find(({ id }) => id === planOf(list));
      pick(list, plan === undefined ? WITHOUT : (plan.tier ?? ANY_TIER));
    }
  }

  /** Shows what the server figured with, where nothing was said. */
  assume({ annual_miles, customer_cash }: { annual_miles?: number | undefined; customer_cash?: number | undefined }): void {
    this.miles.assume(annual_miles);
    this.down.assume(customer_cash);
  }

  private notePayoff({ value, payoff }: Trade): void {
    fill(this.payoffNote, payoff !== undefined && value === undefined && "Counts once the trade-in value is given.");
  }

  /** Puts the focus on the first incentive or plan, if there is one. */
  focusOffers(): void {
    this.group.querySelector<HTMLElement>("fieldset:not([hidden]) :is(input, select)")?.focus();
  }

  /** Offers the incentives by the names that work. */
  private offerIncentives(rows: IncentiveRow[] | undefined): void {
    this.incentives.hidden = rows === undefined;
    if (rows === undefined) return;
    const names = new Set(rows.flatMap(({ name }) => (name === undefined ? [] : [name])));
    const boxes = [...names].map((name) =>
      element(
        "label",
        { class: "check" },
        element("input", { type: "checkbox", value: name }),
        incentiveText(rows.filter((row) => row.name === name)),
      ),
    );
    this.offer(this.incentives, "Incentives", boxes);
  }

  /** A plan without tiers, or with one that has no code, can be chosen too. */
  private offerPlans(rows: Plan[] | undefined): void {
    this.plans.hidden = rows === undefined;
    if (rows === undefined) return;
    const lists = rows.map((plan) => {
      const coded = plan.tiers.filter(({ code }) => code !== undefined);
      const uncoded = plan.tiers.find(({ code }) => code === undefined);
      const tiers = coded.map((tier) => element("option", { value: tier.code }, priced(tier.title ?? tier.code, tier.price)));
      const any = element("option", { value: ANY_TIER }, priced(uncoded?.title ?? "Included", uncoded?.price));
      const choices = uncoded !== undefined || coded.length === 0 ? [any, ...tiers] : tiers;
      const list = element("select", { "data-plan": plan.id }, element("option", { value: WITHOUT }, "Without"), ...choices);
      return element("label", {}, plan.title ?? plan.code ?? `Plan ${plan.id}`, list);
    });
    this.offer(this.plans, "Protection plans", lists);
  }

  private offer(box: HTMLFieldSetElement, title: string, rows: HTMLElement[]): void {
    const none = element("p", { class: "note" }, "None on offer.");
    fill(box, element("legend", {}, title), ...(rows.length > 0 ? rows : [none]));
  }

  private read(): void {
    const trade: Trade = { ...((this.args["trade_in"] as Trade | undefined) ?? {}) };
    put(trade, "value", numberOf(this.tradeValue.value));
    put(trade, "payoff", numberOf(this.payoff.value));
    const args: Arguments = { ...this.args };
    put(args, "term_months", numberOf(this.term.value));
    put(args, "credit_score", numberOf(this.score.value));
    put(args, "customer_cash", this.down.get());
    put(args, "annual_miles", this.miles.get());
    put(args, "trade_in", trade.value === undefined && trade.payoff === undefined ? undefined : trade);
    this.notePayoff(trade);
    if (!this.incentives.hidden) put(args, "incentives", this.readIncentives());
    if (!this.plans.hidden) put(args, "plans", this.readPlans());
    this.args = args;
    this.onChange(args);
  }

  /** What was chosen and is not on offer here stays: nobody has taken it away. */
  private readIncentives(): string[] {
    const boxes = [...this.incentives.querySelectorAll("input")];
    const others = chosenIncentives(this.args).filter((name) => !boxes.some((box) => box.value === name));
    return [...others, ...boxes.filter((box) => box.checked).map((box) => box.value)];
  }

  private readPlans(): ChosenPlan[] {
    const lists = [...this.plans.querySelectorAll("select")];
    const before = chosenPlans(this.args);
    const others = before.filter(({ id }) => !lists.some((list) => planOf(list) === id));
    const chosen = lists.flatMap((list): ChosenPlan[] => {
      if (list.value === WITHOUT) return [];
      const { tier: _tier, ...plan } = before.find(({ id }) => id === planOf(list)) ?? { id: planOf(list) };
      return [list.value === ANY_TIER ? plan : { ...plan, tier: list.value }];
    });
    return [...others, ...chosen];
  }
}

function planOf(list: HTMLSelectElement): number {
  return Number(list.dataset["plan"]);
}

/** Returns the title of an incentive, with its amounts and the deals that have them. */
function incentiveText(rows: IncentiveRow[]): string {
  const worths = rows.map(({ amount: worth, deals }) => [money(worth), deals && `(${deals.join(", ")})`].filter(Boolean).join(" "));
  return [rows[0]?.title ?? rows[0]?.name, ...worths].filter(Boolean).join(", ");
}

function priced(name: string | undefined, price: number | undefined): string {
  return [name, money(price)].filter(Boolean).join(", ");
}

interface Slider {
  range: HTMLInputElement;
  field: HTMLInputElement;
  get(): number | undefined;
  set(value: unknown): void;
  /** Shows the value that counts while the field is empty. */
  assume(value: number | undefined): void;
}

/** A slider for a quick move, and a field beside it for an exact value. Empty leaves the value to the server. */
function slider(min: string, max: string, step: string): Slider {
  const range = element("input", { type: "range", min, max, step, value: min });
  const field = amount();
  let assumed = min;
  const follow = (): void => {
    range.value = field.value || assumed;
  };
  range.addEventListener("input", () => {
    field.value = range.value;
  });
  field.addEventListener("input", follow);
  return {
    range,
    field,
    get: () => numberOf(field.value),
    set: (value) => {
      field.value = textOf(value);
      follow();
    },
    assume: (value) => {
      assumed = value === undefined ? min : String(value);
      field.placeholder = value === undefined ? NOT_SAID : `${NOT_SAID}: ${number(value)}`;
      follow();
    },
  };
}

function pair(name: string, { range, field }: Slider): HTMLElement {
  range.setAttribute("aria-label", `${name}, slider`);
  field.setAttribute("aria-label", name);
  return element("label", {}, name, field, range);
}

function amount(): HTMLInputElement {
  return element("input", { type: "number", min: "0", step: "any", inputmode: "decimal", placeholder: NOT_SAID });
}

function choice(values: number[], text: (value: number) => string, none: string): HTMLSelectElement {
  const options = values.map((value) => element("option", { value }, text(value)));
  return element("select", {}, element("option", { value: "" }, none), ...options);
}

function select(list: HTMLSelectElement, value: unknown): void {
  pick(list, textOf(value));
}

/** Picks the value, and adds it where it is none of those on offer. */
function pick(list: HTMLSelectElement, text: string): void {
  if (![...list.options].some((option) => option.value === text)) list.append(element("option", { value: text }, text === ANY_TIER ? "Included" : text));
  list.value = text;
}

function textOf(value: unknown): string {
  return typeof value === "number" ? String(value) : "";
}

function numberOf(text: string): number | undefined {
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? undefined : value;
}
