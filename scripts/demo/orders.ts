import type { ApiClient, Subscription } from '../hub/api-client.ts';
import { eventually } from '../hub/eventually.ts';
import { type Arrival, isSuccess, Receiver } from '../hub/receiver.ts';
import { type Check, check } from './checks.ts';

/** The demo's second part: order under failure, and a rate limit kept. */

const TOPIC = 'shop';
const NAME = 'warehouse';
const STEPS = ['placed', 'paid', 'packed', 'shipped', 'delivered'];
const ORDERS = Array.from({ length: 40 }, (_, index) => `order-${index + 1}`);
/** The order whose first step the warehouse can't take for a while. */
const STUCK = 'order-7';
const STUCK_ATTEMPTS = 5;
/** The warehouse fails each eighth request, whatever is in it. */
const HICCUP_EVERY = 8;
const PER_SECOND = 50;
/** What the wire may shift from one second into another. */
const SHIFTED = 0.1;
const WITHIN_MS = 60_000;
const SECOND_MS = 1_000;

const OK = 200;
const INTERNAL_ERROR = 500;

export interface OrdersStory {
  book: Arrival[];
  sums: Subscription;
  /** How many other events had been taken when the stuck order's first step was. */
  takenBeforeStuck: number;
}

/** Publishes the steps of many orders to a warehouse that stumbles, and waits until it has taken all of them. */
export async function playOrders(api: ApiClient): Promise<OrdersStory> {
  const warehouse = await Receiver.start({ answer: stumbling() });
  await api.putTopic(TOPIC);
  await api.putSubscription(NAME, {
    topics: [TOPIC],
    ordering: 'key',
    retry: { schedule: ['250ms', '500ms', '1s', '1s', '2s', '2s', '2s', '2s'], jitter: 0.1 },
    delivery: { kind: 'webhook', url: warehouse.url, rateLimit: { perSecond: PER_SECOND } },
  });
  for (const step of STEPS) {
    await api.publish(
      TOPIC,
      ORDERS.map((order) => ({ type: `order.${step}`, subject: order, data: { order, step } })),
    );
  }
  const sums = await eventually(
    'the warehouse has every step of every order',
    async () => {
      const state = await api.subscription(NAME);
      return state.delivered === STEPS.length * ORDERS.length ? state : null;
    },
    WITHIN_MS,
  );
  const { book } = warehouse;
  await warehouse.stop();
  const taken = book.filter(({ status }) => isSuccess(status));
  return { book, sums, takenBeforeStuck: taken.findIndex((arrival) => orderOf(arrival) === STUCK) };
}

/** Answers of a receiver that can't take one order for a while, and hiccups now and then. */
function stumbling(): (arrival: Arrival) => number {
  let requests = 0;
  let refused = 0;
  return (arrival) => {
    requests += 1;
    if (orderOf(arrival) === STUCK && refused < STUCK_ATTEMPTS) {
      refused += 1;
      return INTERNAL_ERROR;
    }
    return requests % HICCUP_EVERY === 0 ? INTERNAL_ERROR : OK;
  };
}

export function checkOrders({ book, sums, takenBeforeStuck }: OrdersStory): Check[] {
  const outOfOrder = ORDERS.filter((order) => !inOrder(book.filter((arrival) => orderOf(arrival) === order)));
  const busiest = busiestSecond(book);
  return [
    check(
      `the steps of each of ${ORDERS.length} orders came in their order, though one request in ${HICCUP_EVERY} failed`,
      outOfOrder.length === 0,
      () => outOfOrder.join(', '),
    ),
    check(
      `${STUCK} was stuck alone: ${takenBeforeStuck} other events were taken before its first`,
      takenBeforeStuck >= ORDERS.length - 1,
      () => `only ${takenBeforeStuck}`,
    ),
    check(
      `the warehouse was never sent more than ${PER_SECOND} requests a second (busiest: ${busiest})`,
      busiest <= PER_SECOND * (1 + SHIFTED),
      () => `${busiest} within a second`,
    ),
    check(
      'nothing died on the way, and the sums of the warehouse balance',
      sums.dead + sums.pending + sums.waiting + sums.filtered + sums.skipped + sums.discarded === 0,
      () => JSON.stringify(sums),
    ),
  ];
}

function orderOf({ body }: Arrival): string {
  const event: { subject: string } = JSON.parse(body);
  return event.subject;
}

/** Do the events appear in the order of their sequences? Repeats are no matter; each comes once the ones before it were taken. */
function inOrder(arrivals: readonly Arrival[]): boolean {
  const sequences = [...new Set(arrivals.map(({ sequence }) => sequence))].sort((a, b) => a - b);
  let taken = 0;
  for (const { sequence, status } of arrivals) {
    const next = sequences[taken];
    if (next !== undefined && sequence > next) return false;
    if (sequence === next && isSuccess(status)) taken += 1;
  }
  return taken === STEPS.length;
}

/** The most requests that came within any second. */
function busiestSecond(book: readonly Arrival[]): number {
  const times = book.map(({ at }) => at).sort((a, b) => a - b);
  let from = 0;
  let most = 0;
  for (const [to, at] of times.entries()) {
    while (at - (times[from] ?? at) >= SECOND_MS) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
