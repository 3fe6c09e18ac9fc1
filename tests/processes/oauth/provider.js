// An OpenID provider on a loopback port, for tests: whatever name is typed in signs in.
//
//     node provider.js ISSUER
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const issuer = process.argv[2];
// A client id metadata document needs an https URL. It is answered here, so that no test leaves this machine.
const documentUrl = 'https://client.example.com/oauth/client.json';
const document = {
  client_id: documentUrl,
  client_name: 'a client with a document',
  redirect_uris: ['http://127.0.0.1:8765/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
  application_type: 'native',
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'robot',
      client_secret: 'robot-secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: 'pages',
      client_secret: 'pages-secret',
      // Of a native client on this machine, any port is good (RFC 8252).
      redirect_uris: ['http://127.0.0.1/people/signed-in/work'],
      application_type: 'native',
    },
    {
      client_id: 'earlier-client',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1:8765/callback'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        accessTokenFormat: 'jwt',
        audience: resource,
        jwt: { sign: { alg: 'RS256' } },
        scope: 'roadster other',
      }),
    },
  },
  fetch: async (url) => (String(url) === documentUrl ? Response.json(document) : new Response('', { status: 404 })),
  issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
  scopes: ['openid', 'offline_access', 'roadster', 'other'],
});
createServer(provider.callback()).listen(Number(new URL(issuer).port), '127.0.0.1');
