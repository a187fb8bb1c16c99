import { expect, it } from 'vitest';
import { AUDIT_KEPT_MS, auditPage, recordAudit, trimAudit } from '../../src/access/audit.ts';
import { NodeD1 } from '../support/node-d1.ts';

const NOW = Date.UTC(2026, 10, 26);
const random = { fraction: () => 0.5, bytes: (length: number) => new Uint8Array(length).fill(7) };

it('is kept for more than a year, and no longer', async () => {
  const db = NodeD1.migrated();
  for (const at of [NOW - AUDIT_KEPT_MS - 1, NOW - AUDIT_KEPT_MS, NOW]) {
    const writes: Promise<unknown>[] = [];
    const ports = {
      db,
      now: () => at,
      random,
      background: (task: Promise<unknown>) => writes.push(task),
      log: () => {},
    };
    recordAudit(ports, { key: 'ci', action: 'topic.update', target: `at ${at}`, requestId: 'r' });
    await Promise.all(writes);
  }
  expect(await trimAudit(db, NOW)).toBe(1);
  expect(await trimAudit(db, NOW)).toBe(0);
  const { items } = await auditPage(db, null, 10);
  expect(items.map(({ at }) => at)).toEqual([NOW, NOW - AUDIT_KEPT_MS]);
});
