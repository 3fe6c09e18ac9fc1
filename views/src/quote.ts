// The view of `quote_payments`. Every figure is the server's: a change of a control asks it anew.

import { element, fill, type Child } from "./dom.js";
import { money } from "./format.js";
import { Host, type Arguments, type Outcome } from "./host.js";
import { Latest } from "./latest.js";
import { nextStep } from "./next-step.js";
import { DEAL_NAMES, type Deal, type DealName, type Plan, type Quote } from "./quote-answer.js";
import { Controls, sameTerms, tellable, termsOf } from "./quote-controls.js";
import { ageText, dealersOwn, deals, expired } from "./quote-deals.js";

const TOOL = "quote_payments";
const PAUSE = 250;
/** Milliseconds between two looks at the clock. */
const TICK = 60_000;

interface Car {
  args: Arguments;
  /** The terms of `quote`, which are not `args` while an answer is awaited or after a failure. */
  quotedArgs: Arguments;
  quote?: Quote;
  failure?: string;
}

let cars: [Car, ...Car[]] = [{ args: {}, quotedArgs: {} }];
let active = 0;
let isForCustomer = false;
let isAsking = false;

const requests = new Latest<{ car: Car; isChoice: boolean }>(PAUSE, ask);
const controls = new Controls((args) => change(args));
const status = element("p", { role: "status", class: "note" });
const problem = element("div", { role: "alert" });
const results = element("div");
const otherVin = element("input", { maxlength: "17", autocomplete: "off", spellcheck: "false" });
const offers = element("button", { type: "button", click: () => void loadOffers() }, "Show incentives and plans");
const mode = element(
  "button",
  {
    type: "button",
    "aria-pressed": "false",
    click: () => {
      isForCustomer = !isForCustomer;
      render();
    },
  },
  "Customer looks on",
);
const put = (): void => pinBeside(otherVin.value.trim().toUpperCase());
otherVin.addEventListener("keydown", ({ key }) => key === "Enter" && put());
const pin = element(
  "div",
  { class: "row", role: "group", "aria-label": "Second car" },
  element("label", {}, "Compare with VIN ", otherVin),
  element("button", { type: "button", click: put }, "Put beside"),
);

const host = new Host<Quote>("quote", {
  onArguments: (args) => {
    cars[0].args = args;
    cars[0].quotedArgs = args;
    controls.show(args);
  },
  onOutcome: (outcome) => take(cars[0], cars[0].args, outcome),
});

fill(
  document.getElementById("view") as HTMLElement,
  element("h1", {}, "Quote"),
  element("div", { class: "row" }, mode, offers),
  controls.group,
  pin,
  status,
  problem,
  results,
);
void host.connect();
setInterval(() => tick(), TICK);
render();

function current(): Car {
  return cars[active] ?? cars[0];
}

/** A change is asked for like for like: one term goes to all three deals. */
function change(args: Arguments): void {
  const car = current();
  const { deal_type: _type, ...terms } = args;
  car.args = { ...terms, detail: isForCustomer ? "brief" : "full" };
  submit(car, true);
}

function submit(car: Car, isChoice: boolean): void {
  isAsking = true;
  requests.submit({ car, isChoice });
  render();
}

async function ask({ car, isChoice }: { car: Car; isChoice: boolean }): Promise<void> {
  const args = car.args;
  const outcome = await host.call(TOOL, args);
  isAsking = requests.hasNewer;
  take(car, args, outcome);
  if (isChoice && outcome.kind === "answer" && !requests.hasNewer) await tell(args, outcome.answer);
}

function take(car: Car, args: Arguments, outcome: Outcome<Quote>): void {
  if (outcome.kind === "failure") {
    car.failure = outcome.text;
  } else {
    delete car.failure;
    car.quote = outcome.answer;
    car.quotedArgs = args;
    if (car.args["vin"] === undefined) nameVehicle(car, outcome.answer.vin);
    const incentives = outcome.answer.details?.incentives;
    if (incentives !== undefined && car === current()) controls.offerIncentives(incentives);
  }
  render();
}

/** Some hosts do not pass on the arguments of the model's call. The answer names the vehicle. */
function nameVehicle(car: Car, vin: string): void {
  car.args = { ...car.args, vin };
  car.quotedArgs = { ...car.quotedArgs, vin };
  if (car === current()) controls.show(car.args);
}

/** Only numbers and plain arguments: texts of the dealer's data are no words of the person. */
async function tell(args: Arguments, quote: Quote): Promise<void> {
  const figures = Object.fromEntries(
    DEAL_NAMES.flatMap((name) => (quote[name] === undefined ? [] : [[name, figuresOf(quote[name])]])),
  );
  const text = `The person changed the terms of the quote for VIN ${quote.vin} to ${JSON.stringify(tellable(termsOf(args)))}.`;
  await host.tell(`${text} The server's figures with them: ${JSON.stringify(figures)}.`, {
    tool: TOOL,
    arguments: tellable(args),
    figures,
  });
}

function figuresOf({ monthly_payment, term_months, down_payment, due_at_signing, total_cost }: Deal): Partial<Deal> {
  const figures = { monthly_payment, term_months, down_payment, due_at_signing, total_cost };
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}

async function loadOffers(): Promise<void> {
  const car = current();
  if (isAsking) return;
  if (car.quote?.details === undefined) {
    car.args = { ...car.args, detail: "full" };
    submit(car, false);
  } else if (car.quote.details.incentives !== undefined) {
    controls.offerIncentives(car.quote.details.incentives);
  }
  const deal = car.quote?.finance ?? car.quote?.lease;
  const outcome = await host.call<{ plans: Plan[] }>("list_protection_plans", {
    ...(car.args["dealer"] === undefined ? {} : { dealer: car.args["dealer"] }),
    vin: car.args["vin"],
    deal_type: car.quote?.finance === undefined ? "cash" : "finance",
    ...(deal?.apr_percent === undefined ? {} : { apr_percent: deal.apr_percent }),
    ...(deal?.term_months === undefined ? {} : { term_months: deal.term_months }),
    ...(deal?.total_financed === undefined ? {} : { amount_financed: deal.total_financed }),
  });
  if (outcome.kind === "answer") controls.offerPlans(outcome.answer.plans);
  else car.failure = outcome.text;
  render();
}

function pinBeside(vin: string): void {
  if (vin === "") {
    otherVin.focus();
    return;
  }
  const { incentives: _incentives, plans: _plans, ...terms } = current().args;
  const car: Car = { args: { ...terms, vin }, quotedArgs: {} };
  cars = [cars[0], car];
  active = 1;
  controls.show(car.args);
  submit(car, true);
}

function choose(index: number): void {
  active = index;
  controls.show(current().args);
  render();
}

function takeAway(index: number): void {
  const rest = cars.filter((_car, place) => place !== index);
  cars = [rest[0] ?? cars[0]];
  choose(0);
}

function render(): void {
  const car = current();
  mode.setAttribute("aria-pressed", String(isForCustomer));
  offers.hidden = isForCustomer || controls.offersAll || car.quote === undefined;
  pin.hidden = isForCustomer || car.quote === undefined;
  fill(status, isAsking ? "Asking the server for the figures…" : statusText(car));
  fill(problem, car.failure !== undefined && failureBox(car));
  results.setAttribute("aria-busy", String(isAsking));
  results.className = cars.length > 1 ? "cars two" : "cars";
  fill(results, ...cars.map(carSection));
}

function statusText(car: Car): string {
  return car.quote === undefined && car.failure === undefined ? "Waiting for the quote…" : "";
}

function failureBox(car: Car): HTMLElement {
  const back = element(
    "button",
    {
      type: "button",
      click: () => {
        delete car.failure;
        car.args = car.quotedArgs;
        controls.show(car.args);
        render();
      },
    },
    "Back to the terms of these figures",
  );
  return element(
    "div",
    {},
    element("p", {}, car.failure ?? ""),
    car.quote !== undefined && element("p", {}, "The figures below are of the terms before. "),
    car.quote !== undefined && back,
  );
}

function carSection(car: Car, index: number): HTMLElement {
  const { quote } = car;
  if (quote === undefined) return element("section", { class: "car" });
  const now = Date.now();
  const isOutdated = index === active && (isAsking || car.failure !== undefined);
  return element(
    "section",
    { class: isOutdated ? "car outdated" : "car", "aria-label": quote.vehicle ?? quote.vin },
    element("h2", {}, quote.vehicle ?? quote.vin),
    element("p", { class: "note" }, `VIN ${quote.vin}. `, element("span", { "data-age": index }, ageText(quote, now))),
    ...marks(quote),
    ...warnings(car, now),
    cars.length > 1 && besideButtons(index),
    deals(quote, (name) => (isForCustomer ? null : step(car, name))),
    ...words(quote),
    !isForCustomer && dealersOwn(quote),
  );
}

function marks(quote: Quote): Child[] {
  const isFree = quote.stock === undefined || quote.stock === "in stock";
  return [
    !isFree && element("p", {}, element("strong", { class: "mark" }, `This vehicle is ${quote.stock}.`)),
    quote.unpriced === true && element("p", {}, element("strong", { class: "mark" }, "This vehicle has no price.")),
  ];
}

function warnings(car: Car, now: number): Child[] {
  const texts = car.quote === undefined ? [] : expired(car.quote, now);
  const isOther = cars.some((other) => other.quote !== undefined && !sameTerms(other.quotedArgs, car.quotedArgs));
  const again = (args: Arguments, label: string): HTMLElement =>
    element("button", { type: "button", click: () => quoteAgain(car, args) }, label);
  return [
    texts.length > 0 && element("div", { class: "warning" }, ...texts.map((text) => element("p", {}, text)), again(car.args, "Quote again")),
    isOther &&
      car !== current() &&
      element(
        "div",
        { class: "warning" },
        element("p", {}, "Quoted with other terms than the car beside it."),
        again({ ...current().args, vin: car.args["vin"] }, "Quote with the same terms"),
      ),
  ];
}

function quoteAgain(car: Car, args: Arguments): void {
  car.args = args;
  if (car === current()) controls.show(args);
  submit(car, true);
}

function besideButtons(index: number): HTMLElement {
  const isActive = index === active;
  return element(
    "div",
    { class: "row" },
    element(
      "button",
      { type: "button", "aria-pressed": String(isActive), click: () => choose(index) },
      isActive ? "The controls change this car" : "Change this car",
    ),
    !isForCustomer && element("button", { type: "button", click: () => takeAway(index) }, "Take away"),
  );
}

function step(car: Car, name: DealName): HTMLElement {
  const label = name === "cash" ? "Go on with cash" : `Go on with the ${name}`;
  return nextStep(host, label, `${label}, VIN ${car.quote?.vin}`, () => {
    const { term_months, down_payment: customer_cash, annual_miles } = car.quote?.[name] ?? {};
    const terms = JSON.stringify(tellable({ ...termsOf(car.quotedArgs), term_months, customer_cash, annual_miles }));
    return `Go on with the ${name} deal for VIN ${car.quote?.vin}, with these terms: ${terms}.`;
  });
}

function priced(name: string, amount: number | undefined): string {
  return amount === undefined ? name : `${name}: ${money(amount)}`;
}

function words(quote: Quote): Child[] {
  const plans = (quote.plans ?? []).map((plan) => priced([plan.title ?? "A plan", plan.tier].filter(Boolean).join(", "), plan.price));
  const rebates = (quote.rebates ?? []).map((rebate) => priced(rebate.name ?? "A rebate", rebate.amount));
  const lists: [string, string[]][] = [
    ["Plans in these figures", plans],
    ["Rebates in these figures", rebates],
    ["Not applied", quote.not_applied ?? []],
    ["Assumed", quote.assumed ?? []],
    ["Disclosures", quote.disclosures?.wording ?? []],
  ];
  return [
    ...lists.map(
      ([title, texts]) =>
        texts.length > 0 &&
        element("div", {}, element("h3", {}, title), element("ul", {}, ...texts.map((text) => element("li", {}, text)))),
    ),
    !isForCustomer && quote.hint !== undefined && element("p", { class: "note" }, quote.hint),
    quote.caveat !== undefined && element("p", { class: "note" }, quote.caveat),
  ];
}

/** The age moves on without a new answer. A quote that has run out is marked anew. */
function tick(): void {
  const now = Date.now();
  for (const [index, car] of cars.entries()) {
    const age = results.querySelector(`[data-age="${index}"]`);
    if (age !== null && car.quote !== undefined) fill(age, ageText(car.quote, now));
  }
  const isMarked = results.querySelector(".warning") !== null;
  if (!isMarked && cars.some((car) => car.quote !== undefined && expired(car.quote, now).length > 0)) render();
}
