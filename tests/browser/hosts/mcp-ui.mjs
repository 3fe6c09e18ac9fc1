// A host on @mcp-ui/client.

import { AppRenderer } from "@mcp-ui/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { args, capabilities, hostCapabilities, hostContext, name, proxy, server, tool } from "./page.mjs";

const client = new Client(name, { capabilities });
void connect();

async function connect() {
  await client.connect(new StreamableHTTPClientTransport(server));
  const result = await client.callTool({ name: tool, arguments: args });
  const root = document.createElement("div");
  document.body.append(root);
  createRoot(root).render(
    createElement(AppRenderer, {
      client,
      toolName: tool,
      toolInput: args,
      toolResult: result,
      sandbox: { url: proxy },
      hostCapabilities,
      hostContext,
      onMessage: async ({ content }) => {
        window.messages.push(content[0].text);
        return {};
      },
      onFallbackRequest: async ({ method, params }) => {
        if (method !== "ui/update-model-context") throw new Error(`${method} is not served`);
        window.contexts.push(params);
        return {};
      },
    }),
  );
}
