import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Arrival } from '../support/index.ts';
import { eventually } from '../support/index.ts';
import { Stage } from '../support/stage.ts';

/** Receivers that misbehave, each in its way, over real HTTP: what becomes of the event, and what the hub says of it. */

/** Of a receiver that is to keep to it, on a machine with other things to do, and of one that has to run into it. */
const TIMEOUT_MS = 20_000;
const SHORT_TIMEOUT_MS = 2_000;
const RETRY_AFTER_SECONDS = 6;
/** A date in HTTP has whole seconds. */
const SECOND_MS = 1_000;
const FIRST_KIB = 1_024;
const POURED_MAX_BYTES = 64 * 1_048_576;

interface DeliveryRow {
  subscription: string;
  status: string;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  deadLetter: string | null;
}

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});

afterAll(() => stage.stop());

const subscribed = (answer: (arrival: Arrival) => Answer, timeoutMs = TIMEOUT_MS) =>
  stage.subscribed(answer, { retry: { schedule: ['100ms'], jitter: 0 } }, { timeout: `${timeoutMs}ms` });

async function deliveryOf(topic: string, sequence = 1): Promise<DeliveryRow | undefined> {
  const path = `/v1/topics/${topic}/events/${sequence}/deliveries`;
  return (await stage.hub.api.json<{ items: DeliveryRow[] }>('GET', path)).items[0];
}

/** Oldest first. */
const attemptsOf = async (name: string) => (await stage.hub.api.attempts(name)).sort((a, b) => a.attempt - b.attempt);

/** Both attempts failed so; then the event is a dead letter, which tells the same. */
async function expectExhausted(topic: string, name: string, attempt: { outcome: string; status: number | null }) {
  const view = await stage.settled(name, { delivered: 0, dead: 1 });
  expect(view).toMatchObject({ status: 'active', failed: 2, lag: 0, cursor: 1 });
  expect(await attemptsOf(name)).toMatchObject([
    { attempt: 1, ...attempt },
    { attempt: 2, ...attempt },
  ]);
  const letter = await eventually('the dead letter is in D1', async () => {
    return (await stage.hub.api.deadLetters({ subscription: name }))[0];
  });
  expect(letter).toMatchObject({ topic, sequence: 1, reason: 'exhausted', attempts: 2, lastStatus: attempt.status });
  expect(letter.event).toMatchObject({ type: 'order.created', data: { number: 1 }, topic });
  expect(await deliveryOf(topic)).toMatchObject({
    subscription: name,
    status: 'dead',
    attempts: 2,
    lastStatus: attempt.status,
    deadLetter: letter.id,
  });
  return letter;
}

describe.concurrent('P4 P5: a receiver that', () => {
  it('hangs is given up on after the timeout', async () => {
    const { topic, name, receiver } = await subscribed(() => 'hang', SHORT_TIMEOUT_MS);
    await stage.publish(topic);
    const letter = await expectExhausted(topic, name, { outcome: 'timeout', status: null });
    expect(letter.lastError).toContain(String(SHORT_TIMEOUT_MS));
    expect(receiver.book.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(receiver.book.map(({ webhookId }) => webhookId)).size).toBe(1);
  });

  it('resets the connection is tried again', async () => {
    const { topic, name } = await subscribed(() => 'reset');
    await stage.publish(topic);
    await expectExhausted(topic, name, { outcome: 'network', status: null });
  });

  it('is not there is tried again', async () => {
    const { topic, name, receiver } = await subscribed(() => 200);
    await receiver.stop();
    await stage.publish(topic);
    await expectExhausted(topic, name, { outcome: 'network', status: null });
  });

  it('answers 500 is tried again', async () => {
    const { topic, name } = await subscribed(() => ({ status: 500, body: 'out of order' }));
    await stage.publish(topic);
    await expectExhausted(topic, name, { outcome: 'failed', status: 500 });
    expect(await attemptsOf(name)).toMatchObject([{ response: 'out of order' }, { response: 'out of order' }]);
  });

  it('answers 302 is not followed', async () => {
    const elsewhere = await stage.receiver();
    const { topic, name } = await subscribed(() => ({ status: 302, headers: { location: elsewhere.url } }));
    await stage.publish(topic);
    await expectExhausted(topic, name, { outcome: 'failed', status: 302 });
    expect(elsewhere.book).toEqual([]);
  });

  it.each([429, 503])('answers %i with Retry-After in seconds is waited for', async (status) => {
    const { topic, name, receiver } = await subscribed(({ attempt }) =>
      attempt === 1 ? { status, headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } } : 200,
    );
    await stage.publish(topic);
    const refused = await eventually('the first attempt is recorded', async () => (await attemptsOf(name))[0]);
    expect(refused).toMatchObject({ attempt: 1, outcome: 'failed', status });
    expect(await deliveryOf(topic)).toMatchObject({ status: 'retrying', attempts: 1, lastStatus: status });
    await stage.settled(name, { delivered: 1, dead: 0 });
    const [first, second] = receiver.book;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(RETRY_AFTER_SECONDS * SECOND_MS);
    expect(await deliveryOf(topic)).toMatchObject({ status: 'delivered', attempts: 2, lastStatus: 200 });
  });

  it('answers 429 with Retry-After as a date is waited for until then', async () => {
    let until = 0;
    const { topic, name, receiver } = await subscribed(({ attempt }) => {
      if (attempt > 1) return 200;
      until = Math.ceil(Date.now() / SECOND_MS) * SECOND_MS + RETRY_AFTER_SECONDS * SECOND_MS;
      return { status: 429, headers: { 'retry-after': new Date(until).toUTCString() } };
    });
    await stage.publish(topic);
    await stage.settled(name, { delivered: 1, dead: 0 });
    expect(receiver.book).toHaveLength(2);
    expect(receiver.book[1]?.at).toBeGreaterThanOrEqual(until);
  });

  it('answers 410 is left alone until somebody says otherwise', async () => {
    const { topic, name, receiver } = await subscribed(() => 410);
    await stage.publish(topic);
    const disabled = await eventually('it is disabled', async () => {
      const view = await stage.hub.api.subscription(name);
      return view.status === 'disabled' && view;
    });
    expect(disabled).toMatchObject({ dead: 1, failed: 1, reason: expect.stringContaining('410') });
    const letter = await eventually('the letter is in D1', async () => {
      return (await stage.hub.api.deadLetters({ subscription: name }))[0];
    });
    expect(letter).toMatchObject({ reason: 'gone', attempts: 1, lastStatus: 410, sequence: 1 });
    await stage.publish(topic);
    expect(await stage.hub.api.subscription(name)).toMatchObject({ status: 'disabled', dead: 1, lag: 1 });

    receiver.answer = () => 200;
    await stage.hub.api.json('POST', `/v1/subscriptions/${name}/resume`);
    await stage.settled(name, { delivered: 1, dead: 1 });
    // Nothing had been sent while it was disabled.
    expect(receiver.book.map(({ sequence, attempt }) => [sequence, attempt])).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  it('answers 200 and 10 GB has taken the event, and is hung up on after the first of it', async () => {
    const { topic, name, receiver } = await subscribed(() => 'endless');
    await stage.publish(topic);
    await stage.settled(name, { delivered: 1, dead: 0 });
    expect(receiver.book).toHaveLength(1);
    const [attempt] = await stage.hub.api
      .json<{ items: { response: string; status: number }[] }>('GET', `/v1/subscriptions/${name}/attempts`)
      .then(({ items }) => items);
    expect(attempt?.status).toBe(200);
    expect(attempt?.response.length).toBe(FIRST_KIB);
    const poured = await eventually('the hub hangs up', () => receiver.book[0]?.poured);
    // What lay in buffers between the two.
    expect(poured).toBeLessThan(POURED_MAX_BYTES);
  });

  it('answers 200 after the timeout gets the event again, recognisably', async () => {
    const { topic, name, receiver } = await subscribed(
      ({ attempt }) => (attempt === 1 ? { status: 200, afterMs: SHORT_TIMEOUT_MS * 2 } : 200),
      SHORT_TIMEOUT_MS,
    );
    await stage.publish(topic);
    await stage.settled(name, { delivered: 1, dead: 0 });
    expect(await attemptsOf(name)).toMatchObject([
      { attempt: 1, outcome: 'timeout', status: null },
      { attempt: 2, outcome: 'delivered', status: 200 },
    ]);
    expect(receiver.book.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(receiver.book.map(({ webhookId }) => webhookId)).size).toBe(1);
    expect(await deliveryOf(topic)).toMatchObject({ status: 'delivered', attempts: 2 });
  });
});
