// A whole MCP client in a page, without a library: discovery, registration, login with PKCE, and a call whose progress
// is shown as it streams. With the stack up, serve this folder and open http://127.0.0.1:6274/ :
//
//   python -m http.server 6274 --bind 127.0.0.1 --directory docs/examples/browser
//
// 6274 is a port from which a page may register itself (registration.web_origins in idp-config/access.yaml).
// EventSource cannot send a header, which is why people put tokens into URLs and cookies; both end up in logs, in
// histories, and in requests that other pages cause. fetch() sends a header and reads the answer while it comes.
const redirectUri = location.origin + location.pathname;
const $ = (id) => document.getElementById(id);
const say = (text) => ($('log').textContent += text + '\n');

async function json(url, options) {
  const response = await fetch(url, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(`${url}: ${response.status} ${body.error_description ?? body.error ?? ''}`);
  return body;
}

// RFC 9728: the server's 401 says where its metadata is, and which scopes to request.
async function discover(url) {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  const challenge = response.headers.get('www-authenticate') ?? '';
  const [, where] = challenge.match(/resource_metadata="([^"]+)"/) ?? [];
  if (!where) throw new Error(`${url} responded ${response.status} without a metadata URL`);
  const resource = await json(where);
  if (resource.resource !== url) throw new Error(`the metadata is for ${resource.resource}, not ${url}`);
  const [, scope] = challenge.match(/scope="([^"]+)"/) ?? [, resource.scopes_supported.join(' ')];

  // RFC 8414, section 3.1 and 3.3: at a path between host and issuer's path; it must name the requested issuer.
  const issuer = new URL(resource.authorization_servers[0]);
  const path = issuer.pathname === '/' ? '' : issuer.pathname;
  const provider = await json(`${issuer.origin}/.well-known/oauth-authorization-server${path}`);
  if (provider.issuer !== resource.authorization_servers[0]) throw new Error(`${provider.issuer} is another issuer`);
  if (!provider.code_challenge_methods_supported?.includes('S256')) throw new Error('the provider does not support PKCE with S256');
  return { scope, provider };
}

const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function logIn(url) {
  const { scope, provider } = await discover(url);
  say(`The identity provider is ${provider.issuer}.`);
  // RFC 7591. A client with an identifier of its own, known to the provider, skips this.
  const { client_id } = await json(provider.registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'A page that counts', redirect_uris: [redirectUri], token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'], response_types: ['code'], scope,
    }),
  });
  const verifier = random();
  const state = random();
  // What is needed when the browser comes back. No token is ever kept.
  sessionStorage.setItem('login', JSON.stringify({ url, client_id, verifier, state, provider }));
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  location.assign(`${provider.authorization_endpoint}?${new URLSearchParams({
    response_type: 'code', client_id, redirect_uri: redirectUri, scope, state, resource: url,
    code_challenge: base64url(digest), code_challenge_method: 'S256',
  })}`);
}

async function comeBack(parameters) {
  const login = JSON.parse(sessionStorage.getItem('login') ?? '{}');
  sessionStorage.removeItem('login');
  history.replaceState(null, '', location.pathname); // the code is for one use, and not for the history
  if (!login.state || parameters.get('state') !== login.state) throw new Error('this answer is not to our question');
  // RFC 9207: from the provider we asked, not from another one.
  if (parameters.has('iss') && parameters.get('iss') !== login.provider.issuer) throw new Error('a foreign issuer answered');
  if (parameters.has('error')) throw new Error(`${parameters.get('error')}: ${parameters.get('error_description')}`);
  const { access_token } = await json(login.provider.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', code: parameters.get('code'), client_id: login.client_id,
      code_verifier: login.verifier, redirect_uri: redirectUri, resource: login.url,
    }),
  });
  say('Logged in.');
  $('url').value = login.url;
  await call(login.url, access_token, 'count', { number: 5 }, (told) => {
    $('bar').value = told.progress;
    say(`… ${told.message}`);
  });
}

// MCP 2026-07-28: one request says everything, and is answered by a document or by a stream.
async function call(url, token, name, input, onProgress) {
  const version = '2026-07-28';
  const own = 'io.modelcontextprotocol/';
  const _meta = { [`${own}protocolVersion`]: version, [`${own}clientCapabilities`]: {}, progressToken: 1 };
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': version, 'mcp-method': 'tools/call', 'mcp-name': name,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: input, _meta } }),
  });
  for await (const message of messages(response)) {
    if (message.method === 'notifications/progress') onProgress(message.params);
    if (message.error) throw new Error(message.error.message ?? message.error_description ?? message.error);
    if (message.result) say(message.result.content[0].text);
  }
}

// The JSON-RPC messages of an answer: one, or those of a stream of events as they come.
async function* messages(response) {
  if (!response.headers.get('content-type').startsWith('text/event-stream')) {
    yield await response.json();
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    const events = (held + value).split(/\r?\n\r?\n/);
    held = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
      if (data.trim()) yield JSON.parse(data);
    }
  }
}

const attempt = (work) => work.catch((error) => say(`It failed: ${error.message}`));
$('count').addEventListener('click', () => attempt(logIn($('url').value)));
const parameters = new URLSearchParams(location.search);
if (parameters.has('state')) attempt(comeBack(parameters));
