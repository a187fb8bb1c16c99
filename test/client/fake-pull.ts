import { Millrace } from '../../src/client/index.ts';
import { parseDuration } from '../../src/events/duration-text.ts';
import { HELD_MAX_MS } from '../../src/events/handing-limits.ts';

interface Held {
  sequence: number;
  attempt: number;
  ackId: string;
  since: number;
  until: number;
}

/** A subscription that is pulled, as the interface's contract has it: what is not settled by its deadline comes again. */
export class FakePull {
  /** What became of each event that is settled. */
  readonly settled = new Map<number, { how: 'ack' | 'reject'; attempt: number }>();
  readonly nacks: { sequence: number; delay?: string; reason?: string; reject?: boolean }[] = [];
  readonly calls: Record<string, number> = {};
  /** How long what is pulled is held. */
  deadlineMs = 30_000;
  /** What a pull is refused with. */
  refusal: { status: number; code: string; detail: string } | null = null;
  /** Before a call is served: throws what keeps it from being; after: what keeps its answer from coming. */
  fault: (call: string, when: 'before' | 'after') => void = () => undefined;
  readonly #ready: { sequence: number; attempt: number; notBefore: number }[] = [];
  readonly #held = new Map<string, Held>();
  #waiting: (() => void)[] = [];
  #given = 0;

  readonly client = new Millrace({
    url: 'http://hub.test',
    key: 'k',
    retry: { firstMs: 1, maxMs: 5 },
    fetch: async (url, init) => {
      const { pathname } = new URL(url);
      const call = pathname.split('/').at(-1) ?? '';
      init.signal?.throwIfAborted();
      this.calls[call] = (this.calls[call] ?? 0) + 1;
      this.fault(call, 'before');
      const { refusal } = this;
      if (refusal !== null && call === 'pull') return Response.json(refusal, { status: refusal.status });
      const answer = await this.#serve(call, JSON.parse(String(init.body ?? '{}')), init.signal ?? null);
      this.fault(call, 'after');
      return Response.json(answer);
    },
  });

  add(from: number, to: number): void {
    for (let sequence = from; sequence <= to; sequence += 1) this.#ready.push({ sequence, attempt: 1, notBefore: 0 });
    this.#tell();
  }

  /** Takes what is held from whoever has it. */
  expire(sequence: number): void {
    for (const held of this.#held.values()) if (held.sequence === sequence) held.until = 0;
    this.#lapse();
  }

  /** Those who wait for an event are answered that there is none. */
  wake(): void {
    this.#tell();
  }

  get held(): number {
    return this.#held.size;
  }

  async #serve(
    call: string,
    body: { max: number; ackIds: string[]; by: string; delay?: string; reason?: string; reject?: boolean },
    signal: AbortSignal | null,
  ) {
    this.#lapse();
    switch (call) {
      case 'pull':
        if (this.#ready.length === 0) await this.#wait(signal);
        return {
          deliveries: this.#ready.splice(0, body.max).map(({ sequence, attempt }) => this.#give(sequence, attempt)),
          ackDeadline: `${this.deadlineMs}ms`,
        };
      default:
        return { results: body.ackIds.map((ackId) => this.#settle(call, ackId, body)) };
    }
  }

  #give(sequence: number, attempt: number) {
    this.#given += 1;
    const ackId = `ack-${this.#given}`;
    const since = Date.now();
    this.#held.set(ackId, { sequence, attempt, ackId, since, until: since + this.deadlineMs });
    const event = {
      specversion: '1.0',
      id: `e${sequence}`,
      type: 't',
      topic: 'orders',
      sequence: String(sequence).padStart(16, '0'),
    };
    return { ackId, attempt, event, replay: null, redriven: false };
  }

  #settle(
    call: string,
    ackId: string,
    { by, delay, reason, reject }: { by: string; delay?: string; reason?: string; reject?: boolean },
  ) {
    const held = this.#held.get(ackId);
    if (held === undefined) return { ackId, ok: false, code: 'stale-ack-id' };
    const { sequence, attempt } = held;
    if (call === 'extend') {
      const until = Date.now() + (parseDuration(by) ?? Number.NaN);
      if (until > held.since + HELD_MAX_MS) return { ackId, ok: false, code: 'held-too-long' };
      held.until = Math.max(held.until, until);
      return { ackId, ok: true };
    }
    this.#held.delete(ackId);
    if (call === 'ack' || reject === true)
      this.settled.set(sequence, { how: call === 'ack' ? 'ack' : 'reject', attempt });
    else this.#again(sequence, attempt);
    if (call === 'nack') {
      this.nacks.push({
        sequence,
        ...(delay !== undefined && { delay }),
        ...(reason !== undefined && { reason }),
        ...(reject !== undefined && { reject }),
      });
    }
    return { ackId, ok: true };
  }

  #again(sequence: number, attempt: number): void {
    this.#ready.push({ sequence, attempt: attempt + 1, notBefore: 0 });
    this.#tell();
  }

  #lapse(): void {
    for (const { ackId, sequence, attempt, until } of this.#held.values()) {
      if (until > Date.now()) continue;
      this.#held.delete(ackId);
      this.#again(sequence, attempt);
    }
  }

  #tell(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting = [];
  }

  #wait(signal: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  }
}
