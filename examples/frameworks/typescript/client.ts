// A TypeScript client: finds a CX-5, quotes it, and is refused at a dealer that the caller may not use.
//
//     npm ci
//     npm start -- http://127.0.0.1:8000/mcp
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const url = new URL(process.argv[2] ?? 'http://127.0.0.1:8000/mcp');
const token = process.env.ROADSTER_MCP_TOKEN;
const transport = new StreamableHTTPClientTransport(url, {
  requestInit: { headers: token ? { Authorization: `Bearer ${token}` } : {} },
});
// 'auto' uses the protocol 2026-07-28, which needs no session. The default is 2025-11-25.
const client = new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });

interface Answer {
  text: string; // for the model
  data: any; // the same as fields, described by the tool's output schema
  refused: boolean;
}

async function call(name: string, args: Record<string, unknown>): Promise<Answer> {
  const { content, structuredContent, isError } = await client.callTool({ name, arguments: args });
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
  return { text, data: structuredContent, refused: isError === true };
}

await client.connect(transport);
try {
  const inventory = await call('list_inventory', { dealer: 'umazda', model: 'CX-5', limit: 1 });
  const { vin } = inventory.data.vehicles[0];
  const quote = await call('quote_payments', { dealer: 'umazda', vin });
  console.log(`lease: ${quote.data.lease.monthly_payment} a month`);
  const foreign = await call('list_inventory', { dealer: 'toyotademo' });
  if (foreign.refused) console.log(foreign.text);
} finally {
  await client.close();
}
