import {
  type Answer,
  type Arrival,
  eventually,
  type Receiver,
  type Subscription,
  secretIn,
  startHub,
  startReceiver,
  type TestHub,
} from './index.ts';

const SETTLED_WITHIN_MS = 120_000;

/** One subscription, with a topic and a receiver of its own. */
export interface Case {
  name: string;
  topic: string;
  receiver: Receiver;
  /** What it was made with, to be changed and put again. */
  document: { topics: string[]; delivery: { url: string } };
}

/** A hub on which many cases are tried at the same time, each out of the others' way. */
export class Stage {
  readonly hub: TestHub;
  readonly #receivers: Receiver[] = [];
  #cases = 0;

  private constructor(hub: TestHub) {
    this.hub = hub;
  }

  static async start(): Promise<Stage> {
    return new Stage(await startHub());
  }

  async stop(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.stop()));
    await this.hub.stop();
  }

  async receiver(answer?: (arrival: Arrival) => Answer): Promise<Receiver> {
    const receiver = await startReceiver(answer === undefined ? {} : { answer });
    this.#receivers.push(receiver);
    return receiver;
  }

  async subscribed(answer: (arrival: Arrival) => Answer, fields: object, delivery: object = {}): Promise<Case> {
    this.#cases += 1;
    const topic = `topic-${this.#cases}`;
    const name = `case-${this.#cases}`;
    const receiver = await this.receiver(answer);
    const document = { topics: [topic], ...fields, delivery: { url: receiver.url, ...delivery } };
    const made = await this.hub.api.putSubscription(name, document);
    receiver.secret = secretIn(made);
    return { name, topic, receiver, document };
  }

  publish(topic: string, count = 1) {
    const events = Array.from({ length: count }, (_, index) => ({
      type: 'order.created',
      data: { number: index + 1 },
    }));
    return this.hub.api.publish(topic, events);
  }

  /** Once nothing is under way any more, and so much has come of it. */
  settled(name: string, counts: { delivered: number; dead: number }): Promise<Subscription> {
    return eventually(
      `${name} has settled`,
      async () => {
        const view = await this.hub.api.subscription(name);
        const isSo = view.delivered === counts.delivered && view.dead === counts.dead;
        return isSo && view.pending + view.waiting === 0 && view;
      },
      SETTLED_WITHIN_MS,
    );
  }
}
