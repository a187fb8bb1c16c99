import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../scripts/hub/wrangler.ts';

function files(folder: string, ending: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return files(path, ending);
    return name.endsWith(ending) ? [path] : [];
  });
}

const pages = [
  ...readdirSync(ROOT)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(ROOT, name)),
  ...files(join(ROOT, 'docs'), '.md'),
];
const promises = readdirSync(join(ROOT, 'docs', 'promises')).map((name) => name.slice(0, 2).toUpperCase());

describe('the documentation', () => {
  it('has no link to a page that is not there', () => {
    const broken = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(dirname(page), target)))
        .map((target) => `${relative(ROOT, page)}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('shows no curl command that would be refused for its content type', () => {
    const refused = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/^ *curl (?:[^\n]|\\\n)*(?: -d | --data )[^\n]*/gm)]
        .map(([command]) => command)
        .filter((command) => !command.includes("-H 'content-type: application/json'"))
        .map((command) => `${relative(ROOT, page)}: ${command}`),
    );
    expect(refused).toEqual([]);
  });

  it.each(promises)('shows %s by tests with its number in their names', (promise) => {
    const named = new RegExp(`(describe|it|test)(\\.\\w+)?\\(\\s*['"\`][^'"\`]*\\b${promise}\\b`);
    const tests = files(join(ROOT, 'test'), '.test.ts').filter((file) => named.test(readFileSync(file, 'utf8')));
    expect(tests).not.toEqual([]);
  });
});
