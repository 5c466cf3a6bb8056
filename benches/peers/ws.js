// `ws`: JOIN room is answered OK, PUB payload goes to everybody in the room.
const { WebSocketServer } = require('ws');
const [port, host] = [+process.argv[2], process.argv[3]];
const rooms = new Map();
const server = new WebSocketServer({ port, host, perMessageDeflate: false, backlog: 4096 });

function join(socket, name) {
  if (!rooms.has(name)) rooms.set(name, new Set());
  socket.room = rooms.get(name);
  socket.room.add(socket);
  socket.send('OK');
}

server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const text = data.toString();
    if (text.startsWith('JOIN ')) return join(socket, text.slice(5));
    const payload = text.slice(4);
    for (const reader of socket.room) if (reader.readyState === 1) reader.send(payload);
  });
  socket.on('close', () => socket.room && socket.room.delete(socket));
});
