// One GET with Node's https module, which speaks HTTP/1.1, or with its http2 module.
//
//   node client.mjs URL CA.pem CLIENT.pem CLIENT.key [http2] < TOKEN
//
// Prints the protocol and the status, an empty line, and the body.
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';

const [url, ca, cert, key, module] = process.argv.slice(2);
const tls = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
const authorization = `Bearer ${readFileSync(0, 'utf8').trim()}`;

setTimeout(() => fail('no answer'), 20_000).unref();

function fail(error) {
  process.stderr.write(`${error}\n`);
  process.exit(1);
}

async function print(start, body) {
  const chunks = await body.toArray();
  process.stdout.write(`${start}\n\n${Buffer.concat(chunks)}`);
}

if (module === 'http2') {
  const { origin, pathname } = new URL(url);
  const session = http2.connect(origin, tls).on('error', fail);
  const stream = session.request({ ':path': pathname, authorization });
  stream.on('response', async (headers) => {
    await print(`HTTP/2 ${headers[':status']}`, stream);
    session.close();
  });
} else {
  const request = https.get(url, { ...tls, headers: { authorization } }).on('error', fail);
  request.on('response', (answer) => print(`HTTP/${answer.httpVersion} ${answer.statusCode}`, answer));
}
