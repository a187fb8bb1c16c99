/**
 * npm run demo: the main job on real input, from nothing to a table that balances. Starts a hub with fresh state and three
 * receivers, publishes every GitHub payload of @octokit/webhooks-examples, breaks and mends a receiver, redrives what died,
 * replays the topic to a latecomer, sends the steps of many orders in order and at a limited rate to a receiver that stumbles,
 * and exits 0 only if every sum is right. `--keep` leaves the hub running.
 */
import { rmSync } from 'node:fs';
import { checkStory, tellStory } from './demo/checks.ts';
import { breakBilling, type Consumer, fixBilling, startConsumers } from './demo/consumers.ts';
import { checkOrders, playOrders } from './demo/orders.ts';
import { githubEvents } from './demo/payloads.ts';
import { Progress } from './demo/progress.ts';
import { publishAll } from './demo/publish.ts';
import { describeStory } from './demo/table.ts';
import { ApiClient } from './hub/api-client.ts';
import { eventually } from './hub/eventually.ts';
import { HubProcess } from './hub/hub-process.ts';

const TOPIC = 'github';
/** The event that billing can't digest: a purchase, of all things. */
const POISON = 'api.github.com/marketplace_purchase/1';
const WITHIN_MS = 60_000;

const keep = process.argv.slice(2).includes('--keep');
const start = Date.now();
let hub: HubProcess | null = null;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(1, false));

try {
  say('Starting the hub with fresh local state …');
  hub = await HubProcess.start({ outlive: keep });
  const ok = await play(hub);
  await end(ok ? 0 : 1, keep);
} catch (error) {
  console.error(error);
  await end(1, false);
}

async function play({ url, adminKey }: HubProcess): Promise<boolean> {
  const api = new ApiClient(url, adminKey);
  const events = githubEvents();
  const [billing, email, analytics] = await startConsumers();
  breakBilling(billing, POISON);
  await api.putTopic(TOPIC, { description: 'What GitHub told us' });
  await Promise.all([billing.register(api, TOPIC), email.register(api, TOPIC)]);

  say(`Publishing ${events.length} GitHub events, a tenth of them twice. Billing is down for the first seconds.`);
  const published = await publishAll(api, TOPIC, events);
  await drained(api, email, events.filter(email.wants).length);
  await drained(api, billing, events.length - 1);

  say('One event is refused at every attempt. Waiting until its retries run out …');
  const [dead] = await eventually(
    'the dead letter',
    async () => {
      const letters = await api.deadLetters({ subscription: billing.name });
      return letters.length > 0 ? letters : null;
    },
    WITHIN_MS,
  );
  if (dead === undefined) throw new Error('There is no dead letter.');
  console.log(
    `  dead letter: ${dead.event.id} (${dead.reason} after ${dead.attempts} attempts, last ${dead.lastStatus})`,
  );

  say('Billing is mended; redriving the dead letter.');
  fixBilling(billing);
  await api.redrive(dead.id);
  const letter = await eventually(
    'the redriven letter is resolved',
    async () => (await api.deadLetters({ state: 'resolved' })).find(({ id }) => id === dead.id),
    WITHIN_MS,
  );

  say('Analytics registers late and has the topic replayed from the start.');
  await analytics.register(api, TOPIC);
  const { id } = await api.startReplay(TOPIC, { subscription: analytics.name, from: 'earliest' });
  const progress = new Progress('replayed to analytics', events.length);
  const replay = await eventually(
    'the replay is done',
    async () => {
      const state = await api.replay(id);
      progress.show(state.total - state.remaining);
      return state.status === 'running' ? null : state;
    },
    WITHIN_MS,
  );
  progress.end();

  const stored = await api.readAll(TOPIC);
  const story = await tellStory(api, [billing, email, analytics], { events, published, stored, letter, replay });
  say('What became of it all');
  console.log(`${describeStory(story)}\n`);

  say(
    'Now order under failure: forty orders of five steps, to a warehouse that stumbles and takes 50 requests a second.',
  );
  const orders = await playOrders(api);
  const checks = [...checkStory(story), ...checkOrders(orders)];
  for (const { claim, wrong } of checks)
    console.log(`  ${wrong === null ? '✓' : '✗'} ${claim}${wrong === null ? '' : `: ${wrong}`}`);
  const ok = checks.every(({ wrong }) => wrong === null);
  const seconds = Math.round((Date.now() - start) / 1000);
  say(ok ? `Everything adds up, after ${seconds} s.` : `The sums above don't add up (after ${seconds} s).`);
  return ok;
}

/** Waits until a consumer has taken `count` events, and shows how far it is. */
async function drained(api: ApiClient, { name }: Consumer, count: number): Promise<void> {
  const progress = new Progress(`delivered to ${name}`, count);
  await eventually(
    `${name} has ${count} events`,
    async () => {
      const { delivered } = await api.subscription(name);
      progress.show(delivered);
      return delivered >= count;
    },
    WITHIN_MS,
  );
  progress.end();
}

function say(text: string): void {
  console.log(`\n${text}`);
}

async function end(code: number, leaveRunning: boolean): Promise<never> {
  if (hub !== null && leaveRunning) {
    const { url, adminKey, group, persistTo } = hub;
    const key = `-H 'authorization: Bearer ${adminKey}'`;
    say(`The hub goes on at ${url} (state and log in ${persistTo}; stop it with: kill ${group}). Try:

  curl -s ${key} '${url}/v1/topics/${TOPIC}/events?order=desc&limit=1'
  curl -s ${key} '${url}/v1/topics/${TOPIC}/events/1/deliveries'
  curl -s ${key} '${url}/v1/topics/${TOPIC}/events' -H 'content-type: application/json' -d '{"type":"hello.world","data":{"from":"me"}}'
`);
  } else if (hub !== null) {
    const { persistTo } = hub;
    await hub.stop();
    rmSync(persistTo, { recursive: true, force: true });
  }
  process.exit(code);
}
