import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/index.ts';
import { Stage } from '../support/stage.ts';

/** A hub that is killed while a receiver hangs, another pours without end and a third is well. */

const EVENTS = 200;
const PATIENCE = { retry: { schedule: Array.from({ length: 20 }, () => '200ms'), jitter: 0 } };

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.stop());

it('P1 P4 P6: a kill -9 while receivers hang or answer with 10 GB loses nothing, and the healthy one has it all', {
  timeout: 240_000,
}, async () => {
  let isSick = true;
  const sick = (answer: 'hang' | 'endless') => () => (isSick ? answer : 204);
  const delivery = { timeout: '10s' };
  const [healthy, hanging, endless] = await Promise.all([
    stage.subscribed(() => 204, PATIENCE, delivery),
    stage.subscribed(sick('hang'), PATIENCE, delivery),
    stage.subscribed(sick('endless'), PATIENCE, delivery),
  ]);
  const cases = [healthy, hanging, endless];
  await Promise.all(cases.map(({ topic }) => stage.publish(topic, EVENTS)));
  await eventually('all three are in the middle of it', () => cases.every(({ receiver }) => receiver.book.length > 0));

  await stage.hub.kill9();
  await stage.hub.start();
  await stage.settled(healthy.name, { delivered: EVENTS, dead: 0 });
  await eventually('a receiver hangs again', async () => (await stage.hub.api.subscription(hanging.name)).inFlight > 0);
  expect((await stage.hub.api.subscription(hanging.name)).delivered).toBe(0);

  await stage.hub.kill9();
  isSick = false;
  await stage.hub.start();
  for (const { name, topic, receiver } of cases) {
    await stage.settled(name, { delivered: EVENTS, dead: 0 });
    expect(receiver.taken(topic)).toHaveLength(EVENTS);
  }
});
