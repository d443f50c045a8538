// The two ends of a WebSocket, as the ws package has them.
//
//   node websocket.mjs serve --cert SERVER.pem --key SERVER.key
//   TOKEN=… node websocket.mjs talk URL --ca CA.pem --cert CLIENT.pem --key CLIENT.key
//
// The server prints its port and sends back what it gets. The client prints what it got back, as one line of JSON.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { parseArgs } from 'node:util';
import WebSocket, { WebSocketServer } from 'ws';

const file = { type: 'string' };
const { values: files, positionals } = parseArgs({
  options: { ca: file, cert: file, key: file },
  allowPositionals: true,
});
const pem = (name) => files[name] && readFileSync(files[name]);
const tls = { ca: pem('ca'), cert: pem('cert'), key: pem('key') };
const [role, url] = positionals;

if (role === 'serve') {
  const server = createServer(tls);
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.stdin.resume().on('end', () => process.exit());
} else {
  const said = {};
  const end = (words) => console.log(JSON.stringify(words));
  const socket = new WebSocket(url, { ...tls, headers: { authorization: `Bearer ${process.env.TOKEN}` } });
  socket.on('unexpected-response', (request, answer) => {
    end({ refused: answer.statusCode });
    request.destroy();
  });
  socket.on('error', (error) => console.error(`${error}`));
  socket.on('open', () => {
    socket.send('hello');
    socket.send(Buffer.alloc(1 << 20));
    socket.ping('still there?');
  });
  const both = () => 'bytes' in said && 'pong' in said && socket.close(1000, 'bye');
  socket.on('message', (data, binary) => {
    if (binary) said.bytes = data.length;
    else said.text = data.toString();
    both();
  });
  socket.on('pong', (data) => {
    said.pong = data.toString();
    both();
  });
  socket.on('close', (code, reason) => code === 1000 && end({ ...said, closed: [code, reason.toString()] }));
}
