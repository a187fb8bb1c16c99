import type { Answer, Body, Connection } from './connection.ts';

/** Settles deliveries by their ack ids: those that are settled while a request is under way go into the next, together. */

export type Settlement =
  | { how: 'ack' }
  | ({ how: 'nack' } & Omit<Body<'POST /v1/subscriptions/{name}/nack'>, 'ackIds'>);

export type Settled = Answer<'POST /v1/subscriptions/{name}/ack'>['results'][number];

interface Waiting {
  ackId: string;
  settlement: Settlement;
  resolve: (settled: Settled) => void;
  reject: (error: unknown) => void;
}

/** Ack ids in one request. */
const IDS_MAX = 1000;

export class Settling {
  readonly #connection: Connection;
  readonly #name: string;
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(connection: Connection, name: string) {
    this.#connection = connection;
    this.#name = name;
  }

  /** @throws MillraceError: what became of it is not known. */
  settle(ackId: string, settlement: Settlement): Promise<Settled> {
    const settled = new Promise<Settled>((resolve, reject) => {
      this.#waiting.push({ ackId, settlement, resolve, reject });
    });
    if (!this.#busy) void this.#run();
    return settled;
  }

  async #run(): Promise<void> {
    this.#busy = true;
    // What is settled in the same turn goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      await Promise.all(groupsOf(waiting).map((group) => this.#send(group)));
    }
    this.#busy = false;
  }

  async #send(group: [Waiting, ...Waiting[]]): Promise<void> {
    try {
      const { how, ...rest } = group[0].settlement;
      const { results } = await this.#connection.call(`POST /v1/subscriptions/{name}/${how}`, {
        params: { name: this.#name },
        body: { ackIds: group.map(({ ackId }) => ackId), ...rest },
        repeatable: true,
      });
      const byId = new Map(results.map((settled) => [settled.ackId, settled]));
      for (const { ackId, resolve } of group) resolve(byId.get(ackId) ?? { ackId, ok: false });
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}

/** Those that are settled alike, as many as a request takes. */
function groupsOf(waiting: readonly Waiting[]): [Waiting, ...Waiting[]][] {
  const groups: [Waiting, ...Waiting[]][] = [];
  const open = new Map<string, Waiting[]>();
  for (const one of waiting) {
    const alike = JSON.stringify(one.settlement);
    const group = open.get(alike);
    if (group !== undefined && group.length < IDS_MAX) {
      group.push(one);
    } else {
      const started: [Waiting, ...Waiting[]] = [one];
      groups.push(started);
      open.set(alike, started);
    }
  }
  return groups;
}
