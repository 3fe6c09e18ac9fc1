// A host on the bridge of ext-apps itself.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { AppBridge, PostMessageTransport, getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";
import { args, capabilities, hostCapabilities, hostContext, name, proxy, server, tool } from "./page.mjs";

const client = new Client(name, { capabilities });
void connect();

async function connect() {
  await client.connect(new StreamableHTTPClientTransport(server));
  const { tools } = await client.listTools();
  const uri = getToolUiResourceUri(tools.find((row) => row.name === tool));
  const { contents } = await client.readResource({ uri });
  const result = client.callTool({ name: tool, arguments: args });

  const frame = document.createElement("iframe");
  frame.src = proxy.href;
  frame.title = tool;
  document.body.append(frame);
  const bridge = new AppBridge(client, name, hostCapabilities, { hostContext });
  bridge.onsandboxready = () => bridge.sendSandboxResourceReady({ html: contents[0].text, csp: contents[0]._meta.ui.csp });
  bridge.onsizechange = ({ height }) => {
    frame.style.height = `${height}px`;
  };
  bridge.onmessage = async ({ content }) => {
    window.messages.push(content[0].text);
    return {};
  };
  bridge.onupdatemodelcontext = async (context) => {
    window.contexts.push(context);
    return {};
  };
  bridge.oninitialized = async () => {
    await bridge.sendToolInput({ arguments: args });
    await bridge.sendToolResult(await result);
  };
  window.bridge = bridge;
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
}
