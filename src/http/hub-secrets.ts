import { z } from 'zod';
import { firstSignedUnder, keysBySecret } from '../access/keys.ts';
import { Catalog } from '../catalog/catalog.ts';
import { hubSecrets } from '../hub-secret.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import type { Needed } from './context.ts';
import { textCursors } from './cursors.ts';
import { listOf } from './fields.ts';
import type { Hub } from './hub.ts';
import { type Route, route } from './route.ts';

/** What depends on which secret of HUB_SECRET, and how to get it away from an old one (docs/security.md). */

const tag = 'Keys';
const cursors = textCursors('hub-secrets');
const adminOnly = (): Needed[] => [{ scope: 'admin' }];

/** Subscriptions sealed anew in one call, each a call of its own. */
export const RESEALED_AT_ONCE_MAX = 500;
/** Names told of what depends on a secret. */
const NAMES_TOLD_MAX = 100;

const dependants = z.object({
  count: z.int().min(0),
  names: z.array(z.string()).describe(`By name, the first ${NAMES_TOLD_MAX}.`),
});

const hubSecretView = z
  .object({
    id: z.string().nullable().describe('Null: what was made before it was noted under which secret.'),
    status: z
      .enum(['current', 'listed', 'missing', 'unknown'])
      .describe(
        '`current` seals and signs; `listed` opens and verifies; `missing` is not in HUB_SECRET, so what depends on it does not work.',
      ),
    subscriptions: dependants,
    keys: dependants,
  })
  .meta({ id: 'HubSecret' });

type View = z.output<typeof hubSecretView>;

/** Those in HUB_SECRET, and those that something depends on though they are not. */
async function views(hub: Hub): Promise<View[]> {
  const catalog = new Catalog(hub.db);
  const now = hub.now();
  const listed = listedIds(hub);
  const [sealed, signed] = await Promise.all([catalog.sealedUnder(), keysBySecret(hub.db, now)]);
  const ids = new Set<string | null>([...listed, ...sealed.map(({ id }) => id), ...signed.map(({ id }) => id)]);
  const countIn = (counts: typeof sealed, id: string | null) => counts.find((entry) => entry.id === id)?.count ?? 0;
  return mapBounded([...ids], async (id) => ({
    id,
    status: statusOf(id, listed),
    subscriptions: { count: countIn(sealed, id), names: await catalog.firstSealedUnder(id, NAMES_TOLD_MAX) },
    keys: { count: countIn(signed, id), names: await firstSignedUnder(hub.db, id, now, NAMES_TOLD_MAX) },
  }));
}

function statusOf(id: string | null, listed: string[]): View['status'] {
  if (id === null) return 'unknown';
  if (id === listed[0]) return 'current';
  return listed.includes(id) ? 'listed' : 'missing';
}

/** The current one first. Whoever gets here was authenticated by them. */
function listedIds(hub: Hub): string[] {
  const secrets = hubSecrets(hub.hubSecret ?? '');
  if (secrets === null) throw new Error('HUB_SECRET went missing within a request.');
  return secrets.map(({ id }) => id);
}

export const hubSecretsRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/hub-secrets',
    tag,
    summary: 'The secrets in HUB_SECRET, by ids, and what depends on each',
    description:
      'An old one may be removed from HUB_SECRET when no subscription depends on it, no key that is still to work, and nothing that a queue of a consumer still holds.',
    params: {},
    query: {},
    body: noBody,
    scopes: 'admin',
    needs: adminOnly,
    responses: { 200: listOf(hubSecretView) },
    handler: async (_input, { hub }) => ({ status: 200, body: { items: await views(hub), next: null } }),
  }),

  route({
    method: 'POST',
    path: '/v1/hub-secrets/reseal',
    tag,
    summary: 'Seal the webhooks’ secrets anew under the current secret',
    description: `At most ${RESEALED_AT_ONCE_MAX} subscriptions in one call: go on with \`next\` as \`cursor\` until it is null. Within a day each subscription does it by itself.`,
    params: {},
    query: { cursor: z.string().optional().describe('`next` of the call before.') },
    body: noBody,
    scopes: 'admin',
    needs: adminOnly,
    responses: {
      200: z.object({
        resealed: z.int().min(0),
        failed: z.array(z.object({ subscription: z.string(), reason: z.string() })),
        next: z.string().nullable(),
      }),
    },
    audit: () => ({ action: 'hub-secrets.reseal', target: 'subscriptions' }),
    handler: async ({ query }, { hub }) => {
      const [current = ''] = listedIds(hub);
      const names = await new Catalog(hub.db).sealedUnderOthers(
        current,
        cursors.placeIn(query.cursor) ?? '',
        RESEALED_AT_ONCE_MAX,
      );
      const results = await mapBounded(names, (name) => reseal(hub, name));
      const last = names.length < RESEALED_AT_ONCE_MAX ? undefined : names.at(-1);
      return {
        status: 200,
        body: {
          resealed: results.filter((result) => result === null).length,
          failed: results.filter((result) => result !== null),
          next: cursors.after(last ?? null),
        },
      };
    },
  }),
];

/** Null where it is sealed as it should be, or gone. */
async function reseal(hub: Hub, subscription: string): Promise<{ subscription: string; reason: string } | null> {
  try {
    const answer = await hub.subscription(subscription).reseal();
    return answer !== null && 'locked' in answer ? { subscription, reason: answer.locked } : null;
  } catch (error) {
    hub.log('warn', 'A secret could not be sealed anew.', { subscription, error });
    return { subscription, reason: 'The subscription could not be reached: try again.' };
  }
}
