// A WebSocket in a stream of HTTP/2 (RFC 8441), with Node's own client and frames written by hand (RFC 6455 §5.2).
//
//   TOKEN=… node websocket_h2.mjs URL CA.pem CLIENT.pem CLIENT.key
//
// Prints, as one line of JSON, what it was answered and told.
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';

const [, , target, ca, cert, key] = process.argv;
const url = new URL(target);
const pem = (name) => readFileSync(name);
const session = connect(url.origin, { ca: pem(ca), cert: pem(cert), key: pem(key) });
session.setTimeout(60_000, () => session.destroy(new Error('no answer')));
session.on('error', (error) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});

// A frame, masked with zeros.
function frame(opcode, payload) {
  const head = Buffer.alloc(10);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

// Takes whole frames off what was received.
function* frames(state) {
  while (state.bytes.length >= 2) {
    const short = state.bytes[1] & 127;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (state.bytes.length < start) return;
    const length =
      short < 126 ? short : short === 126 ? state.bytes.readUInt16BE(2) : Number(state.bytes.readBigUInt64BE(2));
    if (state.bytes.length < start + length) return;
    yield [state.bytes[0] & 15, state.bytes.subarray(start, start + length)];
    state.bytes = state.bytes.subarray(start + length);
  }
}

const end = (said) => {
  process.stdout.write(`${JSON.stringify(said)}\n`);
  session.close();
};

session.once('remoteSettings', ({ enableConnectProtocol }) => {
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':authority': url.host,
    ':path': url.pathname + url.search,
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'chat.v1',
    authorization: `Bearer ${process.env.TOKEN}`,
  });
  const said = { enableConnectProtocol };
  const state = { bytes: Buffer.alloc(0) };
  stream.on('response', ({ ':status': status, ...headers }) => {
    said.status = status;
    if (status !== 200) {
      stream.setEncoding('utf8');
      let body = '';
      stream.on('data', (chunk) => (body += chunk));
      stream.on('end', () => end({ ...said, challenge: headers['www-authenticate'], reason: JSON.parse(body).reason }));
      return;
    }
    said.protocol = headers['sec-websocket-protocol'];
    said.odd = ['upgrade', 'connection', 'sec-websocket-accept'].filter((name) => name in headers);
    stream.write(frame(1, Buffer.from('hello')));
    stream.write(frame(2, Buffer.alloc(1 << 20)));
    stream.on('data', (chunk) => {
      state.bytes = Buffer.concat([state.bytes, chunk]);
      for (const [opcode, payload] of frames(state)) {
        if (opcode === 1) said.text = payload.toString();
        if (opcode === 2) said.bytes = payload.length;
        if (opcode === 8) {
          said.closed = [payload.readUInt16BE(0), payload.subarray(2).toString()];
          stream.end();
        }
        if (opcode === 2) stream.write(frame(8, Buffer.from('\x03\xe8bye', 'latin1')));
      }
    });
    stream.on('end', () => end(said));
  });
});
