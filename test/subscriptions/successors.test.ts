import { beforeEach, describe, expect, test } from 'vitest';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import { CLAIM_LIFE_MS, LOG_SILENT_MS, NEXT_LEASE_MAX_MS } from '../../src/subscriptions/limits.ts';
import type { Claim, DeliveryOutcome, NextLease, SettleResult } from '../../src/subscriptions/protocol-claims.ts';
import { settled } from '../support/fake-clock.ts';
import { Hub } from './harness.ts';

let hub: Hub;

beforeEach(() => {
  hub = new Hub();
});

type Outcome = (event: { topic: string; sequence: number }) => DeliveryOutcome;

function settle(lease: number, { token, events }: Claim, outcome: Outcome = (event) => hub.delivered(event)) {
  const outcomes = events.map(outcome);
  return hub.subscription('billing').settle({ v: 1, lease, token, outcomes, goesOn: true });
}

/** Settles and goes on, but has no time to wait. */
async function next(lease: number, claim: Claim, outcome?: Outcome): Promise<NextLease | undefined> {
  let result: SettleResult | null = null;
  void settle(lease, claim, outcome).then((answer) => {
    result = answer;
  });
  await settled();
  expect(result).toMatchObject({ outcome: 'settled', remaining: 0 });
  return nextOf(result);
}

const nextOf = (result: SettleResult | null) => (result?.outcome === 'settled' ? result.next : undefined);
const sequencesOf = ({ events }: Claim) => events.map(({ sequence }) => sequence);
const messages = () => hub.deliveries.length + hub.retries.length;

/** A backlog of so many events, of which a lease of 16 is claimed. */
async function claimed(count: number, maxInFlight = 16): Promise<{ lease: number; claim: Claim }> {
  await hub.subscribe('billing', { maxInFlight, from: { kind: 'earliest' } });
  await hub.publish('orders', count);
  // It has answered swiftly by now.
  await hub.work('billing').then((seen) => expect(seen).toHaveLength(count));
  await hub.publish('orders', count);
  const message = hub.take();
  const claim = await hub.claim(message);
  return { lease: message.lease, claim };
}

describe('Whoever settles a lease and would go on', () => {
  test('is given the next, claimed, and nothing is sent for it', async () => {
    const { lease, claim } = await claimed(40);
    const seen = sequencesOf(claim);
    for (let following = await next(lease, claim); following; ) {
      expect(messages()).toBe(0);
      seen.push(...sequencesOf(following.claim));
      following = await next(following.lease, following.claim);
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index + 41));
    expect(await hub.view('billing')).toMatchObject({ delivered: 80, pending: 0, waiting: 0 });
  });

  test('is answered at once where there is nothing more', async () => {
    const { lease, claim } = await claimed(5);
    expect(await next(lease, claim)).toBeUndefined();
  });

  test('is given nothing that it does not ask for', async () => {
    const { lease, claim } = await claimed(40);
    const outcomes = claim.events.map((event) => hub.delivered(event));
    const result = await hub.subscription('billing').settle({ v: 1, lease, token: claim.token, outcomes });
    await settled();
    expect(result).toEqual({ outcome: 'settled', remaining: 0, stop: false });
    expect(hub.deliveries).toHaveLength(1);
  });

  test('is given nothing while something of its lease is left: there is room for others too', async () => {
    const { lease, claim } = await claimed(80);
    const answer = await settle(lease, { ...claim, events: claim.events.slice(1) });
    expect(answer).toEqual({ outcome: 'settled', remaining: 1, stop: false });
  });

  test('does not wait for a log that does not answer soon: what comes later is sent', async () => {
    const { lease, claim } = await claimed(40);
    hub.latencies.set('orders', NEXT_LEASE_MAX_MS + 10);
    const answer = settle(lease, claim);
    await hub.clock.advance(NEXT_LEASE_MAX_MS);
    expect(nextOf(await answer)).toBeUndefined();
    expect(messages()).toBe(0);
    await hub.clock.advance(20);
    expect(hub.deliveries).toHaveLength(1);
  });

  test('does not wait for a log that has been silent for long, each time anew', async () => {
    await hub.subscribe('billing', { topics: ['orders', 'bills'], maxInFlight: 64 });
    await hub.publish('bills', 1);
    await hub.work('billing');
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('bills', 20);
    hub.silent.add('bills');
    // Its answer tells of that log too, and comes late or not at all.
    hub
      .subscription('billing')
      .resume()
      .catch(() => undefined);
    await hub.advance(LOG_SILENT_MS + 100);
    await hub.publish('orders', 1);
    const message = hub.take();
    expect(await next(message.lease, await hub.claim(message))).toBeUndefined();
  });

  test.each<[string, Partial<SubscriptionDocument>]>([
    ['is pulled now', { delivery: { kind: 'pull', ackDeadlineMs: 30_000, maxDeliveries: 10 } }],
    ['has another filter now', { filter: { types: ['invoice.*'], cel: null } }],
  ])('is answered where its subscription %s, changed while it waits', async (_, changes) => {
    const { lease, claim } = await claimed(40);
    hub.latencies.set('orders', 100);
    const answer = settle(lease, claim);
    await hub.subscribe('billing', { maxInFlight: 16, from: { kind: 'earliest' }, ...changes });
    expect(nextOf(await hub.awaiting(answer))).toBeUndefined();
    hub.latencies.clear();
    await hub.advance(10_000);
    expect(await hub.view('billing')).toMatchObject({ delivered: 56 });
  });

  test('has one of its own, if two do so at the same time', async () => {
    const first = await claimed(80, 32);
    const message = hub.take();
    const second = { lease: message.lease, claim: await hub.claim(message) };
    const following = await Promise.all([first, second].map(({ lease, claim }) => settle(lease, claim)));
    const sequences = following.flatMap((answer) => sequencesOf(nextOf(answer)?.claim ?? first.claim));
    expect(sequences).toEqual(Array.from({ length: 32 }, (_, index) => index + 113));
    expect(messages()).toBe(0);
  });

  test('is given nothing of a subscription that is paused', async () => {
    const { lease, claim } = await claimed(40);
    await hub.awaiting(hub.subscription('billing').pause());
    expect(await next(lease, claim)).toBeUndefined();
    expect(messages()).toBe(0);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(hub.deliveries).toHaveLength(1);
  });

  test('is given nothing where the receiver fails: what is tried next leaves its place to others (P6)', async () => {
    const { lease, claim } = await claimed(40);
    expect(await next(lease, claim, (event) => hub.failed(event))).toBeUndefined();
    await hub.advance(60_000);
    expect(hub.deliveries).toHaveLength(0);
    expect(hub.retries.length).toBeGreaterThan(0);
  });

  test('has the present configuration with it', async () => {
    const { lease, claim } = await claimed(40);
    const url = 'https://receiver.example/moved';
    await hub.subscribe('billing', { maxInFlight: 16, delivery: { ...webhookOf(claim), url } });
    expect((await next(lease, claim))?.claim.target).toMatchObject({ url });
  });
});

describe('Of a lease that follows', () => {
  test('an answer that is lost is given again to who settles again', async () => {
    const { lease, claim } = await claimed(40);
    const lost = await next(lease, claim);
    expect(lost).toBeDefined();
    expect(await next(lease, claim)).toEqual(lost);
    expect(messages()).toBe(0);
    // Nobody else is given it: not by another token, nor who does not ask.
    const { token } = claim;
    expect(await settle(lease, { ...claim, token: `${token}x` })).toEqual({ outcome: 'fenced' });
    expect(await hub.subscription('billing').settle({ v: 1, lease, token, outcomes: [] })).toEqual({
      outcome: 'fenced',
    });
    // And once something became of it, not he either.
    if (lost !== undefined) await next(lost.lease, lost.claim);
    expect(await settle(lease, claim)).toEqual({ outcome: 'fenced' });
  });

  test('an answer that is lost together with the object is a claim that runs out: it is sent, and delivered once (P2)', async () => {
    const { lease, claim } = await claimed(40);
    const lost = await next(lease, claim);
    hub.restart('billing');
    expect(await settle(lease, claim)).toEqual({ outcome: 'fenced' });
    expect(messages()).toBe(0);
    await hub.advance(CLAIM_LIFE_MS);
    const again = await hub.claim(hub.take());
    expect(sequencesOf(again)).toEqual(lost && sequencesOf(lost.claim));
    expect(await hub.awaiting(settle(lost?.lease ?? 0, again))).toMatchObject({ outcome: 'settled' });
    expect(await hub.view('billing')).toMatchObject({ delivered: 72, pending: 8, waiting: 0 });
  });

  test('the claim outlives a restart of the object', async () => {
    const { lease, claim } = await claimed(40);
    const following = await next(lease, claim);
    hub.restart('billing');
    if (following === undefined) throw new Error('There is no next lease.');
    const last = await next(following.lease, following.claim);
    expect(last && sequencesOf(last.claim)).toEqual([73, 74, 75, 76, 77, 78, 79, 80]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 72, pending: 8, waiting: 0 });
  });
});

function webhookOf({ target }: Claim) {
  if (target.kind !== 'webhook') throw new Error(`It is of the kind ${target.kind}.`);
  const { kind, url, format, timeoutMs, headers, maxBatch } = target;
  return { kind, url, format, timeoutMs, headers, maxBatch, secret: null, rateLimit: null, handshake: false };
}
