// The view of `quote_payments`. Every figure is the server's: a change of a control asks it anew.

import { element, fill, type Child } from "./dom.js";
import { Host, kindOf, type Arguments, type Failure, type Outcome } from "./host.js";
import { Latest, Queue } from "./latest.js";
import { nextStep } from "./next-step.js";
import { DEAL_NAMES, type Deal, type DealName, type Quote } from "./quote-answer.js";
import { carSection, type Car } from "./quote-car.js";
import { Controls } from "./quote-controls.js";
import { ageText, expired } from "./quote-deals.js";
import { TOOL, chosenIncentives, chosenPlans, fitting, notOnOffer, readOffers } from "./quote-offers.js";
import { complete, sameTerms, tellable, termsOf } from "./quote-terms.js";
import { inWords } from "./quote-words.js";

const PAUSE = 250;
/** Milliseconds between two looks at the clock. */
const TICK = 60_000;

let cars: [Car, ...Car[]] = [newCar({})];
let active = 0;
let isForCustomer = false;
/** The buttons whose calls are awaited. */
const errands = new Set<string>();
let offersFailure: string | undefined;
let pinFailure: string | undefined;

const queue = new Queue();
const requests = new Latest<Car>(queue, PAUSE, ask);
const controls = new Controls((args) => change(args));
const status = element("p", { role: "status", class: "note" });
const problem = element("div", { role: "alert" });
const results = element("div");
const otherVin = element("input", { maxlength: "17", autocomplete: "off", spellcheck: "false" });
const offersButton = element("button", { type: "button", click: () => void errand("offers", loadOffers) }, "Show incentives and plans");
const offersProblem = element("div");
const pinProblem = element("div");
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
const pinOther = (): void => {
  const vin = otherVin.value.trim().toUpperCase();
  if (vin === "") otherVin.focus();
  else if (cars.some((car) => String(car.args["vin"]).toUpperCase() === vin)) {
    pinFailure = "It is shown already.";
    render();
  } else {
    const model = current();
    void errand("beside", () => pinBeside(vin, model));
  }
};
otherVin.addEventListener("keydown", ({ key }) => key === "Enter" && pinOther());
const pin = element(
  "div",
  { role: "group", "aria-label": "Second car" },
  element(
    "div",
    { class: "row" },
    element("label", {}, "Compare with VIN ", otherVin),
    element("button", { type: "button", click: pinOther }, "Put beside"),
  ),
  pinProblem,
);

const host = new Host<Quote>("quote", {
  onArguments: (args) => {
    cars[0].args = args;
    cars[0].quotedArgs = args;
    show();
  },
  onOutcome: (outcome) => take(cars[0], cars[0].args, outcome),
});

fill(
  document.getElementById("view") as HTMLElement,
  element("h1", {}, "Quote"),
  element("div", { class: "row" }, mode, offersButton),
  offersProblem,
  controls.group,
  pin,
  status,
  problem,
  results,
);
void host.connect();
setInterval(() => tick(), TICK);
render();

function newCar(args: Arguments): Car {
  return { args, quotedArgs: {}, isAsking: false, offers: {}, missing: [] };
}

function current(): Car {
  return cars[active] ?? cars[0];
}

function isBusy(): boolean {
  return errands.size > 0 || cars.some((car) => car.isAsking);
}

function show(): void {
  controls.show(current().args, current().offers);
  assume(current());
}

function assume({ quote }: Car): void {
  controls.assume({
    annual_miles: quote?.lease?.annual_miles,
    customer_cash: quote?.finance?.down_payment ?? quote?.lease?.down_payment,
  });
}

/** A change is asked for like for like: one term goes to all three deals. */
function change(args: Arguments): void {
  const car = current();
  const { deal_type: _type, ...terms } = args;
  car.args = { ...terms, detail: detailOf() };
  car.missing = [];
  submit(car);
}

function detailOf(): string {
  return isForCustomer ? "brief" : "full";
}

function submit(car: Car): void {
  car.isAsking = true;
  requests.submit(car);
  render();
}

async function ask(car: Car): Promise<void> {
  const args = complete(car.args);
  const outcome = await host.call(TOOL, args);
  car.isAsking = requests.isWaiting(car);
  take(car, args, outcome);
  if (outcome.kind === "answer" && !car.isAsking && cars.includes(car)) await tell(car, args, outcome.answer);
}

function take(car: Car, args: Arguments, outcome: Outcome<Quote>): void {
  if (outcome.kind === "failure") {
    car.failure = outcome;
  } else {
    delete car.failure;
    car.quote = outcome.answer;
    car.quotedArgs = args;
    if (car.args["vin"] === undefined) nameVehicle(car, outcome.answer.vin);
    const incentives = outcome.answer.details?.incentives;
    // The same list is not shown anew: a person may be in the middle of it.
    if (incentives !== undefined && JSON.stringify(incentives) !== JSON.stringify(car.offers.incentives)) {
      car.offers = { ...car.offers, incentives };
      if (car === current()) show();
    }
  }
  if (car === current()) assume(car);
  render();
}

/** Some hosts do not pass on the arguments of the model's call. The answer names the vehicle. */
function nameVehicle(car: Car, vin: string): void {
  car.args = { ...car.args, vin };
  car.quotedArgs = { ...car.quotedArgs, vin };
  if (car === current()) show();
}

/** Only numbers and plain arguments: texts of the dealer's data are no words of the person. */
async function tell({ offers }: Car, args: Arguments, quote: Quote): Promise<void> {
  const figures = Object.fromEntries(
    DEAL_NAMES.flatMap((name) => (quote[name] === undefined ? [] : [[name, figuresOf(quote[name])]])),
  );
  const text = `The person changed the terms of the quote for VIN ${quote.vin} to ${JSON.stringify(tellable(termsOf(args), offers))}.`;
  await host.tell(`${text} The server's figures with them: ${JSON.stringify(figures)}.`, {
    tool: TOOL,
    arguments: tellable(args, offers),
    figures,
  });
}

function figuresOf({ monthly_payment, term_months, down_payment, due_at_signing, total_cost }: Deal): Partial<Deal> {
  const figures = { monthly_payment, term_months, down_payment, due_at_signing, total_cost };
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}

/** Does the work of a button after all calls before it. The same button does nothing meanwhile. */
async function errand(name: string, work: () => Promise<void>): Promise<void> {
  if (errands.has(name)) return;
  errands.add(name);
  render();
  await queue.add(work);
  errands.delete(name);
  render();
}

async function loadOffers(): Promise<void> {
  const car = current();
  offersFailure = undefined;
  const outcome = await readOffers(host, complete(car.args), car.quote);
  if (outcome.kind === "answer") car.offers = outcome.answer;
  else offersFailure = outcome.text;
  const hadFocus = document.activeElement === offersButton; // it hides itself once all is there
  show();
  render();
  if (hadFocus) controls.focusOffers();
}

async function pinBeside(vin: string, model: Car): Promise<void> {
  pinFailure = undefined;
  const car = newCar({ vin });
  const outcome = await quoteAlike(car, model);
  if (outcome.kind === "failure") {
    pinFailure = outcome.text;
  } else {
    cars = [cars[0], car];
    active = 1;
    show();
  }
}

/** Quotes the car with the terms of the model, and with those of its incentives and plans that this car can have. */
async function quoteAlike(car: Car, model: Car): Promise<Outcome<Quote>> {
  const wish: Arguments = { ...complete(model.args), vin: car.args["vin"], detail: detailOf() };
  const isChosen = chosenIncentives(wish).length > 0 || chosenPlans(wish).length > 0;
  if (isChosen && (car.offers.incentives === undefined || car.offers.plans === undefined)) {
    const outcome = await readOffers(host, wish);
    if (outcome.kind === "failure") return outcome;
    car.offers = outcome.answer;
  }
  const args = fitting(wish, car.offers);
  const outcome = await host.call(TOOL, args);
  if (outcome.kind === "answer" && !car.isAsking) {
    // a change that waits is newer
    car.args = args;
    car.missing = notOnOffer(wish, car.offers, model.offers);
    if (car === current()) show();
  }
  take(car, args, outcome);
  if (outcome.kind === "answer" && !car.isAsking) await tell(car, args, outcome.answer);
  return outcome;
}

async function quoteWithSameTerms(car: Car, model: Car): Promise<void> {
  const outcome = await quoteAlike(car, model);
  if (outcome.kind === "failure") car.failure = outcome;
}

function choose(index: number): void {
  active = index;
  offersFailure = undefined;
  show();
  render();
}

function takeAway(index: number): void {
  const rest = cars.filter((_car, place) => place !== index);
  cars = [rest[0] ?? cars[0]];
  choose(0);
  otherVin.focus(); // the button is gone, and the one in its place does something else
}

function render(): void {
  const car = current();
  mode.setAttribute("aria-pressed", String(isForCustomer));
  const { incentives, plans } = car.offers;
  offersButton.hidden = isForCustomer || car.quote === undefined || (incentives !== undefined && plans !== undefined);
  pin.hidden = isForCustomer || car.quote === undefined;
  fill(status, isBusy() ? "Asking the server for the figures…" : statusText(car));
  fill(problem, car.failure !== undefined && failureBox(car, car.failure));
  fill(offersProblem, !isForCustomer && offersFailure !== undefined && note("The incentives and plans could not be read.", offersFailure));
  fill(pinProblem, pinFailure !== undefined && note("This car could not be put beside.", pinFailure));
  results.setAttribute("aria-busy", String(isBusy()));
  results.className = cars.length > 1 ? "cars two" : "cars";
  fill(results, ...cars.map(section));
}

function note(sentence: string, failure: string): HTMLElement {
  return element("div", { role: "alert" }, element("p", {}, `${sentence} ${inWords(failure)}`));
}

function statusText(car: Car): string {
  return car.quote === undefined && car.failure === undefined ? "Waiting for the quote…" : "";
}

/** A customer learns what is wrong with the terms. Any other reason is for the dealer. */
function failureBox(car: Car, failure: Failure): HTMLElement {
  const back = element(
    "button",
    {
      type: "button",
      click: () => {
        delete car.failure;
        car.args = car.quotedArgs;
        show();
        render();
      },
    },
    "Back to the terms of these figures",
  );
  const isOfTerms = kindOf(failure) === "invalid_arguments";
  const isHidden = isForCustomer && !isOfTerms;
  const text = isHidden ? "There are no figures for these terms right now." : inWords(failure.text, car.args, car.offers);
  return element(
    "div",
    {},
    element("p", {}, text),
    car.quote !== undefined && element("p", {}, "The figures below are of the terms before. "),
    car.quote !== undefined && back,
  );
}

function section(car: Car, place: number): HTMLElement {
  return carSection(car, {
    place,
    isForCustomer,
    isOutdated: car.isAsking || (place === active && car.failure !== undefined),
    above: [...warnings(car), cars.length > 1 && besideButtons(place)],
    below: (name) => (isForCustomer ? null : step(car, name)),
  });
}

function warnings(car: Car): Child[] {
  const texts = car.quote === undefined ? [] : expired(car.quote, Date.now());
  const isOther = cars.some((other) => other.quote !== undefined && !isAlike(other, car));
  const again = (label: string, click: () => void): HTMLElement => element("button", { type: "button", click }, label);
  return [
    texts.length > 0 &&
      element("div", { class: "warning", "data-expired": true }, ...texts.map((text) => element("p", {}, text)), again("Quote again", () => submit(car))),
    isOther &&
      car !== current() &&
      element(
        "div",
        { class: "warning" },
        element("p", {}, "Quoted with other terms than the car beside it."),
        car.failure !== undefined && note("It could not be quoted.", isForCustomer ? "" : car.failure.text),
        again("Quote with the same terms", () => {
          const model = current(); // another car may be chosen before this one's turn comes
          void errand("same terms", () => quoteWithSameTerms(car, model));
        }),
      ),
  ];
}

/** What the other car cannot have makes no difference. It is named where the other one was quoted. */
function isAlike(one: Car, other: Car): boolean {
  return sameTerms(fitting(one.quotedArgs, other.offers), fitting(other.quotedArgs, one.offers));
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
    const { term_months, annual_miles } = car.quote?.[name] ?? {};
    const terms = termsOf(car.quotedArgs);
    if (term_months !== undefined) terms["term_months"] = term_months;
    if (annual_miles !== undefined) terms["annual_miles"] = annual_miles;
    const words = JSON.stringify(tellable(terms, car.offers));
    return `Go on with the ${name} deal for VIN ${car.quote?.vin}, with these terms: ${words}.`;
  });
}

/** The age moves on without a new answer. A quote that has run out is marked anew. */
function tick(): void {
  const now = Date.now();
  for (const [index, car] of cars.entries()) {
    const age = results.querySelector(`[data-age="${index}"]`);
    if (age !== null && car.quote !== undefined) fill(age, ageText(car.quote, now));
  }
  const marks = results.querySelectorAll("[data-expired]").length;
  if (marks !== cars.filter((car) => car.quote !== undefined && expired(car.quote, now).length > 0).length) render();
}
