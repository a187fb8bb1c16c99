import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/index.ts';
import { ChaosHub } from './support/chaos-hub.ts';
import { Control } from './support/control.ts';
import { delay, Load } from './support/load.ts';
import { POINTS, type Point, zombieOf } from './support/points.ts';
import { Recorder } from './support/recorder.ts';
import { drained, verdict } from './support/verdict.ts';

/**
 * One hub on one state, killed -9 as a whole again and again while everyone works with it: at each of the named points, at
 * random moments, and frozen for longer than a claim. In the end all is drained and the whole history judged.
 */

/** Kills at random moments; those at named points come on top. */
const KILLS = Number(process.env.CHAOS_KILLS ?? 20);
const LIFE_MIN_MS = 100;
const LIFE_MAX_MS = 3_000;
/** Claims that an earlier life left behind hold the subscriptions' slots for 15 s. */
const POINT_WITHIN_MS = 60_000;
/** A claim lives for 15 s. */
const FROZEN_MS = 16_000;
const DRAINED_WITHIN_MS = 30_000;
const TEST_TIMEOUT_MS = 600_000;

const recorder = new Recorder();
let control: Control;
let hub: ChaosHub;
let load: Load;
let kept = false;

beforeAll(async () => {
  control = await Control.start();
  hub = await ChaosHub.create(control.port, { WEBHOOK_ALLOW_HOSTS: '127.0.0.1' });
  load = new Load(hub.api, recorder);
  await hub.live(null);
  await load.start();
  await load.acknowledged();
  await hub.kill9();
});

afterAll(async () => {
  await load.stopReceivers();
  // Of a history that broke a promise, the state and the hub's log stay to be looked at.
  await hub.end(kept);
  await control.stop();
});

/** What has to happen for the hub to come to the point. */
function provoke(point: Point): void {
  if (point === POINTS.consented) load.consent();
  if (point === POINTS.dead || point === POINTS.buried) load.poison();
  if (point === POINTS.replaying) load.replay();
  if (point === POINTS.announced || point === POINTS.attached) load.openShop();
}

async function reached(caught: Promise<unknown>): Promise<void> {
  const missed = delay(POINT_WITHIN_MS).then(() => Promise.reject(new Error(`Not reached.\n${hub.logTail()}`)));
  await Promise.race([caught, missed]);
}

describe('a hub that dies under load', { timeout: TEST_TIMEOUT_MS }, () => {
  it.each(Object.values(POINTS).map((point): [string, Point] => [point.moment, point]))(
    'is killed %s',
    async (_moment, point) => {
      const caught = [point.name, ...(point.also ?? [])].map((name) => control.trap(name, 0, 'all'));
      await hub.live(point);
      provoke(point);
      await reached(Promise.all(caught));
      // The answers are out and stay out; what waits at the point is the queue's message.
      if (point === POINTS.leased) await load.acknowledged();
      await hub.kill9();
      control.release();
    },
  );

  it(`is killed at ${KILLS} random moments`, async () => {
    for (let kill = 0; kill < KILLS; kill += 1) {
      await hub.live(null);
      load.openShop();
      if (kill % 4 === 0) load.replay();
      await delay(LIFE_MIN_MS + Math.random() * (LIFE_MAX_MS - LIFE_MIN_MS));
      await hub.kill9();
    }
  });

  it('is frozen for longer than a claim lives, and a settle that comes late is refused', async () => {
    const caught = control.trap('received', 2, 'one');
    await hub.live(zombieOf('slow'));
    await reached(caught);
    hub.freeze();
    const frozenAt = recorder.now();
    await delay(FROZEN_MS);
    hub.thaw();
    // Its lease has run out, and another consumer brings the same once more.
    await eventually('what was on its way comes again', () => cameAgain('slow', frozenAt));
    control.release();
    await eventually('the late settle is refused', () => control.calls('fenced') > 0);
  });

  it('P1 P2 P3 P4 P5: is drained within 30 s of the last fault, and the history keeps every promise', async () => {
    await load.stop();
    await drained(hub.api, DRAINED_WITHIN_MS);
    expect(await verdict(hub.api, recorder, load.topics)).toEqual([]);
    expect(load.unverified()).toBe(0);
    expect(load.misshapen()).toBe(0);
    expect(load.unasked()).toBe(0);
    const acknowledged = recorder.operations.filter(({ kind }) => kind === 'publish').length;
    expect(acknowledged).toBeGreaterThan(100);
    kept = true;
  });
});

/** Has an event that was taken before the moment come once more after it? */
function cameAgain(subscription: string, moment: number): boolean {
  const deliveries = recorder.operations.filter(
    (operation) =>
      operation.kind === 'delivery' && operation.subscription === subscription && operation.replay === null,
  );
  const taken = new Set(
    deliveries.flatMap((delivery) =>
      delivery.kind === 'delivery' && delivery.end < moment && delivery.outcome === 'success'
        ? delivery.event.sequence
        : [],
    ),
  );
  return deliveries.some(
    (delivery) => delivery.kind === 'delivery' && delivery.start > moment && taken.has(delivery.event.sequence),
  );
}
