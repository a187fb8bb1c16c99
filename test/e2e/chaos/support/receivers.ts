import { type Answer, type Arrival, Receiver } from '../../../../scripts/hub/receiver.ts';
import type { Delivery } from '../../../history/operations.ts';
import { type Given, seen } from './events.ts';
import type { Recorder } from './recorder.ts';

/** What a receiver does with a request, by the first event in it; `mended` are the sequences that it no longer refuses for good. */
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

/** Fails one in ten. */
export const uneven: Temper = () => (Math.random() < 0.1 ? REFUSED : OK);

/** What a transform makes of the events: the data within the transform's, the number in a header, the type as the path. */
export const SHAPE = {
  data: '{ "shaped": data }',
  headers: '{ "x-number": $string(data.number) }',
  path: '"/" & type',
};

export function isShaped({ path, headers, body }: Arrival): boolean {
  const { type, data }: { type: string; data: { shaped?: Given['data'] } } = JSON.parse(body);
  return path === `/${type}` && headers['x-number'] === String(data.shaped?.number);
}

/** The events of a request as they were published: one, or a batch. */
function eventsIn({ body }: Arrival): Given[] {
  type Shaped = Omit<Given, 'data'> & { data: Given['data'] | { shaped: Given['data'] } };
  const parsed: Shaped | Shaped[] = JSON.parse(body);
  return [parsed].flat().map((event) => ({ ...event, data: 'shaped' in event.data ? event.data.shaped : event.data }));
}

/** A receiver that verifies every request and whose book is part of the history. */
export async function startRecordedReceiver(
  recorder: Recorder,
  subscription: string,
  temper: Temper,
): Promise<Receiver> {
  return Receiver.start({
    answer: async (arrival) => {
      const start = recorder.now();
      const events = eventsIn(arrival);
      const members = events.map(({ sequence }) => Number(sequence));
      const deliveries = events.map((event) =>
        recorder.add<Delivery>({
          kind: 'delivery',
          start,
          end: Number.POSITIVE_INFINITY,
          outcome: 'unknown',
          subscription,
          event: seen(event),
          topic: arrival.topic,
          webhookId: arrival.webhookId,
          members,
          replay: arrival.replay,
          // Which invocation sent it can't be seen from here: each request is taken for one of its own.
          sender: { consumer: `${arrival.webhookId} ${start}`, key: event.subject, redriven: isRedriven(arrival) },
        }),
      );
      const [event] = events;
      if (event === undefined) throw new Error(`${subscription} was sent an empty batch.`);
      const answer = temper(arrival, event);
      if (typeof answer === 'object' && answer.afterMs !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, answer.afterMs));
      }
      const isTaken = answer === OK || (typeof answer === 'object' && answer.status === OK);
      for (const delivery of deliveries) {
        delivery.end = recorder.now();
        delivery.outcome = isTaken ? 'success' : 'failure';
      }
      return typeof answer === 'object' ? { ...answer, afterMs: 0 } : answer;
    },
  });
}

function isRedriven({ headers }: Arrival): boolean {
  return headers['millrace-redriven'] === 'true';
}
