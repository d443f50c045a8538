// One GET over HTTP/2 with Node's own client, a second implementation beside curl.
//
//   node client.mjs URL --ca CA.pem [--cert CLIENT.pem --key CLIENT.key] < TOKEN
//
// Prints the answer as one line of JSON: {"status": 200, "headers": {…}, "body": "…"}.
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { parseArgs } from 'node:util';

const file = { type: 'string' };
const { values: files, positionals } = parseArgs({
  options: { ca: file, cert: file, key: file },
  allowPositionals: true,
});
const pem = (name) => files[name] && readFileSync(files[name]);
const token = readFileSync(0, 'utf8').trim();

const url = new URL(positionals[0]);
const session = connect(url.origin, { ca: pem('ca'), cert: pem('cert'), key: pem('key') });
session.setTimeout(20_000, () => session.destroy(new Error('no answer')));
session.on('error', (error) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});

const answer = { body: '' };
const stream = session.request({ ':path': url.pathname + url.search, authorization: `Bearer ${token}` });
stream.setEncoding('utf8');
stream.on('response', ({ ':status': status, ...headers }) => Object.assign(answer, { status, headers }));
stream.on('data', (chunk) => (answer.body += chunk));
stream.on('end', () => {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  session.close();
});
