import type { ReadResult } from '../../src/topics/protocol.ts';
import type { Party } from './object-host.ts';
import type { Plan } from './plan.ts';
import { TYPES } from './producers.ts';
import { seenEvent } from './receivers.ts';
import type { Recorder } from './recorder.ts';
import type { World } from './world.ts';

const READS = 6;

/** Somebody who reads here and there, at times waiting for what comes. */
export async function readNowAndThen(world: World, plan: Plan, recorder: Recorder): Promise<void> {
  const { random } = world.scheduler;
  const party = world.outsider('reader');
  for (let read = 0; read < READS; read += 1) {
    await world.scheduler.sleep('rests', party.life, random.between(0, plan.restMs));
    const topic = random.pick(plan.topics);
    const types = random.chance(0.2) ? [random.pick(TYPES)] : [];
    const waitMs = random.chance(0.3) ? random.between(1, 10_000) : 0;
    await readOnce(world, party, recorder, {
      topic,
      after: random.below(10),
      types,
      waitMs,
      limit: random.between(1, 20),
    });
  }
}

export interface Reading {
  topic: string;
  after: number;
  types: string[];
  waitMs: number;
  limit: number;
}

/** One page read and written down; null if there was none. */
export async function readOnce(
  world: World,
  party: Party,
  recorder: Recorder,
  reading: Reading,
): Promise<Extract<ReadResult, { outcome: 'page' }> | null> {
  const { topic, after, types, waitMs, limit } = reading;
  const start = recorder.now;
  let result: ReadResult;
  try {
    result = await world.topicLog(party, topic).read({
      v: 1,
      from: { kind: 'sequence', sequence: after + 1 },
      until: null,
      order: 'asc',
      limit,
      match: { types: [], exactTypes: types, sources: [], subjects: [] },
      waitMs,
    });
  } catch {
    return null;
  }
  if (result.outcome !== 'page') {
    return null;
  }
  recorder.add({
    kind: 'read',
    topic,
    start,
    end: recorder.now,
    after,
    types,
    events: result.events.map((event) => contentOf(event.json)),
    scannedTo: result.next ?? Math.max(after, result.lastSequence),
    lastSequence: result.lastSequence,
  });
  return result;
}

/** An event of the log, with its content written as publishes write it. */
export function contentOf(json: string) {
  const { event } = seenEvent(json);
  return { ...event, content: dataOf(event.content) };
}

/** As publishes write contents: the data, which is a text. */
export function dataOf(content: string): string {
  return String(JSON.parse(content));
}
