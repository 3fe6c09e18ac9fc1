// The official TypeScript client, with a person at its browser who is on the other side of stdin and stdout.
//
//     node client.js '{"url": "…"}'
//
// It writes a JSON object a line: {"authorize": URL} asks for the callback's query, which comes as a line. The last one
// has what was seen: the answer or the error, the tokens, and each request as "METHOD path".
import { createInterface } from 'node:readline/promises';
import {
  Client,
  ClientCredentialsProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';

const options = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const requests = [];
let saved = { tokens: options.tokens, client: options.client };
let callback;

const person = {
  redirectUrl: 'http://127.0.0.1:8765/callback',
  clientMetadataUrl: options.document,
  clientMetadata: {
    client_name: 'a TypeScript client',
    redirect_uris: ['http://127.0.0.1:8765/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  clientInformation: () => saved.client,
  saveClientInformation: (client) => (saved.client = client),
  tokens: () => saved.tokens,
  saveTokens: (tokens) => (saved.tokens = tokens),
  saveCodeVerifier: (verifier) => (saved.verifier = verifier),
  codeVerifier: () => saved.verifier,
  redirectToAuthorization: async (url) => {
    write({ authorize: String(url) });
    callback = new URLSearchParams((await lines.next()).value);
  },
};
const robot = () =>
  new ClientCredentialsProvider({
    clientId: options.robot,
    clientSecret: `${options.robot}-secret`,
    expectedIssuer: options.issuer,
  });
const authProvider = options.robot ? robot() : person;

async function recordingFetch(url, init) {
  const body = init?.body instanceof URLSearchParams ? ` ${init.body.get('grant_type')}` : '';
  requests.push(`${init?.method ?? 'GET'} ${new URL(url).pathname}${body}`);
  return fetch(url, init);
}

async function answer() {
  const transport = new StreamableHTTPClientTransport(new URL(options.url), { authProvider, fetch: recordingFetch });
  const client = new Client({ name: 'flow', version: '1' }, { versionNegotiation: { mode: options.mode ?? 'auto' } });
  try {
    await client.connect(transport);
    const { structuredContent } = await client.callTool({ name: 'list_dealers', arguments: {} });
    return structuredContent;
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || callback === undefined) throw error;
    const answered = callback;
    callback = undefined;
    await transport.finishAuth(answered);
    return await answer();
  } finally {
    await client.close();
  }
}

let result;
try {
  result = { answer: await answer() };
} catch (error) {
  result = { error: String(error) };
}
write({ ...result, requests, tokens: await authProvider.tokens() });
process.exit(0);
