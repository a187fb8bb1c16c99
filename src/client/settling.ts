import type { Answer, Body, Connection } from './connection.ts';
import { Rounds } from './rounds.ts';

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
  readonly #rounds = new Rounds<Waiting>((waiting) => Promise.all(groupsOf(waiting).map((group) => this.#send(group))));

  constructor(connection: Connection, name: string) {
    this.#connection = connection;
    this.#name = name;
  }

  /** @throws MillraceError: what became of it is not known. */
  settle(ackId: string, settlement: Settlement): Promise<Settled> {
    return new Promise((resolve, reject) => this.#rounds.add({ ackId, settlement, resolve, reject }));
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
export function groupsOf<One extends { settlement: Settlement }>(all: readonly One[]): [One, ...One[]][] {
  const groups: [One, ...One[]][] = [];
  const open = new Map<string, One[]>();
  for (const one of all) {
    const alike = JSON.stringify(one.settlement);
    const group = open.get(alike);
    if (group !== undefined && group.length < IDS_MAX) {
      group.push(one);
    } else {
      const started: [One, ...One[]] = [one];
      groups.push(started);
      open.set(alike, started);
    }
  }
  return groups;
}
