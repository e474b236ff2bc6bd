// An official client, unmodified: discovers, registers, logs in, and calls tools.
//
//   node client.mjs FLAVOUR URL CALLS
//
// FLAVOUR  sdk-1 | client-2-legacy | client-2-auto | sdk-of-2025-03
// CALLS    JSON: [["greet", {"name": "Ada"}], ["count", {"number": 2}]]
//
// Prints one JSON object a line. {"authorize": URL} asks whoever reads it to log in there; the browser comes back to
// this script. CLIENT_ID is a client that is registered already; SCOPE what to ask for where no server says it.
// With NO_REFRESH it keeps no refresh token.
import { createServer } from 'node:http';

const [flavour, url, calls] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));

const modules = {
  'sdk-1': () => Promise.all([import('@modelcontextprotocol/sdk/client/index.js'), import('@modelcontextprotocol/sdk/client/streamableHttp.js'), import('@modelcontextprotocol/sdk/client/auth.js')]),
  'sdk-of-2025-03': () => Promise.all([import('sdk-of-2025-03/client/index.js'), import('sdk-of-2025-03/client/streamableHttp.js'), import('sdk-of-2025-03/client/auth.js')]),
  'client-2': () => Promise.all([import('@modelcontextprotocol/client')]),
};
const family = flavour.startsWith('client-2') ? 'client-2' : flavour;
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = Object.assign({}, ...(await modules[family]()));

// Where the browser comes back to: a port of its own, as native applications have (RFC 8252 section 7.3).
const back = [];
let arrived = () => {};
const listener = createServer((request, response) => {
  const parameters = new URL(request.url, 'http://127.0.0.1').searchParams;
  response.end('Done: go back to the client.');
  if (parameters.has('code') || parameters.has('error')) {
    back.push(parameters);
    arrived();
  }
});
await new Promise((ready) => listener.listen(0, '127.0.0.1', ready));
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;

async function comeBack() {
  while (back.length === 0) await new Promise((wake) => (arrived = wake));
  return back.shift();
}

// What a client keeps between its steps; here only while it runs.
const kept = process.env.CLIENT_ID ? { client: { client_id: process.env.CLIENT_ID } } : {};
let logins = 0;
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: `official client: ${flavour}`,
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...(process.env.SCOPE ? { scope: process.env.SCOPE } : {}),
  },
  state: () => 'state-of-this-test',
  clientInformation: () => kept.client,
  saveClientInformation: (information) => {
    kept.client = information;
    say({ registered: { scope: information.scope ?? null } });
  },
  tokens: () => (process.env.NO_REFRESH && kept.tokens ? { ...kept.tokens, refresh_token: undefined } : kept.tokens),
  saveTokens: (tokens) => {
    kept.tokens = tokens;
    say({ granted: (tokens.scope ?? '').split(' ').sort(), refresh: Boolean(tokens.refresh_token) });
  },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (state) => (kept.discovery = state),
  redirectToAuthorization: (where) => {
    logins += 1;
    say({ authorize: where.href });
  },
};

const statuses = [];
async function countedFetch(input, init) {
  const response = await fetch(input, init);
  if (new URL(input?.url ?? input).pathname.endsWith('/mcp')) statuses.push(response.status);
  return response;
}

function transport() {
  return new StreamableHTTPClientTransport(new URL(url), { authProvider: provider, fetch: countedFetch });
}

function client() {
  const options = flavour === 'client-2-auto' ? { versionNegotiation: { mode: 'auto' } } : {};
  return new Client({ name: flavour, version: '1' }, options);
}

async function finish(line) {
  const parameters = await comeBack();
  if (parameters.has('error')) throw new Error(`the provider responded ${parameters.get('error')}`);
  await (family === 'client-2' ? line.finishAuth(parameters) : line.finishAuth(parameters.get('code')));
}

let line = transport();
let peer = client();
try {
  try {
    await peer.connect(line);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await finish(line);
    line = transport();
    peer = client();
    await peer.connect(line);
  }
  say({ connected: peer.getServerVersion().name, session: Boolean(line.sessionId) });
  say({ tools: (await peer.listTools()).tools.map((tool) => tool.name) });
  for (const [name, input] of JSON.parse(calls)) {
    const progress = [];
    const before = statuses.length;
    const call = () => {
      const onprogress = (told) => {
        progress.push(told.progress);
        say({ progress: told.progress, of: told.total });
      };
      const request = { name, arguments: input };
      return family === 'client-2' ? peer.callTool(request, { onprogress }) : peer.callTool(request, undefined, { onprogress });
    };
    let result;
    try {
      result = await call();
    } catch (error) {
      // A step-up: the transport has asked for a login, and the call is made again after it. Once.
      if (!(error instanceof UnauthorizedError)) throw error;
      await finish(line);
      result = await call();
    }
    say({ result: result.content[0].text, tool: name, progress: progress.length, statuses: statuses.slice(before) });
  }
  say({ done: true, logins });
} catch (error) {
  say({ failed: error.name, message: String(error.message).slice(0, 500), logins, statuses });
} finally {
  await line.close().catch(() => {});
  listener.close();
  listener.closeAllConnections();
}
