// An authorization server for the demos: oidc-provider, set up for certificate-bound access tokens (RFC 8705 §3).
//
//   ISSUER        https://authorization-server:9443, whose port it listens on
//   CLIENT_AUTH   tls_client_auth (§2.1: by the name in a certificate of the CA) | self_signed_tls_client_auth (§2.2: by the certificate itself)
//   TOKEN_FORMAT  jwt | opaque
//
// Its certificate, the CA and the clients' certificates are files in /certs. Signing keys live as long as it does, for demonstration only.
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { SignJWT } from 'jose';
import Provider, { errors } from 'oidc-provider';

const { ISSUER, CLIENT_AUTH = 'tls_client_auth', TOKEN_FORMAT = 'jwt' } = process.env;
const API = 'https://api.example.com';
const SCOPE = 'read write';
const pem = (name) => readFileSync(`/certs/${name}`);

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signingKey = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'demo-1' };

// How the server knows a client by its certificate.
function registration(name) {
  if (CLIENT_AUTH === 'tls_client_auth') return { tls_client_auth_san_dns: name };
  const certificate = new X509Certificate(pem(`${name}.pem`));
  const key = { ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] };
  return { jwks: { keys: [key] } };
}

const machine = (name) => ({
  client_id: name,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: SCOPE,
  token_endpoint_auth_method: CLIENT_AUTH,
  tls_client_certificate_bound_access_tokens: true,
  ...registration(name),
});

const boundgate = {
  client_id: 'boundgate',
  client_secret: process.env.INTROSPECTION_SECRET ?? randomBytes(32).toString('hex'),
  grant_types: [],
  response_types: [],
  redirect_uris: [],
};

const certificateOf = (ctx) => ctx.req.socket.getPeerX509Certificate?.();

const provider = new Provider(ISSUER, {
  clients: [machine('client-a'), machine('client-b'), boundgate],
  scopes: SCOPE.split(' '),
  jwks: { keys: [signingKey] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clientAuthMethods: ['client_secret_basic', 'tls_client_auth', 'self_signed_tls_client_auth'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: certificateOf,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, _property, name) =>
        certificateOf(ctx).subjectAltName?.split(', ').includes(`DNS:${name}`) ?? false,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(_ctx, resource) {
        if (resource !== API) throw new errors.InvalidTarget();
        return { scope: SCOPE, audience: API, accessTokenFormat: TOKEN_FORMAT, jwt: { sign: { alg: 'ES256' } } };
      },
    },
  },
});

// The phantom-token pattern, as the Curity Identity Server has it: who introspects with `Accept: application/jwt` gets the access token that the
// opaque one stands for, as a JWT with the same claims; for a token that is not active, 204 without content.
provider.use(async (ctx, next) => {
  await next();
  const asked = ctx.method === 'POST' && ctx.path === '/token/introspection' && ctx.get('accept') === 'application/jwt';
  if (!asked || ctx.status !== 200) return;
  const { active, token_type: _type, ...claims } = ctx.body;
  if (!active) {
    ctx.body = null;
    ctx.status = 204;
    return;
  }
  ctx.body = await new SignJWT({ sub: claims.client_id, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: signingKey.kid, typ: 'JWT' })
    .sign(privateKey);
  ctx.type = 'application/jwt';
});

const tls = {
  cert: pem('authorization-server.pem'),
  key: pem('authorization-server.key'),
  ca: pem('ca.pem'),
  requestCert: true,
  rejectUnauthorized: false, // a self-signed client's certificate has no path; `authorized` tells the two apart
};

createServer(tls, provider.callback()).listen(Number(new URL(ISSUER).port));
process.on('SIGTERM', () => process.exit(0));
