// Socket.IO 4 with rooms of its own; with a third argument over its Redis adapter.
const { Server } = require('socket.io');
const http = require('http').createServer();
const [port, host, redis] = [+process.argv[2], process.argv[3], process.argv[4]];
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  pingInterval: 1000000,
  pingTimeout: 1000000,
});

io.on('connection', (socket) => {
  let room = null;
  socket.on('join', async (name, answer) => {
    room = name;
    await socket.join(name);
    answer();
  });
  socket.on('pub', (payload) => io.to(room).emit('m', payload));
});

async function adapt() {
  const { createClient } = require('redis');
  const { createAdapter } = require('@socket.io/redis-adapter');
  const publisher = createClient({ url: redis });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}

(async () => {
  if (redis) await adapt();
  http.listen({ port, host, backlog: 4096 });
})();
