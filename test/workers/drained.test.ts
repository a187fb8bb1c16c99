import { createExecutionContext, createMessageBatch, env, getQueueResult } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { DeadLetters, type LetterFilter } from '../../src/dead-letters/letters.ts';
import { Seals } from '../../src/deliveries/seal.ts';
import type { QueuedEvent } from '../../src/events/handed.ts';
import { hmacUnder } from '../../src/platform-workers.ts';
import worker from '../../src/worker.ts';
import * as byHand from '../support/seals.ts';

/** What a dead letter queue brings to the Worker, which verifies it by the platform's own HMAC. */

const FOREIGN = btoa('another hub secret of 32 bytes..');

function queued(subscription: string): QueuedEvent {
  const event = {
    specversion: '1.0' as const,
    id: 'e1',
    source: '/t',
    type: 'order.paid',
    time: '2026-01-01T00:00:00Z',
    data: { amount: 100, text: '€' },
    topic: 'orders',
    sequence: '0000000000000001',
    recordedtime: '2026-01-01T00:00:00.000Z',
  };
  const about = {
    v: 1 as const,
    subscription,
    topic: 'orders',
    sequence: 1,
    attempt: 1,
    replay: null,
    redriven: false,
  };
  return { ...about, sentAt: 1_790_000_000_000, event };
}

async function arrives(...bodies: unknown[]) {
  const messages = bodies.map((body, index) => ({ id: `m${index}`, timestamp: new Date(), attempts: 1, body }));
  const batch = createMessageBatch('mail-dead', messages);
  const context = createExecutionContext();
  await worker.queue(batch, env, context);
  const { explicitAcks, retryMessages } = await getQueueResult(batch, context);
  return { acked: explicitAcks, retried: retryMessages.map((one: { msgId: string }) => one.msgId) };
}

async function letters(subscription: string) {
  const filter: LetterFilter = { subscription, state: null, topic: null, reason: null, since: null, until: null };
  const found = await new DeadLetters(env.DB).page(filter, 10, null);
  return found.letters.map(({ sequence, reason, event }) => [sequence, reason, JSON.parse(event).data]);
}

it('P4 P7: what the hub has sealed is kept, as its subscription is gone; what it has not is dropped', async () => {
  const [own, forged] = [queued('gone'), queued('forged')];
  const foreign = Seals.under(FOREIGN, hmacUnder) ?? expect.fail('No seals.');
  // Sealed by another implementation than it is verified by.
  const good = await byHand.sealed(own);
  const away = await byHand.sealed(queued('away'), foreign);
  expect(await arrives(good, { ...good, subscription: 'forged' }, forged, away)).toEqual({
    acked: ['m0', 'm1', 'm2'],
    retried: ['m3'],
  });
  expect(await letters('gone')).toEqual([[1, 'consumer', { amount: 100, text: '€' }]]);
  expect(await letters('forged')).toEqual([]);
  expect(await letters('away')).toEqual([]);
});
