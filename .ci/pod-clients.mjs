// The clients of .ci/pod.
//
//   node pod-clients.mjs keys FOLDER        writes jwks.json and token.jwt, bound to client.pem there
//   node pod-clients.mjs load FOLDER PORT   asks until standard input ends, then prints a JSON object and exits
//
// A request is lost if it gets no answer, or another one than 200. There is no second try, with one exception that RFC 9113 §6.8 makes: a
// stream that the server's GOAWAY names as not processed is asked again on a new connection, and counted.
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';

const [task, folder, port] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);

function keys() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'pod', alg: 'ES256', use: 'sig' };
  writeFileSync(`${folder}/jwks.json`, JSON.stringify({ keys: [jwk] }));
  const thumbprint = createHash('sha256').update(new X509Certificate(read('client.pem')).raw).digest('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://as.example.com', aud: 'https://api.example.com', sub: 'load', client_id: 'load',
    iat: now, exp: now + 3600, cnf: { 'x5t#S256': thumbprint },
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'pod' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  writeFileSync(`${folder}/token.jwt`, `${signed}.${signature.toString('base64url')}`);
}

async function load() {
  const tls = { host: '127.0.0.1', servername: 'localhost', port, ca: read('ca.pem'), cert: read('client.pem'), key: read('client.key') };
  const authorization = `Bearer ${read('token.jwt')}`;
  const sum = { answered: {}, pods: {}, moved: 0, lost: [] };
  let stopping = false;
  process.stdin.on('end', () => { stopping = true; }).resume();

  const http1 = (agent) => new Promise((resolve, reject) => {
    const request = https.get({ ...tls, agent, path: '/orders', headers: { authorization } }, async (answer) => {
      try {
        resolve([answer.statusCode, Buffer.concat(await answer.toArray()).toString()]);
      } catch (error) {
        reject(error);
      }
    });
    request.on('error', reject).setTimeout(20_000, () => request.destroy(new Error('no answer in 20 s')));
  });
  const connect = () => new Promise((resolve, reject) => {
    const session = http2.connect('https://localhost', tls);
    session.once('connect', () => resolve(session)).on('error', reject);
  });
  const stream = (session) => new Promise((resolve, reject) => {
    const request = session.request({ ':path': '/orders', authorization });
    let status;
    const chunks = [];
    request.on('response', (headers) => { status = headers[':status']; });
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => resolve([status, Buffer.concat(chunks).toString()]));
    request.on('error', reject).setTimeout(20_000, () => request.close());
  });

  const agent = () => new https.Agent({ keepAlive: true, maxSockets: 1 });
  let session;
  const habits = {
    'HTTP/1.1, one connection': () => { const own = agent(); return () => http1(own); },
    'HTTP/1.1, new connections': () => () => http1(new https.Agent({ maxCachedSessions: 0 })),
    'HTTP/2, one connection': () => {
      return async () => {
        if (!session || session.closed || session.destroyed) session = await connect();
        return stream(session);
      };
    },
    'HTTP/2, new connections': () => async () => {
      const own = await connect();
      try {
        return await stream(own);
      } finally {
        own.close();
      }
    },
  };

  const ask = async (habit, request) => {
    while (!stopping) {
      try {
        const [status, pod] = await request();
        if (status === 200) {
          sum.answered[habit] = (sum.answered[habit] ?? 0) + 1;
          sum.pods[pod] = (sum.pods[pod] ?? 0) + 1;
        } else {
          sum.lost.push(`${habit}: ${status} ${pod}`);
        }
      } catch (error) {
        if (error.code === 'ERR_HTTP2_STREAM_ERROR' && /REFUSED_STREAM/.test(error.message)) sum.moved += 1;
        else sum.lost.push(`${habit}: ${error.code ?? ''} ${error.message}`);
      }
      await pause(15);
    }
  };
  await Promise.all(Object.entries(habits).flatMap(([habit, make]) => [ask(habit, make()), ask(habit, make())]));
  process.stdout.write(`${JSON.stringify(sum)}\n`, () => process.exit());
}

await { keys, load }[task]();
