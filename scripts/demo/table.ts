import type { Story } from './checks.ts';

/** What became of everything, a row for each consumer. */
export function describeStory({ events, published, consumers, letter, replay }: Story): string {
  const receipts = [...published.receipts.values()].flat();
  const duplicates = receipts.filter(({ duplicate }) => duplicate).length;
  const rows = consumers.map(({ consumer, sums, book }) => {
    const died = letter.subscription === consumer.name ? 1 : 0;
    const redriven = died === 1 && letter.redrivenAt !== null ? 1 : 0;
    return [
      consumer.name,
      events.filter(consumer.wants).length,
      sums.filtered,
      book.taken.size,
      book.requests,
      book.refused,
      book.retries,
      died,
      redriven,
      book.replayed,
      sums.pending + sums.waiting,
    ];
  });
  const head = [
    'consumer',
    'wanted',
    'filtered',
    'delivered',
    'requests',
    'refused',
    'retried',
    'dead',
    'redriven',
    'replayed',
    'open',
  ];
  const rate = Math.round(published.requests / published.seconds);
  return [
    `  ${published.requests} requests published ${events.length} events (${duplicates} duplicates recognised), ${rate} requests/s`,
    `  the replay ${replay.id} sent ${replay.delivered} of ${replay.total}`,
    '',
    ...layOut([head, ...rows]),
  ].join('\n');
}

function layOut(rows: (string | number)[][]): string[] {
  const cells = rows.map((row) => row.map(String));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [lines[0] ?? '', rule, ...lines.slice(1)].map((line) => `  ${line}`);
}
