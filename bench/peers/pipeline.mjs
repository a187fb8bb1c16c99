import { createHmac } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Queue, Worker } from 'bullmq';
import { Hono } from 'hono';
import { Redis } from 'ioredis';

/**
 * What people build instead: Hono takes the events, BullMQ keeps them in Redis, a worker signs and POSTs them and tries
 * again. No deduplication, no order, no replay, nothing to ask for afterwards. Node runs it as it is: it has no types,
 * so that the hub's own checks need none of its packages.
 *
 * node pipeline.mjs REDIS_PORT RECEIVER_URL CONCURRENCY → prints its port
 */

const [redisPort, url, concurrency] = process.argv.slice(2);
const SECRET = Buffer.alloc(32, 7);
/** As a Millrace subscription has it by default: so many tries, further and further apart. */
const OPTIONS = { attempts: 10, backoff: { type: 'exponential', delay: 5_000 }, removeOnComplete: true };

const connection = () => new Redis({ host: '127.0.0.1', port: Number(redisPort), maxRetriesPerRequest: null });
const queue = new Queue('webhooks', { connection: connection() });

/** Signed as Standard Webhooks has it, as the hub's are. */
async function deliver(job) {
  const body = JSON.stringify(job.data);
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', SECRET).update(`${job.id}.${timestamp}.${body}`).digest('base64');
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': job.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1,${signature}`,
    },
    body,
    signal: AbortSignal.timeout(5_000),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`The receiver answered ${response.status}.`);
}

const worker = new Worker('webhooks', deliver, { connection: connection(), concurrency: Number(concurrency) });
worker.on('error', (error) => console.error(error));

const app = new Hono();
app.post('/events', async (context) => {
  const given = await context.req.json();
  const events = Array.isArray(given) ? given : [given];
  await queue.addBulk(events.map((data) => ({ name: 'webhook', data, opts: OPTIONS })));
  return context.json({ count: events.length }, 201);
});
app.post('/pause', async (context) => {
  await queue.pause();
  return context.body(null, 204);
});
app.post('/resume', async (context) => {
  await queue.resume();
  return context.body(null, 204);
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => console.log(port));
