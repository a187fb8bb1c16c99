import type { StoredEvent } from '../../src/events/stored.ts';
import type { ApiClient, DeadLetter, Replay, Subscription } from '../hub/api-client.ts';
import { type BookSums, type Consumer, sumBook } from './consumers.ts';
import type { DemoEvent } from './payloads.ts';
import type { Published } from './publish.ts';

/** Everything the demo did and saw, to be judged. */
export interface Story {
  events: DemoEvent[];
  published: Published;
  stored: StoredEvent[];
  consumers: { consumer: Consumer; sums: Subscription; book: BookSums }[];
  /** The dead letter after its redrive. */
  letter: DeadLetter;
  replay: Replay;
}

export interface Check {
  claim: string;
  /** Null: it holds. */
  wrong: string | null;
}

export async function tellStory(
  api: ApiClient,
  consumers: readonly Consumer[],
  told: Omit<Story, 'consumers'>,
): Promise<Story> {
  return {
    ...told,
    consumers: await Promise.all(
      consumers.map(async (consumer) => ({
        consumer,
        sums: await api.subscription(consumer.name),
        book: sumBook(consumer),
      })),
    ),
  };
}

export function checkStory(story: Story): Check[] {
  return [
    ...checkLog(story),
    ...story.consumers.flatMap((entry) => checkConsumer(story, entry)),
    check(
      'the dead letter was redriven and resolved',
      story.letter.redrivenAt !== null && story.letter.resolvedAt !== null,
      () => JSON.stringify(story.letter),
    ),
    check(
      'the replay sent every event of the topic',
      story.replay.status === 'done' &&
        story.replay.total === story.events.length &&
        story.replay.delivered === story.events.length,
      () => JSON.stringify(story.replay),
    ),
  ];
}

function checkLog({ events, published, stored }: Story): Check[] {
  const sequences = stored.map(({ sequence }) => Number(sequence));
  const ids = new Set(stored.map(({ id }) => id));
  const sequenceOf = new Map(stored.map(({ id, sequence }) => [id, Number(sequence)]));
  const wrongReceipts = [...published.receipts].filter(
    ([id, receipts]) =>
      receipts.filter(({ duplicate }) => !duplicate).length !== 1 ||
      receipts.some(({ sequence }) => sequence !== sequenceOf.get(id)),
  );
  return [
    check(
      'the topic holds every event once',
      stored.length === events.length && ids.size === events.length,
      () => `${stored.length} events, ${ids.size} ids, ${events.length} published`,
    ),
    check(
      'its sequences are 1, 2, 3 … without a gap',
      sequences.every((sequence, index) => sequence === index + 1),
      () => sequences.join(' '),
    ),
    check(
      'of what was sent twice one receipt is new, the other names the same sequence',
      wrongReceipts.length === 0,
      () => JSON.stringify(wrongReceipts.slice(0, 3)),
    ),
  ];
}

function checkConsumer(story: Story, { consumer, sums, book }: Story['consumers'][number]): Check[] {
  const { name } = consumer;
  const wanted = story.events.filter(consumer.wants).map(({ id }) => id);
  const missing = wanted.filter((id) => !book.taken.has(id));
  // Registered late, from `latest` on: all it got came with the replay, which has its own sums.
  const live = book.replayed > 0 ? 0 : wanted.length;
  const examined = book.replayed > 0 ? 0 : story.events.length;
  const total =
    sums.delivered + sums.dead + sums.pending + sums.waiting + sums.filtered + sums.skipped + sums.discarded;
  return [
    check(
      `${name} has each event it should have, and no other`,
      missing.length === 0 && book.taken.size === wanted.length,
      () => `${book.taken.size} of ${wanted.length}; missing ${missing.slice(0, 3).join(', ')}`,
    ),
    check(
      `${name} could verify every request, and knows each event by one webhook-id`,
      book.unverified === 0 && book.webhookIds === book.seen,
      () => `${book.unverified} unverified, ${book.webhookIds} webhook-ids for ${book.seen} events`,
    ),
    check(
      `the hub's sums for ${name} balance and agree with its book`,
      total === examined && sums.delivered === live && sums.lag === 0 && sums.failed === book.refused,
      () => `book: ${book.refused} refused; hub: ${JSON.stringify(sums)}`,
    ),
  ];
}

/** A claim and, if it does not hold, what was seen instead. */
export function check(claim: string, holds: boolean, seen: () => string): Check {
  return { claim, wrong: holds ? null : seen() };
}
