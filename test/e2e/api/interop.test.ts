import { CloudEvent, emitterFor, HTTP, type Message, Mode } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** Programs that others wrote: the CloudEvents SDK on both sides, `standardwebhooks` at the receiver. */

let hub: TestHub;
let me: Stranger;
let receiver: Receiver;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

/** What the SDK needs to send: its message over fetch, answered in any way. */
const emitter = (topic: string, mode: Mode) =>
  emitterFor(
    async (message: Message) => {
      const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
      const body = typeof message.body === 'string' ? message.body : JSON.stringify(message.body);
      return me.ask('POST', `/v1/topics/${topic}/events`, { body, headers });
    },
    { binding: HTTP, mode },
  );

const read = async (topic: string) => {
  const answer = await me.get(`/v1/topics/${topic}/events/1`);
  return HTTP.toEvent<unknown>({ headers: Object.fromEntries(answer.headers), body: answer.text });
};

const event = () =>
  new CloudEvent({
    id: 'sdk-1',
    source: '/shop',
    type: 'order.created',
    subject: 'order/7',
    time: '2026-01-02T03:04:05.678Z',
    datacontenttype: 'application/json',
    dataschema: 'https://example.com/order.json',
    comexampleregion: 'eu',
    data: { amount: 1, name: 'Grüße ☃' },
  });

describe('the npm package cloudevents', () => {
  it.each([
    ['structured', Mode.STRUCTURED],
    ['binary', Mode.BINARY],
  ] as const)('publishes in %s mode, and reads what comes out, the same', async (name, mode) => {
    const topic = `sdk-${name}`;
    const answer = await emitter(topic, mode)(event());
    expect(answer).toMatchObject({ status: 201 });
    const back = await read(topic);
    expect(back).toBeInstanceOf(CloudEvent);
    const { sequence, recordedtime, topic: where, ...rest } = JSON.parse(JSON.stringify(back));
    expect(rest).toEqual(JSON.parse(JSON.stringify(event())));
    expect([sequence, where]).toEqual(['0000000000000001', topic]);
    expect(Date.parse(recordedtime)).toBeGreaterThan(0);
  });

  it('both modes are one event to the hub', async () => {
    expect(await emitter('sdk-both', Mode.STRUCTURED)(event())).toMatchObject({ status: 201 });
    expect(await emitter('sdk-both', Mode.BINARY)(event())).toMatchObject({ status: 200 });
  });

  it('publishes bytes', async () => {
    const bytes = Uint8Array.from([0, 1, 254, 255]);
    const sent = new CloudEvent({ source: '/shop', type: 'photo', datacontenttype: 'image/png', data: bytes });
    expect(await emitter('sdk-bytes', Mode.STRUCTURED)(sent)).toMatchObject({ status: 201 });
    const back = await read('sdk-bytes');
    expect(Array.isArray(back) ? null : back.data_base64).toBe('AAH+/w==');
  });

  it('reads a batch of what a read answers', async () => {
    const { events } = (await me.get('/v1/topics/sdk-both/events')).is<{ events: object[] }>(200);
    const message = { headers: { 'content-type': 'application/cloudevents-batch+json' }, body: JSON.stringify(events) };
    expect(HTTP.toEvent(message)).toHaveLength(1);
  });

  it('parses each webhook, and standardwebhooks verifies it', async () => {
    const document = { topics: ['sdk-hooks'], delivery: { url: receiver.url } };
    const { delivery } = (await me.put('/v1/subscriptions/sdk-hooks', document)).is<{ delivery: { secret: string } }>(
      201,
    );
    const payloads = [null, 0, '', 'text', [1, 2], { deep: { é: '☃ 😀' } }, '\u2028 "quoted" \\ back'];
    await me.publish(
      'sdk-hooks',
      payloads.map((data, index) => ({ type: 'a', id: `p${index}`, data })),
    );
    await eventually('all are there', () => receiver.taken('sdk-hooks').length === payloads.length);
    for (const { headers, body, sequence } of receiver.book) {
      const verified = new Webhook(delivery.secret).verify(body, headers);
      const parsed = HTTP.toEvent<unknown>({ headers, body });
      expect(Array.isArray(parsed) ? null : parsed.id).toBe(`p${sequence - 1}`);
      expect(verified).toMatchObject({ data: payloads[sequence - 1] });
      expect(() => new Webhook(delivery.secret).verify(`${body} `, headers)).toThrow();
    }
  });
});
