import { z } from 'zod';
import { signToken } from '../access/key-tokens.ts';
import { isScope } from '../access/scopes.ts';
import { durationSchema } from '../events/durations.ts';
import { access } from './context.ts';
import { timeField, timeOf } from './fields.ts';
import { Problem } from './problem.ts';
import { type Route, route } from './route.ts';

/** Tokens: what a page in a browser reads with, where a key must not be. */

const TOKEN_LIFE_MIN_MS = 1_000;
export const TOKEN_LIFE_MAX_MS = 24 * 3_600_000;
const TOKEN_LIFE_DEFAULT = '1h';
/** So that a token fits into a URL. */
export const TOKEN_SCOPES_MAX = 10;
const READ = 'read:';

const newToken = z.strictObject({
  scopes: z
    .array(z.string().refine((scope) => scope.startsWith(READ) && isScope(scope), `must be ${READ}PATTERN`))
    .min(1)
    .max(TOKEN_SCOPES_MAX),
  expiresIn: durationSchema(TOKEN_LIFE_MIN_MS, TOKEN_LIFE_MAX_MS)
    .prefault(TOKEN_LIFE_DEFAULT)
    .describe('At most 24h; never longer than the key itself.'),
});

const tokenView = z.object({ token: z.string(), expiresAt: timeField }).meta({ id: 'Token' });

export const tokensRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tokens',
    tag: 'Keys',
    summary: 'Make a token to read with',
    description:
      'For a page in a browser: it reads what its scopes say, for a day at most, and dies with the key that made it. Nothing ' +
      'is stored. It goes in the `Authorization` header as a key does or, for reading events and deliveries, in the query as ' +
      '`token`, since an EventSource and a WebSocket can send no header.',
    params: {},
    query: {},
    body: newToken,
    scopes: 'those that the token gets',
    needsOfInput: ({ body }) => body.scopes.map((scope) => ({ scope: 'read', on: scope.slice(READ.length) })),
    responses: { 201: tokenView },
    handler: ({ body: { scopes, expiresIn } }, { hub, caller }) => {
      if (caller.byToken) throw new Problem('forbidden', 'A token makes no tokens: ask with a key.');
      const keys = access(hub);
      const expiresAt = Math.min(hub.now() + expiresIn, caller.expiresAt ?? Number.POSITIVE_INFINITY);
      const claims = { maker: keys.makerOf(caller), name: caller.name, scopes, expiresAt };
      const token = signToken(claims, keys.signingKeys);
      return {
        status: 201,
        body: { token, expiresAt: timeOf(expiresAt) },
        headers: { 'cache-control': 'no-store' },
      };
    },
  }),
];
