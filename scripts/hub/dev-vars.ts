import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';

const SECRET_BYTES = 32;
const OWNER_ONLY = 0o600;

const MAKERS: Record<string, () => string> = {
  ADMIN_KEY: () => `admin_${randomBytes(SECRET_BYTES).toString('base64url')}`,
  HUB_SECRET: () => randomBytes(SECRET_BYTES).toString('base64'),
};

const HEADER =
  '# The secrets of the hub on this machine, made by npm run dev at its first start. Not for the repository.\n';

/**
 * The local secrets in `file`; those that are missing are made and added, the others are kept.
 * The file is readable by its owner alone.
 */
export function ensureDevVars(file: string): Record<string, string> {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : HEADER;
  const vars = parseVars(text);
  let added = '';
  for (const [name, make] of Object.entries(MAKERS)) {
    if (vars[name]) continue;
    const value = make();
    vars[name] = value;
    added += `${name}="${value}"\n`;
  }
  if (added !== '') {
    const separator = text === '' || text.endsWith('\n') ? '' : '\n';
    writeFileSync(file, text + separator + added, { mode: OWNER_ONLY });
  }
  chmodSync(file, OWNER_ONLY);
  return vars;
}

/** `NAME=value` lines, with or without quotes; of two lines with one name the later one counts. */
function parseVars(text: string): Record<string, string> {
  const vars: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, name, raw] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || raw === undefined) continue;
    const quoted = /^(["'`])(.*)\1$/.exec(raw);
    vars[name] = quoted?.[2] ?? raw;
  }
  return vars;
}
