import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../scripts/hub/wrangler.ts';

const SRC = join(ROOT, 'src');
/** A room's contract with others: types of it may be imported from anywhere. */
const CONTRACTS = ['protocol.ts', 'protocol-acks.ts', 'protocol-views.ts', 'document.ts', 'ports.ts'];
/** The only file that imports the platform's runtime, beside the objects' shells. */
const SHELLS = ['worker.ts', 'platform-workers.ts', 'object.ts'];

interface Import {
  file: string;
  from: string;
  to: string;
  target: string;
  typeOnly: boolean;
}

/** `worker.ts` and the folders are rooms of their own; the other files beside them are `base`. */
function roomOf(file: string): string {
  const [first = ''] = relative(SRC, file).split(sep);
  if (first === 'worker.ts') return first;
  return first.endsWith('.ts') ? 'base' : first;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sourceFiles(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const statements = readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'(\.[^']+)'/gm);
  return [...statements].map(([, type, specifier = '']) => {
    const target = resolve(dirname(file), specifier);
    return { file, from: roomOf(file), to: roomOf(target), target, typeOnly: type !== undefined };
  });
}

/** The table of ARCHITECTURE.md: room → rooms it may import, null for all. */
function readTable(): Map<string, string[] | null> {
  const rows = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8').matchAll(/^\| `([\w.-]+)` \|.*\| ([^|]+) \|$/gm);
  return new Map(
    [...rows].map(([, room = '', may = '']) => {
      if (may === 'everything') return [room, null];
      return [room, may === 'nothing' ? [] : may.split(', ')];
    }),
  );
}

const allowed = readTable();
const files = sourceFiles(SRC);
const imports = files.flatMap(importsOf);

describe('the architecture', () => {
  it('names every room in ARCHITECTURE.md, and no other', () => {
    expect([...allowed.keys()].sort()).toEqual([...new Set(files.map(roomOf))].sort());
  });

  it('lets imports run downwards only: the table has no circle', () => {
    const visit = (room: string, above: string[]): void => {
      expect(above, `${room} imports itself by way of others`).not.toContain(room);
      for (const below of allowed.get(room) ?? []) visit(below, [...above, room]);
    };
    for (const room of allowed.keys()) visit(room, []);
  });

  it('is what the code does', () => {
    const wrong = imports.filter(({ file, from, to, target, typeOnly }) => {
      const rooms = allowed.get(from);
      if (from === to || rooms === null || rooms?.includes(to)) return false;
      // The bindings' types name the objects they lead to.
      if (basename(file) === 'env.ts' && typeOnly) return false;
      return !(typeOnly && CONTRACTS.includes(basename(target)));
    });
    expect(imports.length).toBeGreaterThan(files.length);
    expect(wrong.map(({ file, target }) => `${relative(SRC, file)} imports ${relative(SRC, target)}`)).toEqual([]);
  });

  it('keeps the platform out of the core: only the shells import its runtime', () => {
    const users = files.filter((file) => /from 'cloudflare:/.test(readFileSync(file, 'utf8')));
    expect(users.map((file) => basename(file)).filter((name) => !SHELLS.includes(name))).toEqual([]);
  });

  it('keeps clock, chance, timers and fetch of the core behind its ports', () => {
    const direct =
      /\b(Date\.now|Math\.random|crypto\.(getRandomValues|randomUUID|subtle)|setTimeout|setInterval)\b|(?<![.\w]|async )fetch\(/;
    const core = files.filter((file) => ['topics', 'subscriptions', 'deliveries'].includes(roomOf(file)));
    const users = core.filter((file) => direct.test(withoutComments(readFileSync(file, 'utf8'))));
    expect(users.map((file) => relative(SRC, file))).toEqual([]);
  });
});

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}
