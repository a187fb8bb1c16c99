import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEAL_BYTES, Seals, sealsOf } from '../../src/deliveries/seal.ts';
import type { QueuedEvent } from '../../src/events/handed.ts';
import { storedEvent } from '../client/consumer-bench.ts';
import { HUB_SECRET, hmacUnder, sealed, sealsUnder } from '../support/seals.ts';

const OLD = HUB_SECRET;
const NEW = btoa('another hub secret of 32 bytes..');

const MESSAGE: QueuedEvent = {
  v: 1,
  subscription: 'billing',
  topic: 'orders',
  sequence: 42,
  attempt: 1,
  replay: null,
  redriven: false,
  sentAt: 1_790_000_000_000,
  ackId: `1-42-${'0'.repeat(32)}`,
  event: storedEvent(42),
};
const { ackId: _, ...UNCONFIRMED } = MESSAGE;
const { event: __, ...CHECK } = MESSAGE;

/** As a queue brings it back, however often it was moved. */
const moved = (message: QueuedEvent): QueuedEvent => JSON.parse(JSON.stringify(JSON.parse(JSON.stringify(message))));

describe('P7: a seal', () => {
  it.each([
    ['with an event', UNCONFIRMED],
    ['to be confirmed', MESSAGE],
    ['that is a claim check', CHECK],
  ])('is known again on a message %s', async (_, message) => {
    const seals = sealsUnder();
    const one = await sealed(message, seals);
    expect(one.seal).toMatch(/^[0-9a-f]{8}\.[A-Za-z0-9+/]{43}=$/);
    expect(await seals.verify(moved(one))).toBe(true);
    expect(JSON.stringify(one).length - JSON.stringify(message).length).toBe(SEAL_BYTES);
  });

  it('is known again whatever JSON is in the event', async () => {
    const seals = sealsUnder();
    const data = fc.jsonValue({ noUnicodeString: false });
    await fc.assert(
      fc.asyncProperty(fc.oneof(data, fc.dictionary(fc.integer().map(String), data)), async (value) => {
        // As it is parsed from the log.
        const event = JSON.parse(JSON.stringify(storedEvent(42, { data: value })));
        return seals.verify(moved(await sealed({ ...MESSAGE, event }, seals)));
      }),
    );
  });

  it.each([
    ['another subscription', { subscription: 'billing2' }],
    ['another topic', { topic: 'refunds' }],
    ['another sequence', { sequence: 43 }],
    ['another attempt', { attempt: 2 }],
    ['a replay', { replay: 'rpl_1' }],
    ['a redrive', { redriven: true }],
    ['another time', { sentAt: MESSAGE.sentAt - 1 }],
    ['another ack id', { ackId: `1-43-${'0'.repeat(32)}` }],
    ['other data', { event: storedEvent(42, { data: { order: 'o42', customer: 'c1', amount: 1 } }) }],
    ['another type', { event: storedEvent(42, { type: 'order.refunded' }) }],
    ['no event', { event: undefined }],
    ['no ack id', { ackId: undefined }],
    ['one field more', { more: true }],
    ['something that JSON has no words for', { event: storedEvent(42, { data: { amount: 1n } }) }],
  ])('is none on a message that was given %s', async (_, changes) => {
    const seals = sealsUnder();
    const one = await sealed(MESSAGE, seals);
    expect(await seals.verify({ ...one, ...changes })).toBe(false);
  });

  it('is none where it was made up, cut short, or is of another message', async () => {
    const seals = sealsUnder();
    const [{ seal = '' }, { seal: others }] = [await sealed(MESSAGE, seals), await sealed(CHECK, seals)];
    const id = seal.slice(0, 8);
    const made = [undefined, '', 'x', id, `${id}.`, `${id}.${'A'.repeat(43)}=`, seal.slice(9), seal.slice(0, -1)];
    for (const one of [...made, others, `${seal} `, `${seal}\n`]) {
      expect(await seals.verify({ ...MESSAGE, seal: one }), one).toBe(false);
    }
    expect(await seals.verify({ ...MESSAGE, seal })).toBe(true);
  });

  it('is made under the first of the hub secrets, and known under each of them', async () => {
    const [before, both] = [sealsUnder(OLD), sealsUnder(`${NEW},${OLD}`)];
    const old = await sealed(MESSAGE, before);
    expect(await both.verify(old)).toBe(true);
    const fresh = await sealed(MESSAGE, both);
    expect(fresh.seal).not.toBe(old.seal);
    expect(await sealsUnder(NEW).verify(fresh)).toBe(true);
    // Whoever knows the one can't pass it off as the other.
    const mixed = `${old.seal?.slice(0, 9)}${fresh.seal?.slice(9)}`;
    expect(await both.verify({ ...MESSAGE, seal: mixed })).toBe(false);
  });

  it('under a secret that is not there (any more) is neither true nor false, and says which', async () => {
    const old = await sealed(MESSAGE, sealsUnder(OLD));
    await expect(sealsUnder(NEW).verify(old)).rejects.toThrow(`hub secret ${old.seal?.slice(0, 8)}, which HUB_SECRET`);
  });

  it('can not be made or known without a HUB_SECRET', () => {
    for (const none of ['', 'x', `${OLD},x`]) expect(Seals.under(none, hmacUnder)).toBeNull();
  });

  it('is made with the same keys until HUB_SECRET is another', () => {
    const first = sealsOf(OLD, hmacUnder);
    expect(sealsOf(OLD, hmacUnder)).toBe(first);
    expect(sealsOf(NEW, hmacUnder)).not.toBe(first);
    expect(sealsOf('', hmacUnder)).toBeNull();
  });
});
