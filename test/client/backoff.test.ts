import { expect, it } from 'vitest';
import { within } from '../../src/client/backoff.ts';

it('leaves no rejection unhandled of what fails once nobody waits for it', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  const failing = Promise.withResolvers<never>();
  const waited = within(failing.promise, 1_000, AbortSignal.abort(new Error('stopped')));
  failing.reject(new Error('broken off'));
  await expect(waited).rejects.toThrow('stopped');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
