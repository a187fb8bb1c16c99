import { expect, test } from 'vitest';
import { Delivering } from './delivering.ts';
import { Hub } from './harness.ts';

const SUBSCRIPTIONS = 1_000;

test('P6: a thousand subscriptions on one topic each get every event once, over a crash of the topic', {
  timeout: 240_000,
}, async () => {
  const hub = new Hub();
  const names = Array.from({ length: SUBSCRIPTIONS }, (_, index) => `reader-${index}`);
  await Promise.all(
    names.map((name, index) => {
      const types = index % 2 === 0 ? ['news.*'] : [];
      return hub.subscribe(name, { topics: ['news'], filter: { types, cel: null } });
    }),
  );
  const delivering = new Delivering(hub);
  await hub.publish('news', 2, 'news.today');
  // It had woken a part of them.
  hub.restartTopic('news');
  await hub.publish('news', 1, 'weather');
  await delivering.run(40_000, 1_000);
  // Half of them have asked for news only.
  expect(delivering.started).toHaveLength(2 * SUBSCRIPTIONS + SUBSCRIPTIONS / 2);
  for (const name of [names[0], names[1], names.at(-1)]) {
    const view = await hub.view(name ?? '');
    expect(view).toMatchObject({ lag: 0, cursor: 3, failed: 0, delivered: 3 - view.filtered });
  }
});
