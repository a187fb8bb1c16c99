import { type Answer, type Arrival, Receiver } from '../../../../scripts/hub/receiver.ts';
import type { Delivery } from '../../../history/operations.ts';
import { type Given, seen } from './events.ts';
import type { Recorder } from './recorder.ts';

/** What a receiver does with a request; `mended` are the sequences that it no longer refuses for good. */
type Temper = (arrival: Arrival, event: Given) => Answer;

const OK = 200;
const REFUSED = 500;
const TOO_MANY = 429;
const UNAVAILABLE = 503;
export const POISON = 'order.poison';

/** Fails three in ten, in each of the ways there are; poison always, until it is mended. */
export function moody(mended: ReadonlySet<number>, timeoutMs: number): Temper {
  return ({ sequence }, event) => {
    if (event.type === POISON && !mended.has(sequence)) return REFUSED;
    const chance = Math.random();
    if (chance < 0.2) return REFUSED;
    if (chance < 0.27) return 'reset';
    if (chance < 0.3) return { status: OK, afterMs: timeoutMs * 1.5 };
    return OK;
  };
}

export const slow: Temper = () => ({ status: OK, afterMs: 20 + Math.random() * 180 });
export const fine: Temper = () => OK;

/** Says now and then that it is asked too much. */
export const crowded: Temper = () => {
  const chance = Math.random();
  if (chance < 0.004) return { status: TOO_MANY, headers: { 'retry-after': '1' } };
  return chance < 0.015 ? UNAVAILABLE : OK;
};

/** A receiver that verifies every request and whose book is part of the history. */
export async function startRecordedReceiver(
  recorder: Recorder,
  subscription: string,
  temper: Temper,
): Promise<Receiver> {
  return Receiver.start({
    answer: async (arrival) => {
      const event: Given = JSON.parse(arrival.body);
      const delivery: Delivery = {
        kind: 'delivery',
        start: recorder.now(),
        end: Number.POSITIVE_INFINITY,
        outcome: 'unknown',
        subscription,
        event: seen(event),
        topic: arrival.topic,
        webhookId: arrival.webhookId,
        replay: arrival.replay,
        sender: null,
      };
      recorder.add(delivery);
      const answer = temper(arrival, event);
      if (typeof answer === 'object' && answer.afterMs !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, answer.afterMs));
      }
      delivery.end = recorder.now();
      delivery.outcome = answer === OK || (typeof answer === 'object' && answer.status === OK) ? 'success' : 'failure';
      return typeof answer === 'object' ? { ...answer, afterMs: 0 } : answer;
    },
  });
}
