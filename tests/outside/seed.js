// A crowd as a school's chat has it: everybody logs in, looks at the room list, enters a room of
// fifty, and from then on does one thing every few seconds: sends (60 %), reads (30 %), or types
// (10 %), with a page of history every minute.
//
//   k6 run -e MADANG=127.0.0.1:8080 -e USERS=200 -e SECONDS=120 tests/outside/seed.js
//
// USERS, SECONDS, PERIOD_MS (5000), P99_MS (200); the users are signed up first, so signups and
// logins of one address must not be limited.

import http from 'k6/http';
import { WebSocket } from 'k6/experimental/websockets';
import { check, fail } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const NODE = __ENV.MADANG;
const USERS = Number(__ENV.USERS || 50);
const SECONDS = Number(__ENV.SECONDS || 60);
const PERIOD_MS = Number(__ENV.PERIOD_MS || 5000);
const P99_MS = Number(__ENV.P99_MS || 200);
const PASSWORD = 'correct horse battery';
const ROOM_OF = 50;
const HISTORY_EVERY_MS = 60000;

const answered = new Trend('answered', true);
const delivered = new Counter('delivered');
const asked = new Counter('asked');
const errors = new Counter('errors');
const unanswered = new Counter('unanswered');

export const options = {
  scenarios: {
    crowd: { executor: 'per-vu-iterations', vus: USERS, iterations: 1, maxDuration: `${SECONDS + 60}s` },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    answered: [`p(99)<${P99_MS}`],
    errors: ['count==0'],
    unanswered: ['count==0'],
    asked: ['count>0'],
    delivered: ['count>0'],
  },
};

function call(method, path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = http.request(method, `http://${NODE}${path}`, body && JSON.stringify(body), { headers });
  if (!check(answer, { 'it is answered': (it) => it.status >= 200 && it.status < 300 })) {
    fail(`${method} ${path}: ${answer.status} ${answer.body}`);
  }
  return answer.json();
}

// Signs everybody up, and makes a room for every fifty.
export function setup() {
  const run = Date.now().toString(36);
  const users = [];
  for (let i = 0; i < USERS; i += 1) {
    const username = `u${i}_${run}`;
    users.push({ username, ...call('POST', '/v1/signup', { username, password: PASSWORD }) });
  }
  for (let first = 0; first < USERS; first += ROOM_OF) {
    const members = users.slice(first + 1, first + ROOM_OF).map((user) => user.user);
    const room = { kind: 'group', name: `room ${first}`, members };
    call('POST', '/v1/rooms', room, users[first].token);
  }
  return users.map((user) => user.username);
}

export default function crowd(usernames) {
  const username = usernames[__VU - 1];
  const { token } = call('POST', '/v1/login', { username, password: PASSWORD });
  const { rooms } = call('GET', '/v1/rooms', null, token);
  check(rooms, { 'the room is listed': (it) => it.length === 1 });
  live(token, rooms[0].room);
}

function live(token, room) {
  const socket = new WebSocket(`ws://${NODE}/v1/ws`, 'madang.v1.json');
  const waiting = new Map();
  let next = 0;
  let seq = 0;

  function ask(op, fields) {
    next += 1;
    waiting.set(next, Date.now());
    asked.add(1);
    socket.send(JSON.stringify({ op, id: next, ...fields }));
  }

  function act() {
    const dice = Math.random();
    if (dice < 0.6) ask('send', { room, client_id: `${__VU}.${next}`, body: `message ${next} of ${__VU}` });
    else if (dice < 0.9) ask('read', { room, seq });
    else ask('typing', { room, on: true });
  }

  socket.onopen = () => ask('hello', { token, subscribe: [{ room, after_seq: 0 }] });
  socket.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    if (frame.op === 'error') {
      errors.add(1);
      console.error(event.data);
    } else if (frame.op === 'message') {
      seq = Math.max(seq, frame.seq);
      delivered.add(1);
    }
    if (waiting.has(frame.id)) {
      answered.add(Date.now() - waiting.get(frame.id));
      waiting.delete(frame.id);
      if (frame.id === 1) begin();
    }
  };
  socket.onerror = (event) => {
    errors.add(1);
    console.error(event.error);
  };

  function begin() {
    // Not all in step.
    setTimeout(() => {
      const acting = setInterval(act, PERIOD_MS);
      const looking = setInterval(() => ask('history', { room, limit: 50 }), HISTORY_EVERY_MS);
      setTimeout(() => {
        clearInterval(acting);
        clearInterval(looking);
        setTimeout(() => {
          unanswered.add(waiting.size);
          socket.close();
        }, 2000);
      }, SECONDS * 1000);
    }, Math.random() * PERIOD_MS);
    ask('history', { room, limit: 50 });
  }
}
