/**
 * The moments between one durable step and the next at which a hub may die. The Worker is built with a call put in at
 * that place: the harness answers it, or lets it wait and kills. Nothing of it is in src/.
 */
export interface Point {
  name: string;
  /** Where it lies, as the test says it. */
  moment: string;
  /** Other places in the same life: it is killed when it stands at all of them. */
  also?: readonly string[];
  patches: { file: string; find: string; replace: string }[];
}

/** What the built Worker calls; control.ts is at the other end. */
function call(point: string): string {
  return `await globalThis.chaosPoint('${point}');`;
}

const CONSUMER = 'src/deliveries/consumer.ts';
const LEASE_RUN = 'src/deliveries/lease-run.ts';
const RUN_LEASE = 'leased = await new LeaseRun(';
const DEATHS = 'src/subscriptions/letter-work.ts';
const PUT_LETTERS = 'await this.#core.ports.letters.put(letters);';
const NOTE_CONSENT = 'await subscription.consentAnswer({ token: request.token, consent });';
const WEBHOOK = 'src/deliveries/webhook.ts';
const OUTGOING = 'const { outgoing } = result;';
const NOTED_ALL = 'return [...outcomes, ...batch.map((event) => noted(subscription, target, event, sent, []))];';
const SETTLE_REST = 'if (this.#outcomes.length > 0) await this.#settle(this.#stop === null && this.#goesOn());';

/** In a Durable Object such a call leaves only once all that was written before it is durable (the output gate). */
export const POINTS = {
  consented: {
    name: 'consented',
    moment: 'when a receiver has given its consent, before it is written down',
    patches: [
      {
        file: 'src/deliveries/handshake.ts',
        find: NOTE_CONSENT,
        replace: `if (consent.given) ${call('consented')} ${NOTE_CONSENT}`,
      },
    ],
  },
  committed: {
    name: 'committed',
    moment: 'after the commit and before the answer',
    patches: [
      {
        file: 'src/topics/group-commit.ts',
        find: 'this.#committer.committed();',
        replace: `${call('committed')} this.#committer.committed();`,
      },
    ],
  },
  leased: {
    name: 'leased',
    moment: 'after the answer and before the queue send',
    patches: [
      {
        file: 'src/subscriptions/leases.ts',
        find: 'queue.send({ v: 1, subscription: name, lease })',
        replace: "globalThis.chaosPoint('leased').then(() => queue.send({ v: 1, subscription: name, lease }))",
      },
    ],
  },
  claimed: {
    name: 'claimed',
    moment: 'after the claim, by a message or by the settle of the lease before',
    patches: [{ file: CONSUMER, find: RUN_LEASE, replace: `${call('claimed')} ${RUN_LEASE}` }],
  },
  received: {
    name: 'received',
    moment:
      "after the receiver's 2xx and before the settle; after a transform and before its request; when a batch was taken",
    also: ['transformed', 'batched'],
    patches: [
      {
        file: LEASE_RUN,
        find: SETTLE_REST,
        replace: `if (this.#outcomes.some(({ kind }) => kind === 'delivered')) ${call('received')} ${SETTLE_REST}`,
      },
      {
        file: WEBHOOK,
        find: OUTGOING,
        replace: `if (target.transform !== null) ${call('transformed')} ${OUTGOING}`,
      },
      {
        file: WEBHOOK,
        find: NOTED_ALL,
        replace: `if (batch.length > 1 && sent.made.kind === 'delivered') ${call('batched')} ${NOTED_ALL}`,
      },
    ],
  },
  dead: {
    name: 'dead',
    moment: "on a dead letter's way to D1, before it is there",
    patches: [{ file: DEATHS, find: PUT_LETTERS, replace: `${call('dead')} ${PUT_LETTERS}` }],
  },
  buried: {
    name: 'buried',
    moment: "on a dead letter's way to D1, when only D1 knows that it is there",
    patches: [{ file: DEATHS, find: PUT_LETTERS, replace: `${PUT_LETTERS} ${call('buried')}` }],
  },
  replaying: {
    name: 'replaying',
    moment: "in the middle of a replay's step",
    patches: [
      {
        file: 'src/subscriptions/lanes.ts',
        find: 'this.#leases.send(taken);',
        replace: `${call('replaying')} this.#leases.send(taken);`,
      },
    ],
  },
  announced: {
    name: 'announced',
    moment: 'in the middle of attaching a topic, when the catalogue has it and no subscription knows',
    patches: [
      {
        file: 'src/topics/announcing.ts',
        find: 'await tellPatterns(parts, incarnation);',
        replace: `${call('announced')} await tellPatterns(parts, incarnation);`,
      },
    ],
  },
  attached: {
    name: 'attached',
    moment: 'in the middle of attaching a topic, when the log has the subscription and the subscription no lane',
    patches: [
      {
        file: 'src/topics/object.ts',
        find: 'return this.#topicLog.attach(request);',
        replace: `return this.#topicLog.attach(request).then(async (result) => {
          ${call('attached')}
          return result;
        });`,
      },
    ],
  },
} satisfies Record<string, Point>;

/** For a zombie of one subscription: it waits where its receiver has answered, and tells when its late settle is refused. */
export function zombieOf(subscription: string): Point {
  return {
    name: 'received',
    moment: 'frozen for longer than a claim, so that its settle comes late',
    patches: [
      {
        file: LEASE_RUN,
        find: SETTLE_REST,
        replace: `if (this.#claim.subscription === '${subscription}' && this.#outcomes.some(({ kind }) => kind === 'delivered'))
          ${call('received')} ${SETTLE_REST}`,
      },
      {
        file: LEASE_RUN,
        find: "if (answer.outcome === 'fenced') {",
        replace: `if (answer.outcome === 'fenced') { ${call('fenced')}`,
      },
    ],
  };
}
