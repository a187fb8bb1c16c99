import { z } from 'zod';
import { signKey, toBase64Url } from '../access/key-tokens.ts';
import { addKey, deleteKey, keysAfter, type StoredKey } from '../access/keys.ts';
import { isScope, SCOPE_FORMS } from '../access/scopes.ts';
import { noBody } from './body.ts';
import { access, type Needed } from './context.ts';
import { textCursors } from './cursors.ts';
import { listOf, listQuery, nameField, timeField, timeInput, timeOf, timeOrNull } from './fields.ts';
import type { Hub } from './hub.ts';
import { invalid, Problem } from './problem.ts';
import { quotaBody, quotaOut, toQuota } from './quota.ts';
import { type Route, route } from './route.ts';

const cursors = textCursors('keys');
const ID_BYTES = 12;
/** So that a key stays well below what servers take as a header. */
const SCOPES_MAX = 50;
/** How the first admin key is called in the audit. */
const ADMIN = 'admin';

const adminOnly = (): Needed[] => [{ scope: 'admin' }];

const newKey = z.strictObject({
  name: nameField,
  scopes: z
    .array(z.string().refine(isScope, `must be one of ${SCOPE_FORMS}`))
    .min(1)
    .max(SCOPES_MAX),
  expiresAt: timeInput.nullable().default(null).describe('Null: never.'),
  quota: quotaBody
    .nullable()
    .default(null)
    .describe('Events that the key may publish in each second, minute or day (UTC). Null: as many as it likes.'),
});

const keyFields = {
  name: z.string(),
  scopes: z.array(z.string()),
  expiresAt: timeField.nullable(),
  createdAt: timeField,
  quota: quotaBody.optional(),
};
const keyView = z.object(keyFields).meta({ id: 'Key' });
const newKeyView = z
  .object({ ...keyFields, key: z.string().meta({ description: 'Shown this once.' }) })
  .meta({ id: 'NewKey' });

function viewOf(key: StoredKey): z.output<typeof keyView> {
  return {
    name: key.name,
    scopes: key.scopes,
    expiresAt: timeOrNull(key.expiresAt),
    createdAt: timeOf(key.createdAt),
    ...(key.quota === null ? {} : { quota: quotaOut(key.quota) }),
  };
}

/** Never rejects: what stays behind is a row that nobody asks for. */
async function forgetCount({ id, name }: StoredKey, hub: Hub): Promise<void> {
  await hub
    .quota(id)
    .forget()
    .catch((error: unknown) => hub.log('warn', 'The count of a deleted key stays behind.', { key: name, error }));
}

export const keysRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/keys',
    tag: 'Keys',
    summary: 'Make a key',
    description: `Scopes: ${SCOPE_FORMS}. \`admin\` implies all.`,
    params: {},
    query: {},
    body: newKey,
    readOnly: ['createdAt'],
    scopes: 'admin',
    needs: adminOnly,
    responses: { 201: newKeyView },
    problems: ['key-exists'],
    audit: ({ body }) => ({ action: 'key.create', target: body.name }),
    handler: async ({ body: { name, scopes, expiresAt, quota } }, { hub }) => {
      const now = hub.now();
      if (expiresAt !== null && expiresAt <= now)
        throw invalid([{ path: 'expiresAt', message: 'must be in the future' }]);
      const { signingKeys } = access(hub);
      const id = toBase64Url(hub.random.bytes(ID_BYTES));
      const signedUnder = signingKeys[0]?.id ?? null;
      const key = { name, scopes, expiresAt, createdAt: now, quota: toQuota(quota), id, signedUnder };
      if (name === ADMIN || !(await addKey(hub.db, key))) {
        throw new Problem('key-exists', `There is a key ${name} already. Delete it first, or choose another name.`);
      }
      const token = signKey(key, signingKeys);
      return { status: 201, body: { ...viewOf(key), key: token }, headers: { 'cache-control': 'no-store' } };
    },
  }),

  route({
    method: 'GET',
    path: '/v1/keys',
    tag: 'Keys',
    summary: 'The keys, by name',
    params: {},
    query: listQuery,
    body: noBody,
    scopes: 'admin',
    needs: adminOnly,
    responses: { 200: listOf(keyView) },
    handler: async ({ query }, { hub }) => {
      const keys = await keysAfter(hub.db, cursors.placeIn(query.cursor) ?? '', query.limit + 1);
      const { items, next } = cursors.page(keys, query.limit, ({ name }) => name);
      return { status: 200, body: { items: items.map(viewOf), next } };
    },
  }),

  route({
    method: 'DELETE',
    path: '/v1/keys/{name}',
    tag: 'Keys',
    summary: 'Delete a key: it stops working everywhere within 10 s',
    params: { name: nameField },
    query: {},
    body: noBody,
    scopes: 'admin',
    needs: adminOnly,
    responses: { 204: null },
    problems: ['unknown-key'],
    audit: ({ params }) => ({ action: 'key.delete', target: params.name }),
    handler: async ({ params }, { hub }) => {
      const key = await deleteKey(hub.db, params.name, hub.now());
      if (key === null) throw new Problem('unknown-key', `There is no key ${params.name}.`);
      access(hub).revocations.add(key.id);
      if (key.quota !== null) hub.background(forgetCount(key, hub));
      return { status: 204, body: null };
    },
  }),
];
