import { z } from 'zod';
import { openText, SEALED_WITH, sealText } from '../access/passphrase.ts';
import { jsonOrNull } from '../json-or-null.ts';
import type { Random } from '../platform.ts';
import type { ConfigurationView } from '../subscriptions/protocol-views.ts';
import type { TopicDescription } from '../topics/protocol.ts';
import { nameField } from './fields.ts';
import { isObject } from './parse.ts';
import { invalid } from './problem.ts';
import { configOut } from './subscription-view.ts';
import { topicConfigOut } from './topic-schema.ts';

/**
 * The whole configuration as one document. What may be secret (webhooks' secrets, the values of their headers) is never in
 * the open: it is left out, or sealed under the caller's passphrase in `secrets`.
 */

export const CONFIG_BYTES_MAX = 10 * 1024 * 1024;
/** Topics and subscriptions in one document: each takes some six calls at most, and an invocation may make 10,000. */
export const CONFIG_ITEMS_MAX = 1_500;
export const PASSPHRASE_LENGTH_MIN = 12;
export const PASSPHRASE_LENGTH_MAX = 1_000;

/** `secret` in its name makes the platform's own logs leave its value out. */
export const PASSPHRASE_HEADER = 'millrace-secrets-passphrase';

const VERSION = 1;

const sealedSecrets = z
  .strictObject({
    kdf: z.literal(SEALED_WITH.kdf),
    n: z.literal(SEALED_WITH.n),
    r: z.literal(SEALED_WITH.r),
    p: z.literal(SEALED_WITH.p),
    cipher: z.literal(SEALED_WITH.cipher),
    salt: z.string(),
    box: z.string(),
  })
  .describe('Sealed under the passphrase. Null: left out.');

const topicEntry = z.looseObject({ name: nameField }).describe('The body of PUT /v1/topics/{topic}, with the name.');
const subscriptionEntry = z
  .looseObject({ name: nameField, paused: z.boolean().optional().describe('Left out: it stays as it is.') })
  .describe(
    'The body of PUT /v1/subscriptions/{name}, with the name. A header whose value is null, and a secret that is not there, ' +
      'are taken from `secrets`, else they stay as they are.',
  );

const documentFields = {
  version: z.literal(VERSION),
  topics: z.array(topicEntry),
  subscriptions: z.array(subscriptionEntry),
  secrets: sealedSecrets.nullable(),
};

export const configAnswer = z.object(documentFields).meta({ id: 'Config' });

export const configBody = z.strictObject({
  ...documentFields,
  topics: documentFields.topics.default([]),
  subscriptions: documentFields.subscriptions.default([]),
  secrets: documentFields.secrets.default(null),
});

export type ConfigBody = z.output<typeof configBody>;

/** What is inside `secrets`. */
const plainSecrets = z.array(
  z.object({ name: z.string(), secret: z.string(), headers: z.record(z.string(), z.string()) }),
);

/** What may be secret of one subscription. */
export type HeldSecrets = z.output<typeof plainSecrets>[number];

export function topicEntryOut({ name, config }: TopicDescription) {
  return { name, ...topicConfigOut(config) };
}

/** Without its secrets: headers keep their names. */
export function subscriptionEntryOut(name: string, { document, paused }: ConfigurationView) {
  const config = configOut(document, null);
  if (config.delivery.kind !== 'webhook') return { name, paused, ...config };
  const headers = Object.fromEntries(Object.keys(config.delivery.headers).map((header) => [header, null]));
  return { name, paused, ...config, delivery: { ...config.delivery, headers } };
}

export function secretsOut(held: HeldSecrets[], passphrase: string, random: Random): z.output<typeof sealedSecrets> {
  return { ...SEALED_WITH, ...sealText(JSON.stringify(held), passphrase, random) };
}

/**
 * The document's secrets, by subscription.
 *
 * @throws Problem `invalid-request`: it has some and there is no passphrase, or another, or the reverse
 */
export function secretsIn({ secrets }: ConfigBody, passphrase: string | null): Map<string, HeldSecrets> {
  if (secrets === null) {
    if (passphrase === null) return new Map();
    throw invalid([{ path: PASSPHRASE_HEADER, message: 'there are no secrets in the document to open; leave it out' }]);
  }
  if (passphrase === null) {
    throw invalid([
      { path: 'secrets', message: `send the passphrase in ${PASSPHRASE_HEADER}, or null to leave them out` },
    ]);
  }
  const held = plainSecrets.safeParse(jsonOrNull(openText(secrets, passphrase) ?? ''));
  if (!held.success) throw invalid([{ path: 'secrets', message: 'cannot be opened with this passphrase' }]);
  return new Map(held.data.map((one) => [one.name, one]));
}

/** @throws Problem `invalid-request` */
export function passphraseOf(request: Request): string | null {
  const value = request.headers.get(PASSPHRASE_HEADER);
  if (value === null) return null;
  if (/^[\x20-\x7e]*$/.test(value) && value.length >= PASSPHRASE_LENGTH_MIN && value.length <= PASSPHRASE_LENGTH_MAX) {
    return value;
  }
  const message = `must be ${PASSPHRASE_LENGTH_MIN} to ${PASSPHRASE_LENGTH_MAX} visible ASCII characters`;
  throw invalid([{ path: PASSPHRASE_HEADER, message }]);
}

/**
 * A subscription's entry as the body of its `PUT`, with its secrets in their places.
 *
 * @throws Problem `invalid-request`: the value of a header is known neither from the document nor from what is there
 */
export function withSecrets(
  { paused: _, ...entry }: ConfigBody['subscriptions'][number],
  held: HeldSecrets | undefined,
  present: ConfigurationView | null,
): Record<string, unknown> {
  const { delivery } = entry;
  if (!isObject(delivery)) return entry;
  const stored = present?.document.delivery;
  const known = { ...(stored?.kind === 'webhook' ? stored.headers : {}), ...held?.headers };
  const filled = { ...delivery };
  if (isObject(delivery.headers)) {
    const headers = Object.entries(delivery.headers);
    filled.headers = Object.fromEntries(
      headers.map(([name, value]) => [name, value === null ? headerValue(name, known) : value]),
    );
  }
  if (held !== undefined && !Object.hasOwn(delivery, 'secret')) filled.secret = held.secret;
  return { ...entry, delivery: filled };
}

function headerValue(header: string, known: Record<string, string>): string {
  const value = Object.hasOwn(known, header) ? known[header] : undefined;
  if (value !== undefined) return value;
  const message =
    'its value was left out of the document and is not known here: write it in, or import it with the secrets';
  throw invalid([{ path: `delivery.headers.${header}`, message }]);
}
