import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { decisionsOf } from './decisions.ts';
import { isBatch } from './delivery-kinds.ts';
import { groupsOf } from './grouping.ts';
import { LeaseCache } from './lease-cache.ts';
import { columnsOf, contentOf, type Leased, WHOLE_TOPIC } from './lease-content.ts';
import { LeaseSizes } from './lease-sizes.ts';
import { CLAIM_LIFE_MS, CLAIMS_MAX, FIRST_RESEND_MS, RESEND_MS } from './limits.ts';
import { obstacleWait } from './obstacle.ts';
import type { Run } from './picking.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { NewException } from './sql-exceptions.ts';
import type { Throttle } from './throttle.ts';

/** Leases: made, sent through the queue, sent again, taken back when nobody settles them. */
export class Leases {
  readonly #core: Core;
  readonly #deaths: Deaths;
  /** The events of fresh leases. */
  readonly cache = new LeaseCache();
  readonly sizes: LeaseSizes;
  readonly #throttle: Throttle;
  /** Told of leases that are committed, where somebody pulls them. */
  offered: (leases: number[]) => void = () => undefined;
  /** Gives a committed lease to whoever waits for the next one; false: it has to be sent. */
  passedOn: (lease: number) => boolean = () => false;

  constructor(core: Core, deaths: Deaths, throttle: Throttle) {
    this.#core = core;
    this.#deaths = deaths;
    this.#throttle = throttle;
    this.sizes = new LeaseSizes(core, throttle);
  }

  /**
   * Leases events that have just been read, in as few leases as may be: batches as full as they get and of one key each, other
   * leases all alike. Only inside `tx`; send them after.
   */
  leaseNew(lane: LaneRow, runs: readonly Run[]): number[] {
    return groupsOf(runs, this.sizes.share, isBatch(this.#core.document.delivery)).map((events) => {
      const id = this.#add(lane.id, false, events, null);
      this.cache.put(
        id,
        events.map(({ event }) => event),
      );
      return id;
    });
  }

  /** Leases exceptions that are due, as the batch that they went in where they did. Only inside `tx`. */
  leaseRetries(lane: LaneRow, content: readonly Leased[], batch: number | null): number {
    const id = this.#add(lane.id, true, content, batch);
    const sequences = content.map(({ sequence }) => sequence);
    this.#core.sql.setExceptionLease(lane.id, sequences, id);
    this.#core.sql.moveLane(lane.id, { in_flight: sequences.length, retrying: -sequences.length });
    return id;
  }

  /**
   * A new lease for some events of an old one, sent again after `waitMs` if nobody claims it; all of them are the same batch as
   * before. Only inside `tx`.
   */
  #again(lease: LeaseRow, content: readonly Leased[], waitMs = FIRST_RESEND_MS): number {
    const batch = content.length === lease.count ? lease.batch : null;
    const id = this.#add(lease.lane, lease.retry === 1, content, batch, waitMs);
    const sequences = content.map(({ sequence }) => sequence);
    if (lease.retry) this.#core.sql.setExceptionLease(lease.lane, sequences, id);
    return id;
  }

  #add(
    lane: number,
    retry: boolean,
    content: readonly Leased[],
    batch: number | null,
    waitMs = FIRST_RESEND_MS,
  ): number {
    const id = this.#core.randomNumber();
    const due = this.#core.now() + waitMs;
    this.#core.sql.addLease({ id, lane, retry: retry ? 1 : 0, ...columnsOf(content), due, batch });
    return id;
  }

  /**
   * What a lease held and could not bring goes into a new one, which has to be sent, and which waits for `waitMs` until it is
   * sent again. Where a key is not done with what came before it goes back behind that, in its order; a batch, which may have
   * been sent, stays one for that. Only inside `tx`.
   */
  giveBack(
    lease: LeaseRow,
    content: readonly Leased[],
    isBehind: (key: string) => boolean,
    waitMs = FIRST_RESEND_MS,
  ): number[] {
    const free = content.filter(({ key }) => key === null || !isBehind(key));
    const kept = content.filter(({ key }) => key !== null && isBehind(key));
    if (kept.length > 0) {
      const due = this.#core.now();
      if (lease.retry || lease.batch !== null)
        this.postpone(
          lease,
          kept.map((entry) => ({ ...entry, due })),
        );
      else {
        this.#stepBack(
          lease.lane,
          kept.filter(({ key }) => key === WHOLE_TOPIC),
        );
        this.#hold(
          lease.lane,
          kept.filter(({ key }) => key !== WHOLE_TOPIC),
        );
      }
    }
    return free.length > 0 ? [this.#again(lease, free, waitMs)] : [];
  }

  /** Takes a lease that nobody has claimed apart: all of it waits outside of any until `due`. Only inside `tx`. */
  putOff(lease: LeaseRow, due: number): void {
    this.drop(lease);
    this.postpone(
      lease,
      contentOf(lease).map((entry) => ({ ...entry, due })),
    );
  }

  /** Events of a lease that wait outside of any until they are due; no attempt is spent. Only inside `tx`. */
  postpone(lease: LeaseRow, waiting: readonly (Leased & { due: number })[]): void {
    if (waiting.length === 0) return;
    const { sql } = this.#core;
    if (!lease.retry) for (const entry of waiting) sql.putException(untried(lease, entry));
    sql.postpone(
      lease.lane,
      waiting.map(({ sequence }) => sequence),
      waiting.map(({ due }) => due),
    );
    sql.moveLane(lease.lane, { in_flight: -waiting.length, retrying: waiting.length });
  }

  /** Where a whole topic is in order, what was leased last is what the cursor passed last: it passes it anew. */
  #stepBack(laneId: number, content: readonly Leased[]): void {
    const { sql } = this.#core;
    const lane = sql.lane(laneId);
    if (content.length === 0 || !lane) return;
    const next = Math.min(...content.map(({ sequence }) => sequence));
    const filtered = lane.next - next - content.length;
    sql.moveLane(laneId, { in_flight: -content.length, filtered: -filtered }, { next, parked: null });
    sql.decideAgain(decisionsOf(lane), next);
  }

  #hold(lane: number, content: readonly Leased[]): void {
    const { sql } = this.#core;
    for (const { sequence, key } of content) sql.addHold(lane, key ?? WHOLE_TOPIC, sequence);
    sql.moveLane(lane, { in_flight: -content.length, held: content.length });
  }

  /** Tells the queue about leases that are committed. A message that is lost is sent again when its lease is due. */
  send(leases: number[]): void {
    if (this.#core.isPulled) {
      this.offered(leases);
      return;
    }
    const { deliveries, retries, name, background } = this.#core.ports;
    for (const lease of leases) {
      const isHeldUp = this.#core.failing || this.#core.row?.slow || this.#throttle.isBusy(this.#core.now());
      // Who is held up takes its turn in a queue for each lease.
      if (!isHeldUp && this.passedOn(lease)) continue;
      const queue = isHeldUp ? retries : deliveries;
      const sent = queue.send({ v: 1, subscription: name, lease });
      background(
        sent.catch((error: unknown) => this.#core.warn('a lease could not be sent', { lease, error: String(error) })),
      );
    }
  }

  /** The alarm's part: sends again what nobody claimed, takes back what was claimed and not settled. */
  handleDue(): void {
    const now = this.#core.now();
    const send: number[] = [];
    this.#core.tx(() => {
      for (const lease of this.#core.sql.leases()) {
        if (lease.held_since !== null) continue;
        const claimed = lease.token !== null;
        const latest = now + (claimed ? CLAIM_LIFE_MS : Math.max(RESEND_MS, obstacleWait(this.#core)));
        // It lies further away than any is set: the clock has jumped back since.
        if (lease.due > latest) this.#core.sql.setLease(lease.id, { due: latest });
        if (lease.due > now) continue;
        if (claimed) send.push(...this.#expire(lease));
        else if (this.#core.running && this.#core.isWanted) {
          this.#core.sql.setLease(lease.id, { sends: lease.sends + 1, due: now + RESEND_MS });
          send.push(lease.id);
        }
      }
    });
    if (this.#core.running) this.send(send);
  }

  /** Everything unclaimed goes out now: the subscription runs again. Only inside `tx`. */
  resendAll(): number[] {
    const unclaimed = this.#core.sql.leases().filter((lease) => lease.token === null);
    const due = this.#core.now() + FIRST_RESEND_MS;
    for (const lease of unclaimed) this.#core.sql.setLease(lease.id, { sends: lease.sends + 1, due });
    return unclaimed.map((lease) => lease.id);
  }

  /** A claim ran out. Its events go back; after three times singly; a single one that does it three times is dead. */
  #expire(lease: LeaseRow): number[] {
    const { sql } = this.#core;
    if (lease.count > 0 && lease.claims < CLAIMS_MAX) {
      sql.setLease(lease.id, { token: null, strays: null, sends: lease.sends + 1, due: this.#core.now() + RESEND_MS });
      return [lease.id];
    }
    this.drop(lease);
    const content = contentOf(lease);
    if (content.length > 1) {
      const single = content.filter(
        ({ key }, index) => key === null || index === content.findIndex((e) => e.key === key),
      );
      const rest = content.filter((entry) => !single.includes(entry));
      return [...single.map((entry) => this.#again(lease, [entry])), ...this.giveBack(lease, rest, () => true)];
    }
    const lane = sql.lane(lease.lane);
    for (const { sequence } of lane ? content : []) {
      if (!lane) continue;
      const exception = sql.exception(lane.id, sequence);
      this.#deaths.die(lane, sequence, 'consumer', 'in_flight', {
        attempts: exception?.attempts ?? 0,
        lastStatus: exception?.last_status ?? null,
        lastError: 'The queue consumer ended three times over this event without saying what became of it.',
        firstAttemptAt: exception?.first_attempt_at ?? null,
        event: exception?.event ?? null,
      });
    }
    return [];
  }

  /** Forgets a lease; whoever holds it is fenced. Only inside `tx`. */
  drop(lease: LeaseRow): void {
    this.#core.sql.deleteLease(lease.id);
    this.cache.delete(lease.id);
  }
}

/** The row of a delivery that waits and was never attempted. */
function untried({ lane, batch }: LeaseRow, { sequence, key }: Leased): NewException {
  return {
    lane,
    sequence,
    attempts: 0,
    tries: 0,
    due: 0,
    lease: null,
    redriven: 0,
    event: null,
    first_attempt_at: null,
    last_status: null,
    last_error: null,
    key,
    batch,
    tokens: null,
  };
}
