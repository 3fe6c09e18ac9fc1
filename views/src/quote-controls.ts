// The controls of a quote. They hold arguments of `quote_payments`, and each change of one tells of all of them.

import { element, fill } from "./dom.js";
import { money } from "./format.js";
import type { Arguments } from "./host.js";
import type { IncentiveRow, Plan } from "./quote-answer.js";

const TERMS = [24, 36, 39, 48, 60, 72, 84];
const SCORES = [580, 620, 660, 700, 720, 740, 780, 820];

interface Trade {
  value?: number;
  payoff?: number;
  [other: string]: unknown;
}

export class Controls {
  readonly group: HTMLElement;
  private args: Arguments = {};
  private readonly term = choice(TERMS, (term) => `${term} months`, "As offered");
  private readonly score = choice(SCORES, (score) => `${score} and above`, "As assumed");
  private readonly down = slider("0", "20000", "250");
  private readonly miles = slider("5000", "25000", "1000");
  private readonly tradeValue = amount();
  private readonly payoff = amount();
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
      element("label", {}, "Owed on the trade-in", this.payoff),
      element("label", {}, "Credit score", this.score),
      this.incentives,
      this.plans,
    );
    this.group.addEventListener("input", () => this.read());
  }

  /** Shows the arguments. */
  show(args: Arguments): void {
    this.args = args;
    select(this.term, args["term_months"]);
    select(this.score, args["credit_score"]);
    this.down.set(args["customer_cash"]);
    this.miles.set(args["annual_miles"]);
    const trade = (args["trade_in"] ?? {}) as Trade;
    this.tradeValue.value = textOf(trade.value);
    this.payoff.value = textOf(trade.payoff);
    for (const box of this.incentives.querySelectorAll("input")) box.checked = this.hasIncentive(box.value);
    for (const list of this.plans.querySelectorAll("select")) list.value = this.tierOf(Number(list.dataset["plan"]));
  }

  /** Offers the incentives by the names that work. */
  offerIncentives(rows: IncentiveRow[]): void {
    const boxes = rows.flatMap(({ name, title, amount: worth }) =>
      name === undefined
        ? []
        : [
            element(
              "label",
              { class: "check" },
              element("input", { type: "checkbox", value: name }),
              [title ?? name, money(worth)].filter(Boolean).join(", "),
            ),
          ],
    );
    this.offer(this.incentives, "Incentives", boxes);
  }

  offerPlans(rows: Plan[]): void {
    const lists = rows.map((plan) => {
      const tiers = plan.tiers.flatMap((tier) =>
        tier.code === undefined
          ? []
          : [element("option", { value: tier.code }, [tier.title ?? tier.code, money(tier.price)].filter(Boolean).join(", "))],
      );
      const list = element("select", { "data-plan": plan.id }, element("option", { value: "" }, "Without"), ...tiers);
      return element("label", {}, plan.title ?? plan.code ?? String(plan.id), list);
    });
    this.offer(this.plans, "Protection plans", lists);
  }

  get offersAll(): boolean {
    return !this.incentives.hidden && !this.plans.hidden;
  }

  private offer(box: HTMLFieldSetElement, title: string, rows: HTMLElement[]): void {
    box.hidden = false;
    const none = element("p", { class: "note" }, "None on offer.");
    fill(box, element("legend", {}, title), ...(rows.length > 0 ? rows : [none]));
    this.show(this.args);
  }

  private hasIncentive(name: string): boolean {
    return Array.isArray(this.args["incentives"]) && this.args["incentives"].includes(name);
  }

  private tierOf(plan: number): string {
    const plans = Array.isArray(this.args["plans"]) ? (this.args["plans"] as { id: number; tier?: string }[]) : [];
    return plans.find((row) => row.id === plan)?.tier ?? "";
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
    // Without a value there is no trade-in, whatever is owed on it.
    put(args, "trade_in", trade.value === undefined ? undefined : trade);
    if (!this.incentives.hidden) {
      const names = [...this.incentives.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
      put(args, "incentives", names.length > 0 ? names : undefined);
    }
    if (!this.plans.hidden) {
      const chosen = [...this.plans.querySelectorAll("select")]
        .filter((list) => list.value !== "")
        .map((list) => ({ id: Number(list.dataset["plan"]), tier: list.value }));
      put(args, "plans", chosen.length > 0 ? chosen : undefined);
    }
    this.args = args;
    this.onChange(args);
  }
}

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


interface Slider {
  range: HTMLInputElement;
  field: HTMLInputElement;
  get(): number | undefined;
  set(value: unknown): void;
}

/** A slider for a quick move, and a field beside it for an exact value. Empty leaves the value to the server. */
function slider(min: string, max: string, step: string): Slider {
  const range = element("input", { type: "range", min, max, step, value: min });
  const field = amount();
  range.addEventListener("input", () => {
    field.value = range.value;
  });
  field.addEventListener("input", () => {
    range.value = field.value || min;
  });
  return {
    range,
    field,
    get: () => numberOf(field.value),
    set: (value) => {
      field.value = textOf(value);
      range.value = field.value || min;
    },
  };
}

function pair(name: string, { range, field }: Slider): HTMLElement {
  range.setAttribute("aria-label", `${name}, slider`);
  field.setAttribute("aria-label", name);
  return element("label", {}, name, field, range);
}

function amount(): HTMLInputElement {
  return element("input", { type: "number", min: "0", step: "any", inputmode: "decimal", placeholder: "Not said" });
}

function choice(values: number[], text: (value: number) => string, none: string): HTMLSelectElement {
  const options = values.map((value) => element("option", { value }, text(value)));
  return element("select", {}, element("option", { value: "" }, none), ...options);
}

/** Selects the value, and adds it where it is none of those on offer. */
function select(list: HTMLSelectElement, value: unknown): void {
  const text = textOf(value);
  if (![...list.options].some((option) => option.value === text)) list.append(element("option", { value: text }, text));
  list.value = text;
}

function textOf(value: unknown): string {
  return typeof value === "number" ? String(value) : "";
}

function numberOf(text: string): number | undefined {
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? undefined : value;
}

function put(target: Record<string, unknown>, name: string, value: unknown): void {
  if (value === undefined) delete target[name];
  else target[name] = value;
}
