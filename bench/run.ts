import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Hub } from './hub.ts';
import { Receiver } from './receiver.ts';
import { startFloor } from './runtime.ts';
import { billing } from './sections/billing.ts';
import { queue, service } from './sections/consumers.ts';
import { fanOut } from './sections/fan-out.ts';
import { fanOutCost } from './sections/fan-out-cost.ts';
import { growth } from './sections/growth.ts';
import { isolation } from './sections/isolation.ts';
import { latency } from './sections/latency.ts';
import { once } from './sections/once.ts';
import { orderings } from './sections/orderings.ts';
import { publish } from './sections/publish.ts';
import { pull } from './sections/pull.ts';
import type { Section } from './sections/section.ts';
import { tails } from './sections/tails.ts';
import { webhooks } from './sections/webhooks.ts';
import { circumstances, line, type Row, table } from './table.ts';

const SECTIONS: Section[] = [
  publish,
  latency,
  webhooks,
  isolation,
  pull,
  queue,
  service,
  tails,
  once,
  orderings,
  fanOut,
  growth,
  billing,
  fanOutCost,
];
const BEGIN = '<!-- bench: begin -->';
const END = '<!-- bench: end -->';
const USAGE = `npm run bench [-- [--quick] [--markdown FILE] [section …]]

  --quick           fewer and shorter rounds: for while building, not for claims
  --markdown FILE   put the table into FILE, between ${BEGIN} and ${END}
  section           only these: ${SECTIONS.map(({ name }) => name).join(', ')}
`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, markdown: { type: 'string' }, help: { type: 'boolean' } },
  });
  const chosen = SECTIONS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  if (values.help === true || positionals.some((name) => !chosen.some((section) => section.name === name))) {
    process.stdout.write(USAGE);
    return;
  }
  const quick = values.quick === true;
  const rows = await run(chosen, quick);
  const result = `${circumstances(quick)}\n\n${table(rows)}\n`;
  process.stdout.write(`\n${result}`);
  if (values.markdown !== undefined) intoPage(values.markdown, result);
}

/** Each section has a hub and a floor of its own: what ran before it changes nothing. */
async function run(sections: Section[], quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  const row = (made: Row) => {
    rows.push(made);
    process.stdout.write(`${line(made)}\n`);
  };
  for (const section of sections) {
    const hub = await Hub.start('src/worker.ts');
    const floor = await startFloor();
    const receiver = await Receiver.open();
    try {
      await section.run({ hub, floor, receiver, quick, row });
    } catch (error) {
      // The rest is worth having all the same.
      row({ group: `Section ${section.name}`, what: 'did not finish', value: String(error), met: false });
    } finally {
      receiver.close();
      await hub.stop();
      await floor.stop();
    }
  }
  return rows;
}

function intoPage(path: string, result: string): void {
  const page = existsSync(path) ? readFileSync(path, 'utf8') : `${BEGIN}\n${END}\n`;
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${path} has no ${BEGIN} … ${END} to put the table between.`);
  writeFileSync(path, `${page.slice(0, begin + BEGIN.length)}\n${result}${page.slice(end)}`);
}

await main();
