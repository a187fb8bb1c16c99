import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Arrival, eventually } from '../support/index.ts';
import { type Case, Stage } from './stage.ts';

/** A hub that is killed while a receiver hangs, another pours without end and a third is well. */

const EVENTS = 200;
const PATIENCE = { retry: { schedule: Array.from({ length: 20 }, () => '200ms'), jitter: 0 } };

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.stop());

const seen = ({ receiver }: Case) => new Set(receiver.book.map(({ sequence }) => sequence));

it('P1 P4 P6: a kill -9 while receivers hang or answer with 10 GB loses nothing, and the healthy one has it all', {
  timeout: 240_000,
}, async () => {
  let isSick = true;
  const sick = (answer: 'hang' | 'endless') => (_: Arrival) => (isSick ? answer : 204);
  const delivery = { timeout: '10s' };
  const [healthy, hanging, endless] = await Promise.all([
    stage.subscribed(() => 204, PATIENCE, delivery),
    stage.subscribed(sick('hang'), PATIENCE, delivery),
    stage.subscribed(sick('endless'), PATIENCE, delivery),
  ]);
  const cases = [healthy, hanging, endless];
  await Promise.all(cases.map(({ topic }) => stage.publish(topic, EVENTS)));
  await eventually('all three are in the middle of it', () => cases.every((each) => seen(each).size > 0));

  await stage.hub.kill9();
  await stage.hub.start();
  await stage.settled(healthy.name, { delivered: EVENTS, dead: 0 });
  await eventually('a receiver hangs again', async () => (await stage.hub.api.subscription(hanging.name)).inFlight > 0);
  expect((await stage.hub.api.subscription(hanging.name)).delivered).toBe(0);

  await stage.hub.kill9();
  isSick = false;
  await stage.hub.start();
  for (const each of cases) {
    await stage.settled(each.name, { delivered: EVENTS, dead: 0 });
    expect(seen(each).size).toBe(EVENTS);
  }
});
