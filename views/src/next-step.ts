// The next message to the model: written only when the person presses the button, and shown where the host takes none.

import { element, fill } from "./dom.js";
import type { Host } from "./host.js";

/** Returns a button that writes the text of `text()` into the chat. */
export function nextStep(host: Pick<Host<unknown>, "write">, label: string, name: string, text: () => string): HTMLElement {
  const note = element("p", { class: "note", role: "status" });
  const write = async (): Promise<void> => {
    const message = text();
    if (await host.write(message)) fill(note, "Written into the chat.");
    else fill(note, "This host takes no messages from a view. Write: ", element("q", {}, message));
  };
  return element(
    "div",
    { class: "next" },
    element("button", { type: "button", "aria-label": name, click: () => void write() }, label),
    note,
  );
}
