import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';

/** One line of the result. `goal` and `met` are there where issue or documentation promise something. */
export interface Row {
  group: string;
  what: string;
  /** The hub's figure with its unit. */
  value: string;
  floor?: string;
  ratio?: string;
  goal?: string;
  met?: boolean;
}

const HEADINGS = ['what', 'hub', 'floor', 'ratio', 'goal', ''];

function cells(row: Row): string[] {
  const verdict = row.met === undefined ? '' : row.met ? 'met' : '**missed**';
  return [row.what, row.value, row.floor ?? '', row.ratio ?? '', row.goal ?? '', verdict];
}

/** One row as a line for the terminal while the bench runs. */
export function line(row: Row): string {
  return `${row.group} · ${cells(row)
    .filter((cell) => cell !== '')
    .join(' · ')
    .replaceAll('**', '')}`;
}

/** All rows as one Markdown table, a line of its own where a group begins; it reads as well in a terminal. */
export function table(rows: Row[]): string {
  const lines: string[][] = [];
  let group = '';
  for (const row of rows) {
    if (row.group !== group) {
      group = row.group;
      lines.push([`**${group}**`, '', '', '', '', '']);
    }
    lines.push(cells(row));
  }
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, 3, ...lines.map((cellsOfLine) => cellsOfLine[column]?.length ?? 0)),
  );
  const format = (texts: string[]) =>
    `| ${texts.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [format(HEADINGS), rule, ...lines.map(format)].join('\n');
}

/** Statfs type of a file system that lives in memory. */
const TMPFS = 0x01021994;

/** What was measured on what. */
export function circumstances(quick: boolean): string {
  const versions = ['workerd', 'miniflare'].map((name) => `${name} ${version(name)}`).join(', ');
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const disk = statfsSync(tmpdir()).type === TMPFS ? 'in memory (tmpfs)' : 'on disk';
  const kind = quick ? ' (quick run: fewer and shorter rounds)' : '';
  return [
    `Date: ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC${kind}`,
    `Commit: ${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain', 'src') === '' ? '' : ' with changes in src/'}`,
    `Machine: ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${memoryGiB} GiB, Linux ${release()}, state ${disk}`,
    `Versions: Node ${process.versions.node}, ${versions}`,
  ].join('  \n');
}

function version(name: string): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(`${import.meta.dirname}/../node_modules/${name}/package.json`, 'utf8'),
  );
  return manifest.version;
}

function git(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim();
}

export function perSecond(rate: number, unit: string): string {
  return `${Math.round(rate).toLocaleString('en-US')} ${unit}/s`;
}

export function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}

export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export function times(ratio: number): string {
  return `${ratio.toFixed(2)} ×`;
}
