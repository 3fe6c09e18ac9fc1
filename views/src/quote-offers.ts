// The incentives and plans that a car can have, and which of those that were chosen for one car fit another one.

import type { Arguments, Host, Outcome } from "./host.js";
import type { IncentiveRow, Plan, Quote } from "./quote-answer.js";

export const TOOL = "quote_payments";

/** Each list is undefined until the server was asked for it. */
export interface Offers {
  incentives?: IncentiveRow[];
  plans?: Plan[];
}

export interface ChosenPlan {
  id: number;
  code?: string;
  tier?: string;
}

export function chosenIncentives(args: Arguments): string[] {
  return Array.isArray(args["incentives"]) ? (args["incentives"] as string[]) : [];
}

export function chosenPlans(args: Arguments): ChosenPlan[] {
  return Array.isArray(args["plans"]) ? (args["plans"] as ChosenPlan[]) : [];
}

/** Puts the value under the name, or takes the name away where there is none. */
export function put(target: Record<string, unknown>, name: string, value: unknown): void {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) delete target[name];
  else target[name] = value;
}

/** Asks for what the car of the arguments can have. `quote` saves a call if it has the incentives. */
export async function readOffers(host: Host<Quote>, args: Arguments, quote?: Quote): Promise<Outcome<Offers>> {
  let full = quote;
  if (full?.details?.incentives === undefined) {
    const { incentives: _incentives, plans: _plans, ...terms } = args;
    const outcome = await host.call(TOOL, { ...terms, detail: "full" });
    if (outcome.kind === "failure") return outcome;
    full = outcome.answer;
  }
  const deal = full.finance ?? full.lease;
  const figures: Arguments = { vin: args["vin"], deal_type: full.finance === undefined ? "cash" : "finance" };
  put(figures, "dealer", args["dealer"]);
  put(figures, "apr_percent", deal?.apr_percent);
  put(figures, "term_months", deal?.term_months);
  put(figures, "amount_financed", deal?.total_financed);
  const plans = await host.call<{ plans: Plan[] }>("list_protection_plans", figures);
  if (plans.kind === "failure") return plans;
  return { kind: "answer", answer: { incentives: full.details?.incentives ?? [], plans: plans.answer.plans } };
}

/** Returns the arguments with those incentives and plans that are on offer. What is not known stays. */
export function fitting(args: Arguments, offers: Offers): Arguments {
  const fit: Arguments = { ...args };
  put(fit, "incentives", chosenIncentives(args).filter((name) => hasIncentive(offers, name)));
  put(fit, "plans", chosenPlans(args).filter((plan) => hasPlan(offers, plan)));
  return fit;
}

/** Returns the names of the incentives and plans that were chosen and are not on offer, as people know them. */
export function notOnOffer(args: Arguments, offers: Offers, named: Offers): string[] {
  return [
    ...chosenIncentives(args)
      .filter((name) => !hasIncentive(offers, name))
      .map((name) => incentiveTitle(named, name)),
    ...chosenPlans(args)
      .filter((plan) => !hasPlan(offers, plan))
      .map((plan) => planTitle(named, plan)),
  ];
}

export function incentiveTitle(offers: Offers, name: string): string {
  return offers.incentives?.find((row) => row.name === name)?.title ?? name;
}

export function planTitle(offers: Offers, { id, tier }: ChosenPlan): string {
  const title = offers.plans?.find((plan) => plan.id === id)?.title ?? `plan ${id}`;
  return tier === undefined ? title : `${title}, ${tier}`;
}

function hasIncentive({ incentives }: Offers, name: string): boolean {
  return incentives === undefined || incentives.some((row) => row.name === name);
}

function hasPlan({ plans }: Offers, choice: ChosenPlan): boolean {
  if (plans === undefined) return true;
  const plan = plans.find(({ id }) => id === choice.id);
  return (
    plan !== undefined &&
    (choice.tier === undefined || plan.tiers.some(({ code }) => code === choice.tier)) &&
    (choice.code === undefined || plan.code === undefined || plan.code === choice.code)
  );
}
