import { describe, expect, test } from 'vitest';
import { TOOK_CHARS } from '../../src/tails/limits.ts';
import { FEED_OPEN_CHARS_MAX, FEED_TELL_MS, FEEDS_OPEN_CHARS_MAX, FRAME_CHARS_MAX } from '../../src/topics/limits.ts';
import { type EventMatch, FEED_CLOSED, type FrameHead } from '../../src/topics/protocol.ts';
import { FakeSocket } from '../support/fake-sockets.ts';
import { append, EVERY, event, Harness } from './harness.ts';

/** A reader at the end of a feed, as the log sees it: what was sent to it, and what it says. */
class Reader {
  readonly socket = new SentSocket();
  readonly #harness: Harness;

  constructor(harness: Harness) {
    this.#harness = harness;
    harness.sockets.add(this.socket);
  }

  follow(after: number, match: Partial<EventMatch> = {}, until: number | null = null): void {
    this.say({ v: 1, after, match: { ...EVERY, ...match }, until });
  }

  say(message: unknown): void {
    this.#harness.log.feedMessage(this.socket, JSON.stringify(message));
  }

  /** The frames since the last time, as [after, through, sequences]. */
  frames(): [number, number, number[] | null][] {
    return this.socket.sent.splice(0).map((text) => {
      const [head = '', ...events] = text.split('\n');
      const { after, through, sequences }: FrameHead = JSON.parse(head);
      expect(events.map((json) => Number(JSON.parse(json).sequence))).toEqual(sequences ?? []);
      return [after, through, sequences];
    });
  }
}

class SentSocket extends FakeSocket {
  readonly sent: string[] = [];
  failing = false;
  /** Characters taken, and not said. */
  taken = 0;

  override send(text: string): void {
    if (this.failing) throw new Error('The connection is gone.');
    this.sent.push(text);
  }
}

/** Events come, and have been given out. */
async function come(harness: Harness, ...types: string[]): Promise<void> {
  await harness.publish(...types);
  await harness.clock.advance(100);
}

describe('feeds', () => {
  test('P2 give what comes, each frame from where the last one ended', async () => {
    const harness = new Harness();
    await harness.publish('a', 'b');
    const reader = new Reader(harness);
    reader.follow(2);
    await come(harness, 'c');
    await come(harness, 'd', 'e');
    expect(reader.frames()).toEqual([
      [2, 3, [3]],
      [3, 5, [4, 5]],
    ]);
  });

  test('P2 give what came between the last page and the feed', async () => {
    const harness = new Harness();
    await harness.publish('a', 'b', 'c');
    const reader = new Reader(harness);
    reader.follow(1);
    expect(reader.frames()).toEqual([[1, 3, [2, 3]]]);
  });

  test('only tell those who are too far behind that there is more, until they have read it', async () => {
    const harness = new Harness();
    const big = 'x'.repeat(FRAME_CHARS_MAX);
    await harness.log.append(append([event({ data: big }), event()]));
    const reader = new Reader(harness);
    reader.follow(0);
    expect(reader.frames()).toEqual([[0, 2, null]]);
    await come(harness, 'c');
    expect(reader.frames()).toEqual([]);
    reader.follow(3);
    await come(harness, 'd');
    expect(reader.frames()).toEqual([[3, 4, [4]]]);
  });

  test('send nothing where nothing matches, and know how far they are', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    reader.follow(1, { exactTypes: ['b'] });
    await come(harness, 'a', 'a');
    expect(reader.frames()).toEqual([]);
    await come(harness, 'a', 'b');
    expect(reader.frames()).toEqual([[1, 5, [5]]]);
  });

  test('say now and then how far they are where nothing matches, with what comes and never by themselves', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    reader.follow(1, { exactTypes: ['b'] });
    await come(harness, 'a');
    await harness.clock.advance(FEED_TELL_MS);
    expect(reader.frames()).toEqual([]);
    await come(harness, 'a');
    expect(reader.frames()).toEqual([[1, 3, []]]);
    await come(harness, 'a', 'a');
    expect(reader.frames()).toEqual([]);
    await harness.clock.advance(FEED_TELL_MS);
    await come(harness, 'a', 'b');
    expect(reader.frames()).toEqual([[3, 7, [7]]]);
  });

  test('say when the end is reached, matching or not, and nothing behind it', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    reader.follow(1, { exactTypes: ['b'] }, 3);
    await come(harness, 'a');
    expect(reader.frames()).toEqual([]);
    await come(harness, 'a', 'b');
    expect(reader.frames()).toEqual([[1, 3, []]]);
    await come(harness, 'b');
    expect(reader.frames()).toEqual([]);
  });

  test('may begin beyond the head', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    reader.follow(3);
    await come(harness, 'b', 'c', 'd');
    expect(reader.frames()).toEqual([[3, 4, [4]]]);
  });

  test('P6 keep nothing for a reader that takes nothing: it is told once, and reads the log when it can', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const [slow, quick] = [new Reader(harness), new Reader(harness)];
    slow.follow(1);
    quick.follow(1);
    const data = 'x'.repeat(FRAME_CHARS_MAX / 2);
    const seen: number[] = [];
    const slowFrames: ReturnType<Reader['frames']> = [];
    for (let n = 2; n <= 20; n += 1) {
      await harness.log.append(append([event({ data })]));
      await harness.clock.advance(100);
      const sent = quick.socket.sent.reduce((sum, text) => sum + text.length, 0);
      for (const [, , sequences] of quick.frames()) seen.push(...(sequences ?? []));
      quick.say({ v: 1, took: sent });
      slowFrames.push(...slow.frames());
    }
    expect(seen).toEqual(Array.from({ length: 19 }, (_, index) => index + 2));
    const carried = slowFrames.filter(([, , sequences]) => sequences !== null);
    expect(carried.length * data.length).toBeLessThanOrEqual(FEED_OPEN_CHARS_MAX);
    expect(slowFrames.slice(carried.length)).toEqual([[carried.length + 1, carried.length + 2, null]]);
    slow.follow(20);
    await come(harness, 'z');
    expect(slow.frames()).toEqual([[20, 21, [21]]]);
  });

  test('P6 ask many readers for what they took before the room of all is used up, so that none has to read the log', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const readers = Array.from({ length: 1_000 }, () => new Reader(harness));
    for (const reader of readers) reader.follow(1);
    const data = 'x'.repeat(FRAME_CHARS_MAX / 8);
    const texts: string[] = [];
    for (let sent = 0; sent <= 2 * FEEDS_OPEN_CHARS_MAX; ) {
      await harness.log.append(append([event({ data })]));
      await harness.clock.advance(1_000);
      for (const { socket } of readers) {
        const [text = ''] = socket.sent.splice(0);
        texts.push(text.slice(0, text.indexOf('\n')));
        sent += text.length;
        socket.taken += text.length;
        if (socket.taken < TOOK_CHARS && !text.includes('"asks":true')) continue;
        harness.log.feedMessage(socket, JSON.stringify({ v: 1, took: socket.taken }));
        socket.taken = 0;
      }
    }
    expect(texts.filter((text) => !/"sequences":\[\d+\]/.test(text))).toEqual([]);
    const asking = texts.filter((text) => text.includes('"asks":true')).length;
    expect(asking).toBeGreaterThan(0);
    expect(asking).toBeLessThan(texts.length / 2);
  });

  test('P2 outlive a hibernation, with what they had told and how far they had looked', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const [all, some] = [new Reader(harness), new Reader(harness)];
    all.follow(1);
    some.follow(1, { exactTypes: ['b'] });
    await come(harness, 'a', 'a');
    await harness.clock.advance(2_000);
    all.frames();
    harness.restart();
    await come(harness, 'b');
    expect(all.frames()).toEqual([[3, 4, [4]]]);
    expect(some.frames()).toEqual([[1, 4, [4]]]);
  });

  test('P2 show their readers that something is wrong, should an object ever wake with less than it had sent', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    reader.follow(1);
    // No time to write down what was told.
    await come(harness, 'b');
    expect(reader.frames()).toEqual([[1, 2, [2]]]);
    harness.restart();
    await come(harness, 'c');
    // Not from 2: the reader sees it, and reads the log.
    expect(reader.frames()).toEqual([[1, 3, [2, 3]]]);
  });

  test('end with their topic', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    reader.follow(1);
    await harness.log.remove({ force: true });
    expect(reader.socket.closed).toMatchObject({ code: FEED_CLOSED.unknownTopic });
    const late = new Reader(harness);
    late.follow(1);
    expect(late.socket.closed).toMatchObject({ code: FEED_CLOSED.unknownTopic });
  });

  test('P6 end one by one: what fails for one reader is nothing to the others, nor to who publishes', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const [broken, whole] = [new Reader(harness), new Reader(harness)];
    broken.follow(1);
    whole.follow(1);
    broken.socket.failing = true;
    await come(harness, 'b');
    expect(broken.socket.closed).toMatchObject({ code: FEED_CLOSED.again });
    expect(whole.frames()).toEqual([[1, 2, [2]]]);
    harness.log.feedGone(whole.socket);
    await come(harness, 'c');
    expect(whole.frames()).toEqual([]);
  });

  test.each(['', 'x', '{}', '{"v":1,"took":-1}', '{"v":2,"after":1}'])('%j ends a feed', async (text) => {
    const harness = new Harness();
    await harness.publish('a');
    const reader = new Reader(harness);
    harness.log.feedMessage(reader.socket, text);
    expect(reader.socket.closed).toMatchObject({ code: FEED_CLOSED.again });
  });
});
