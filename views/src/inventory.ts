// The view of `list_inventory`: cards that can be filtered, sorted, and sent on to the quote.

import { element, facts, fill, type Child } from "./dom.js";
import { money, timeAndAge } from "./format.js";
import { Host, type Arguments, type Outcome } from "./host.js";
import { nextStep } from "./next-step.js";

interface Vehicle {
  vin: string;
  year?: number;
  make?: string;
  model?: string;
  trim?: string;
  body?: string;
  color?: string;
  msrp?: number;
  price?: number;
  in_stock?: boolean;
  reserved?: boolean;
  stock_number?: string;
}

interface Inventory {
  vehicles: Vehicle[];
  searched: number;
  truncated: boolean;
  next_cursor?: string;
  as_of?: string;
  hint?: string;
}

type Order = (one: Vehicle, other: Vehicle) => number;

const ORDERS: Record<string, Order> = {
  "As listed": () => 0,
  "Lowest price": (one, other) => (one.price ?? Infinity) - (other.price ?? Infinity),
  "Highest price": (one, other) => (other.price ?? -Infinity) - (one.price ?? -Infinity),
  "Newest year": (one, other) => (other.year ?? 0) - (one.year ?? 0),
  Model: (one, other) => nameOf(one).localeCompare(nameOf(other)),
};

let args: Arguments = {};
let inventory: Inventory | undefined;
let vehicles: Vehicle[] = [];
let failure: string | undefined;
let isLoading = false;

const words = element("input", { type: "search", input: () => render() });
const body = element("select", { change: () => render() });
const order = element("select", { change: () => render() }, ...Object.keys(ORDERS).map((name) => element("option", {}, name)));
const free = element("input", { type: "checkbox", change: () => render() });
const controls = element(
  "div",
  { class: "controls", role: "group", "aria-label": "Filter and sort" },
  element("label", {}, "Words", words),
  element("label", {}, "Body", body),
  element("label", {}, "Sort", order),
  element("label", { class: "check" }, free, "Hide reserved and sold"),
);
const status = element("p", { role: "status", class: "note" });
const problem = element("div", { role: "alert" });
const cards = element("ul", { class: "cards" });
const foot = element("div");

const host = new Host<Inventory>("inventory", {
  onArguments: (received) => {
    args = received;
  },
  onOutcome: (outcome) => {
    vehicles = [];
    take(outcome);
  },
});

fill(
  document.getElementById("view") as HTMLElement,
  element("h1", {}, "Inventory"),
  controls,
  status,
  problem,
  cards,
  foot,
);
void host.connect();

function take(outcome: Outcome<Inventory>): void {
  failure = outcome.kind === "failure" ? outcome.text : undefined;
  if (outcome.kind === "answer") {
    inventory = outcome.answer;
    vehicles = [...vehicles, ...outcome.answer.vehicles];
    const bodies = [...new Set(vehicles.map((vehicle) => vehicle.body).filter((name) => name !== undefined))].sort();
    const chosen = body.value;
    fill(body, element("option", { value: "" }, "Any"), ...bodies.map((name) => element("option", {}, name)));
    body.value = bodies.includes(chosen) ? chosen : "";
  }
  render();
}

async function loadMore(): Promise<void> {
  if (isLoading || inventory?.next_cursor === undefined) return;
  isLoading = true;
  render();
  const outcome = await host.call("list_inventory", { ...args, cursor: inventory.next_cursor });
  isLoading = false;
  take(outcome);
}

function render(): void {
  const shown = vehicles.filter(isWanted).sort(ORDERS[order.value]);
  fill(status, statusText(shown.length));
  fill(problem, failure !== undefined && element("p", {}, failure));
  fill(cards, ...shown.map(card));
  fill(
    foot,
    inventory?.hint !== undefined && element("p", { class: "note" }, inventory.hint),
    inventory?.next_cursor !== undefined &&
      element(
        "button",
        { type: "button", "aria-disabled": isLoading, click: () => void loadMore() },
        isLoading ? "Loading…" : "Show more vehicles",
      ),
  );
}

function statusText(count: number): string {
  if (inventory === undefined) return failure === undefined ? "Waiting for the dealer's vehicles…" : "";
  const time = inventory.as_of === undefined ? "" : ` As of ${timeAndAge(inventory.as_of, Date.now())}.`;
  const more = inventory.next_cursor === undefined ? "" : " There are more.";
  return `${count} of ${vehicles.length} vehicles shown.${more}${time}`;
}

function isWanted(vehicle: Vehicle): boolean {
  const text = `${nameOf(vehicle)} ${vehicle.body ?? ""} ${vehicle.color ?? ""} ${vehicle.vin}`.toLowerCase();
  return (
    words.value.toLowerCase().split(/\s+/).every((word) => text.includes(word)) &&
    (body.value === "" || vehicle.body === body.value) &&
    !(free.checked && (vehicle.reserved === true || vehicle.in_stock === false))
  );
}

function card(vehicle: Vehicle): HTMLElement {
  const state: Child[] = [
    vehicle.reserved === true && element("strong", { class: "mark" }, "Reserved"),
    vehicle.in_stock === false && element("strong", { class: "mark" }, "Not in stock"),
  ];
  return element(
    "li",
    { class: "card" },
    element("h2", {}, nameOf(vehicle) || vehicle.vin),
    ...state,
    element("p", { class: "figure" }, money(vehicle.price) ?? "No price in the feed"),
    facts([
      ["MSRP", money(vehicle.msrp)],
      ["Colour", vehicle.color],
      ["Body", vehicle.body],
      ["Stock number", vehicle.stock_number],
      ["VIN", vehicle.vin],
    ]),
    nextStep(host, "Quote payments", `Quote payments for ${nameOf(vehicle)}, VIN ${vehicle.vin}`, () => {
      const dealer = typeof args["dealer"] === "string" ? ` at dealer ${args["dealer"]}` : "";
      void host.tell(`The person chose the vehicle with VIN ${vehicle.vin} in the inventory.`, { vin: vehicle.vin });
      return `Quote payments for VIN ${vehicle.vin}${dealer}.`;
    }),
  );
}

function nameOf(vehicle: Vehicle): string {
  return [vehicle.year, vehicle.make, vehicle.model, vehicle.trim].filter((part) => part !== undefined).join(" ");
}
