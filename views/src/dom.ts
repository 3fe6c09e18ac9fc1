// Elements are made here and nowhere else. Text goes in as text, so nothing in an answer can become markup.

type Properties = Record<string, string | number | boolean | ((event: Event) => void) | undefined>;
export type Child = Node | string | null | undefined | false;

/** Returns a new element. Functions listen to the event of their name, true is an attribute without a value. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...present(children));
  return node;
}

/** Puts the children in place of those that the node has. The focus stays at the control in the same place. */
export function fill(node: Element, ...children: Child[]): void {
  const place = controlsOf(node).findIndex((control) => control === document.activeElement);
  node.replaceChildren(...present(children));
  if (place !== -1) controlsOf(node)[place]?.focus();
}

function controlsOf(node: Element): HTMLElement[] {
  return [...node.querySelectorAll<HTMLElement>("button, input, select")];
}

/** Returns a list of names and values. A row without a value is left out. */
export function facts(rows: [name: string, value: string | undefined][]): HTMLElement {
  const cells = rows.flatMap(([name, value]) =>
    value === undefined ? [] : [element("div", {}, element("dt", {}, name), element("dd", {}, value))],
  );
  return element("dl", {}, ...cells);
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false);
}
