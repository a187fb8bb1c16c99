import { createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import { freePort } from '../../scripts/hub/free-port.ts';

const { chosen } = vi.hoisted(() => ({ chosen: [] as number[] }));
vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>();
  return { ...crypto, randomInt: (first: number, last: number) => chosen.shift() ?? crypto.randomInt(first, last) };
});

test('a free port is none that somebody listens on, nor one that the system gives to others', async () => {
  const port = await freePort();
  expect(port).toBeGreaterThanOrEqual(20_000);
  expect(port).toBeLessThan(32_768);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  chosen.push(port, port);
  const another = await freePort();
  expect(chosen).toEqual([]);
  expect(another).not.toBe(port);
  await new Promise((resolve) => server.close(resolve));
});
