import { z } from 'zod';
import { auditPage } from '../access/audit.ts';
import { noBody } from './body.ts';
import { textCursors } from './cursors.ts';
import { listOf, listQuery, timeField, timeOf } from './fields.ts';
import { type Route, route } from './route.ts';

const entryView = z
  .object({
    at: timeField,
    key: z.string().meta({ description: 'The name of the key that did it.' }),
    action: z.string().meta({ examples: ['subscription.update'] }),
    target: z.string(),
    requestId: z.string(),
  })
  .meta({ id: 'AuditEntry' });

const cursors = textCursors('audit');

export const auditRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/audit',
    tag: 'Keys',
    summary: 'Who changed what, newest first',
    params: {},
    query: listQuery,
    body: noBody,
    scopes: 'admin',
    needs: () => [{ scope: 'admin' }],
    responses: { 200: listOf(entryView) },
    handler: async ({ query }, { hub }) => {
      const { items, next } = await auditPage(hub.db, cursors.placeIn(query.cursor), query.limit);
      return {
        status: 200,
        body: {
          items: items.map((entry) => ({ ...entry, at: timeOf(entry.at) })),
          next: cursors.after(next),
        },
      };
    },
  }),
];
