// A POST with `Expect: 100-continue`: the body "12345" is sent if, and only if, the server asks for it.
//
//   TOKEN=… node expect.mjs URL CA.pem CLIENT.pem CLIENT.key
//
// Prints, as one line of JSON, whether it was asked, and what it was answered.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const [, , url, ca, cert, key] = process.argv;
const pem = (name) => readFileSync(name);
const said = { continued: false };
const post = request(url, {
  method: 'POST',
  ca: pem(ca),
  cert: pem(cert),
  key: pem(key),
  timeout: 60_000,
  headers: { authorization: `Bearer ${process.env.TOKEN}`, expect: '100-continue', 'content-length': 5 },
});
post.on('continue', () => {
  said.continued = true;
  post.end('12345');
});
post.on('response', (answer) => {
  let body = '';
  answer.setEncoding('utf8');
  answer.on('data', (chunk) => (body += chunk));
  answer.on('end', () => {
    process.stdout.write(`${JSON.stringify({ ...said, status: answer.statusCode, body })}\n`);
    post.destroy();
  });
});
post.on('error', (error) => process.stderr.write(`${error}\n`));
post.flushHeaders();
