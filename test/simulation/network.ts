import type { HandshakeMessage } from '../../src/subscriptions/protocol.ts';
import type { LeaseMessage } from '../../src/subscriptions/protocol-claims.ts';
import { d1Error, migrateDatabase, NodeD1 } from '../support/node-d1.ts';
import { NodeDatabases } from '../support/node-database.ts';
import type { Hosted, ObjectHost, Party } from './object-host.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** What the queues carry. */
export type QueueMessage = LeaseMessage | HandshakeMessage;

/** How likely each fault is; all zero is a perfect world. */
export interface NetworkFaults {
  /** A call between objects is lost before it has effect. */
  callLost: number;
  /** Its answer is lost after it had effect. */
  answerLost: number;
  messageRefused: number;
  messageLost: number;
  messageRepeated: number;
  messageDelayed: number;
  d1Before: number;
  d1After: number;
}

export const NO_NETWORK_FAULTS: NetworkFaults = {
  callLost: 0,
  answerLost: 0,
  messageRefused: 0,
  messageLost: 0,
  messageRepeated: 0,
  messageDelayed: 0,
  d1Before: 0,
  d1After: 0,
};

const MESSAGE_DELAY_MAX_MS = 120_000;

/** What seeds have one after the other. */
const DATABASES = new NodeDatabases(migrateDatabase);

/** Calls, messages and D1: everything between the parties, as unreliable as the faults say. */
export class Network {
  faults: NetworkFaults = NO_NETWORK_FAULTS;
  /** Calls take no time and are not traced: for the judge, who is no part of what happened. */
  instant = false;
  /** D1 is down as a whole. */
  d1Down = false;
  /** Takes a queue's message. */
  deliver: (message: QueueMessage) => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #database = DATABASES.take();
  readonly #d1 = new NodeD1(this.#database);

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.#random = scheduler.random;
  }

  /** Nothing happens any more. */
  end(): void {
    DATABASES.give(this.#database);
  }

  /** Calls a method of an object. Rejects if the call, the answer or the object is lost. */
  async call<T extends Hosted>(
    from: Party,
    host: ObjectHost<T>,
    name: string,
    args: unknown[],
    work: (object: T, args: unknown[]) => Promise<unknown>,
  ): Promise<unknown> {
    await from.ready();
    const sent = structuredClone(args);
    if (this.instant) {
      return new Promise((resolve, reject) => host.call((object) => work(object, sent), resolve, reject));
    }
    return new Promise((resolve, reject) => {
      const back = (label: string, then: () => void) =>
        this.#scheduler.post(`${label} ${host.name}.${name}`, from.life, then);
      const fail = (error: Error) => back('failure of', () => reject(error));
      this.#scheduler.post(`${from.life.name} calls ${host.name}.${name}`, null, () => {
        if (this.#random.chance(this.faults.callLost)) {
          fail(new Error('Network connection lost before the call.'));
          return;
        }
        host.call(
          (object) => work(object, sent),
          (value) => {
            if (this.#random.chance(this.faults.answerLost)) {
              fail(new Error('Network connection lost after the call.'));
              return;
            }
            const answer = structuredClone(value);
            back('answer of', () => resolve(answer));
          },
          (error) => fail(error),
        );
      });
    });
  }

  /** Everything an object can be asked, as calls from `from`. */
  stub<T extends Hosted>(from: Party, host: ObjectHost<T>): T {
    const network = this;
    return new Proxy({} as T, {
      get(_target, name) {
        if (typeof name !== 'string') {
          return undefined;
        }
        return (...args: unknown[]) =>
          network.call(from, host, name, args, (object, sent) => {
            const method: unknown = Reflect.get(object, name);
            if (typeof method !== 'function') {
              throw new TypeError(`${host.name} has no method ${name}.`);
            }
            return method.apply(object, sent);
          });
      },
    });
  }

  /** Sends a queue message. It may be refused, lost, repeated and delayed. */
  async send(from: Party, message: QueueMessage): Promise<void> {
    await from.ready();
    await this.#scheduler.hop(`sends ${nameOf(message)}`, from.life);
    if (this.#random.chance(this.faults.messageRefused)) {
      throw new Error('The queue does not answer.');
    }
    const copies = this.#random.chance(this.faults.messageRepeated) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#random.chance(this.faults.messageLost)) {
        this.#scheduler.trace.add(`the queue loses ${nameOf(message)}`);
      } else {
        void this.#carry(structuredClone(message));
      }
    }
    await this.#scheduler.hop('queue has taken it', from.life);
  }

  async #carry(message: QueueMessage): Promise<void> {
    if (this.#random.chance(this.faults.messageDelayed)) {
      await this.#scheduler.sleep('queue', null, this.#random.between(1, MESSAGE_DELAY_MAX_MS));
    }
    await this.#scheduler.hop(`the queue delivers ${nameOf(message)}`, null);
    this.deliver(message);
  }

  /** D1 as `from` sees it. */
  database(from: Party): NodeD1 {
    return this.#d1.seenBy(async (queries, work) => {
      await from.ready();
      const name = queries[0]?.trim().slice(0, 40) ?? '';
      await this.#scheduler.hop(`asks D1: ${name}`, from.life);
      const down = this.d1Down || this.#random.chance(this.faults.d1Before);
      if (down) {
        throw d1Error();
      }
      const results = work();
      const lost = this.#random.chance(this.faults.d1After);
      await this.#scheduler.hop(`D1 answers`, from.life);
      if (lost) {
        throw d1Error();
      }
      return results;
    });
  }

  /** D1 without faults, for the judge. */
  get d1(): NodeD1 {
    return this.#d1;
  }
}

export function nameOf(message: QueueMessage): string {
  return 'lease' in message ? `lease ${message.lease}` : `handshake ${message.handshake}`;
}
