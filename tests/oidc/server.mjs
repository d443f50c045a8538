// oidc-provider over HTTPS on a loopback port, set up for certificate-bound access tokens (RFC 8705 §3).
//
//   node server.mjs --cert SERVER.pem --key SERVER.key --client-ca CA.pem --self-signed CLIENT.pem [--port PORT]
//
// Prints one line of JSON, {"issuer": "https://127.0.0.1:PORT"}, once it serves, and ends when its standard input does.
// Lines there change its keys while it runs: "rotate NAME" signs with new ones, which it publishes beside the old ones;
// "withdraw" publishes the newest alone. Each is answered with a line, {"kids": […]}.
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import Provider, { errors } from 'oidc-provider';

const file = { type: 'string' };
const { values: files } = parseArgs({
  options: { cert: file, key: file, 'client-ca': file, 'self-signed': file, port: { type: 'string', default: '0' } },
});
const pem = (name) => readFileSync(files[name] ?? usage(name));

function usage(name) {
  process.stderr.write(`--${name} is missing: it names a PEM file\n`);
  process.exit(2);
}

// The resource (RFC 8707) that a client asks for decides how its token is made: a JWT (RFC 9068) signed with the
// algorithm that the resource's path names, or an opaque one that only introspection can read.
const SCOPES = 'read write admin';
const ALGORITHMS = ['ES256', 'PS256', 'EdDSA', 'RS256'];
const RESOURCES = new Map([
  ...ALGORITHMS.map((alg) => {
    const signed = { accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
    return [`https://api.example.test/${alg.toLowerCase()}`, signed];
  }),
  ['https://opaque.example.test', { accessTokenFormat: 'opaque' }],
]);

function resourceServer(_ctx, resource) {
  const server = RESOURCES.get(resource);
  if (!server) throw new errors.InvalidTarget();
  return { ...server, scope: SCOPES, audience: resource };
}

const KEY_PAIRS = {
  ES256: ['ec', { namedCurve: 'P-256' }],
  PS256: ['rsa', { modulusLength: 2048 }],
  EdDSA: ['ed25519'],
  RS256: ['rsa', { modulusLength: 2048 }],
};

// One key an algorithm, new at each call; only the names are given.
function signingKeys(name) {
  return ALGORITHMS.map((alg) => {
    const { privateKey } = generateKeyPairSync(...KEY_PAIRS[alg]);
    return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${name}-${alg.toLowerCase()}` };
  });
}

// RFC 8705 §2.2.2: a self-signed certificate is registered as `x5c` of a key in the client's `jwks`.
function certificateKeySet(certificatePem) {
  const certificate = new X509Certificate(certificatePem);
  return { keys: [{ ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }] };
}

const machine = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [], scope: SCOPES };

const introspecting = { ...machine, grant_types: [], introspection_signed_response_alg: 'ES256' };

const clients = () => [
  {
    ...machine,
    client_id: 'tls-client',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client-a.example.test',
    tls_client_certificate_bound_access_tokens: true,
  },
  {
    ...machine,
    client_id: 'self-signed-client',
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: certificateKeySet(pem('self-signed')),
    tls_client_certificate_bound_access_tokens: true,
  },
  { ...machine, client_id: 'unbound-client', client_secret: 'unbound-client-secret' },
  // The resource server's own accounts, for introspection (RFC 7662 §2.1): one a way of authenticating. Each is answered with a signed
  // answer (RFC 9701) where it asks for one.
  { ...introspecting, client_id: 'resource-server', client_secret: 'resource-server-secret' },
  {
    ...introspecting,
    client_id: 'resource-server-post',
    client_secret: 'resource-server-secret',
    token_endpoint_auth_method: 'client_secret_post',
  },
  {
    ...introspecting,
    client_id: 'resource-server-jwt',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...new X509Certificate(pem('self-signed')).publicKey.export({ format: 'jwk' }), kid: 'resource-server' }] },
  },
  {
    ...introspecting,
    client_id: 'resource-server-tls',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client-b.example.test',
  },
];

const tls = {
  cert: pem('cert'),
  key: pem('key'),
  ca: pem('client-ca'),
  requestCert: true,
  rejectUnauthorized: false, // a self-signed client's certificate has no path; `authorized` tells the two apart
};

const certificateOf = (ctx) => ctx.req.socket.getPeerX509Certificate?.();

function subjectMatches(ctx, property, expected) {
  if (property !== 'tls_client_auth_san_dns') throw new Error(`no client here is registered by ${property}`);
  return certificateOf(ctx).subjectAltName?.split(', ').includes(`DNS:${expected}`) ?? false;
}

const configuration = {
  clients: clients(),
  scopes: SCOPES.split(' '),
  cookies: { keys: [randomBytes(32).toString('hex')] },
  enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
  clientAuthMethods: [
    'client_secret_basic',
    'client_secret_post',
    'private_key_jwt',
    'tls_client_auth',
    'self_signed_tls_client_auth',
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: certificateOf,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: subjectMatches,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: resourceServer,
    },
  },
};

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const server = createServer(tls);
server.listen(Number(files.port), '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  let keys = signingKeys('fixture');
  let answer;
  // Of several keys that fit, oidc-provider signs with the first.
  const publish = () => (answer = new Provider(issuer, { ...configuration, jwks: { keys } }).callback());
  publish();
  server.on('request', (request, response) => answer(request, response));
  say({ issuer });

  // The test holds the other end: however the test ends, this process does too.
  const orders = createInterface({ input: process.stdin }).on('close', () => process.exit(0));
  orders.on('line', (line) => {
    const [order, name] = line.split(' ');
    keys = order === 'rotate' ? [...signingKeys(name), ...keys] : keys.slice(0, ALGORITHMS.length);
    publish();
    say({ kids: keys.map(({ kid }) => kid) });
  });
});
