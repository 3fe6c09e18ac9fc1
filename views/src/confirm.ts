// The card of a write: what would be sent, and the person's yes or no. The secret of the answer stays in this page.

import { element, facts, fill, type Child } from "./dom.js";
import { fieldInWords } from "./format.js";
import { Host, kindOf, type Outcome } from "./host.js";

const CARD = "roadster-mcp/card";

interface Card {
  approval_id: string;
  secret: string;
  tool: string;
  title: string;
  heading: string;
  fields: [label: string, value: string][];
  deed: string | null;
  expires_at: string;
}

type Answer = Record<string, unknown>;
type Decision = "yes" | "no";

let card: Card | undefined;
let decision: Decision | undefined;
let outcome: Outcome<Answer> | undefined;
let notice: string | undefined;

const certain = element("input", { type: "checkbox", change: () => say(undefined) });
const status = element("p", { role: "status", class: "note", tabindex: -1 });
const problem = element("div", { role: "alert" });
const content = element("div");

const host = new Host<Answer>("confirm", {
  onArguments: () => undefined,
  onOutcome: (received) => {
    card = cardOf(received);
    outcome = card === undefined ? received : undefined;
    decision = undefined;
    certain.checked = false;
    if (card !== undefined) setTimeout(render, Math.max(0, Date.parse(card.expires_at) - Date.now()) + 50);
    render();
  },
});

fill(document.getElementById("view") as HTMLElement, content, status, problem);
render();
void host.connect();

function cardOf(received: Outcome<Answer>): Card | undefined {
  return received.kind === "failure" ? (received.meta?.[CARD] as Card | undefined) : undefined;
}

async function decide(choice: Decision): Promise<void> {
  if (card === undefined || decision !== undefined || isOver(card)) return;
  if (choice === "yes" && card.deed !== null && !certain.checked) {
    say("Nothing was done. Tick the box first, if it is to be done.");
    return;
  }
  decision = choice;
  outcome = undefined;
  notice = undefined;
  render();
  status.focus(); // the button that had it is gone
  const { approval_id, secret, tool, deed } = card;
  const answer = { approval_id, secret, answer: choice, ...(choice === "yes" && deed !== null ? { deed } : {}) };
  // The server sends what it has stored, so this call needs no arguments.
  outcome = await host.call(tool, {}, { [CARD]: answer });
  const isOpen = stillWaits(outcome);
  if (isOpen) decision = undefined;
  render();
  if (!isOpen) await host.tell(summary(card, choice, outcome), { approval_id, tool, answer: choice, result: outcome.kind === "answer" ? "done" : kindOf(outcome) });
}

/** Whether the answer did not count, so that the person can give it again. */
function stillWaits(result: Outcome<Answer>): boolean {
  return result.kind === "failure" && stateOf(result) === undefined && !isLost(result);
}

/** Returns what the model reads with the person's next message: words of this page only. */
function summary({ tool }: Card, choice: Decision, result: Outcome<Answer>): string {
  const again = `Call ${tool} again with the same arguments to read what became of it: that writes nothing twice.`;
  if (result.kind === "answer" && choice === "no") return `The write of ${tool} was done before, with a yes. Then the person said no. ${again}`;
  if (result.kind === "answer") return `The person said yes on the card, and the write of ${tool} was done. ${again}`;
  if (wasDeclined(result)) return `The person said no to the write of ${tool} on the card. Do not ask again unless they want it.`;
  if (choice === "no") return `The person said no to the write of ${tool} on a card that had its answer before. ${again}`;
  return `The person said yes on the card, and the write of ${tool} was not answered with success. ${again}`;
}

/** Says it below the question, which stays as it is: the focus may be in it. */
function say(words: string | undefined): void {
  notice = words;
  renderWords();
}

function render(): void {
  fill(content, ...(card === undefined ? [element("h1", {}, "Confirmation")] : question(card)), ...answerOf(outcome));
  renderWords();
}

function renderWords(): void {
  const failure = failureText(outcome);
  fill(status, statusText());
  fill(problem, failure !== undefined && element("p", {}, failure), notice !== undefined && element("p", {}, notice));
}

function question(shown: Card): Child[] {
  const isOpen = decision === undefined && !isOver(shown);
  return [
    element("h1", {}, shown.heading),
    facts(shown.fields),
    isOpen && shown.deed !== null && element("label", { class: "row" }, certain, `Yes, I want to ${shown.deed}`),
    isOpen &&
      element(
        "div",
        { class: "row" },
        element("button", { type: "button", "data-answer": "yes", click: () => void decide("yes") }, `Yes: ${shown.title}`),
        element("button", { type: "button", "data-answer": "no", click: () => void decide("no") }, "No"),
      ),
  ];
}

/** A link that signs in as the customer. Nobody needs it beside the answer. */
const SIGNS_IN = "redirect_url";

function answerOf(result: Outcome<Answer> | undefined): Child[] {
  if (result?.kind !== "answer") return [];
  const shown = Object.entries(result.answer).filter(([name]) => name !== SIGNS_IN);
  const title = decision === "no" ? "It was done before, with a yes" : "Done";
  return [element("h2", {}, title), facts([...leaves(Object.fromEntries(shown))])];
}

/** Yields the label and the value of each field of an answer. */
function* leaves(node: unknown, label = ""): Generator<[label: string, value: string]> {
  if (typeof node !== "object" || node === null) {
    yield [label, String(node)];
    return;
  }
  for (const [name, value] of Object.entries(node)) {
    yield* leaves(value, Array.isArray(node) ? `${label} ${Number(name) + 1}` : labelIn(label, fieldInWords(name)));
  }
}

function labelIn(outer: string, words: string): string {
  return outer === "" ? words.slice(0, 1).toUpperCase() + words.slice(1) : `${outer}: ${words}`;
}

function statusText(): string {
  if (card === undefined) return outcome === undefined ? "Waiting for what would be sent…" : "";
  if (outcome !== undefined && !stillWaits(outcome)) return wasDeclined(outcome) ? "You said no. Nothing was sent." : "";
  if (decision !== undefined) return decision === "yes" ? "Sending…" : "Saying no…";
  const until = new Date(card.expires_at).toLocaleTimeString([], { timeStyle: "short" });
  if (outcome !== undefined) {
    return isOver(card) ? "The time of this card is over." : `Answer again until ${until}: nothing is sent twice.`;
  }
  return isOver(card) ? "Nobody answered in time. Nothing was sent." : `Nothing was sent yet. Answer until ${until}.`;
}

function failureText(result: Outcome<Answer> | undefined): string | undefined {
  if (result?.kind !== "failure" || wasDeclined(result)) return undefined;
  return isLost(result) ? "This host did not pass your answer on. Nothing was sent." : result.text;
}

/** Without its `_meta`, the answer reaches the server as a call that lacks all arguments. */
function isLost(result: Outcome<Answer>): boolean {
  return decision !== undefined && stateOf(result) === undefined && result.kind === "failure" && kindOf(result) === "invalid_arguments";
}

function wasDeclined(result: Outcome<Answer>): boolean {
  return stateOf(result) === "declined";
}

/** Returns how the card ended, undefined while it waits for an answer that counts. */
function stateOf(result: Outcome<Answer>): string | undefined {
  return result.kind === "failure" ? (result.meta?.[CARD] as { state?: string } | undefined)?.state : undefined;
}

function isOver(shown: Card): boolean {
  return Date.now() >= Date.parse(shown.expires_at);
}
