// What the pages of both bridges share: the call that the page's address names, and a log of what the view says.

const address = new URL(window.location.href);

export const tool = address.searchParams.get("tool");
export const args = JSON.parse(address.searchParams.get("arguments") ?? "{}");
export const proxy = new URL(`${address.protocol}//${address.searchParams.get("proxy")}/proxy.html`);
export const server = new URL("/mcp", address);
export const capabilities = {
  extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } },
};
export const hostCapabilities = { message: { text: {} }, serverTools: {}, updateModelContext: { text: {} } };
export const hostContext = {
  theme: address.searchParams.get("theme") ?? "light",
  styles: { variables: JSON.parse(address.searchParams.get("variables") ?? "{}") },
};

window.messages = [];
window.contexts = [];

export const name = { name: "view-tests", version: "1" };
