import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../../scripts/hub/free-port.ts';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { normalise, readSteps, Shell, type Step } from './support/console-walk.ts';
import { startHub } from './support/index.ts';

const README = join(ROOT, 'README.md');
/** Where the README points billing's webhook. */
const README_PORT = '9999';
const SETTLED_WITHIN_MS = 20_000;
/** What a second is enough for on a machine with nothing else to do. */
const LISTENS = `until (exec 3<>/dev/tcp/127.0.0.1/${README_PORT}) 2>/dev/null; do sleep 0.1; done`;

/** `README_UPDATE=1` writes the outputs anew instead of comparing them. */
const update = process.env.README_UPDATE !== undefined;

it("prints what the README says, for each of the README's commands", async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-readme-'));
  const hub = await startHub({ persistTo: join(directory, 'state') });
  const shell = new Shell(directory);
  const port = String(await freePort());
  const readme = readFileSync(README, 'utf8');
  const written: Step[] = [];
  try {
    for (const { command, output } of readSteps(readme)) {
      const really = command
        .replace(/^HUB=.*/, `HUB=${hub.url}`)
        .replace(/^KEY=.*/, `KEY=${hub.adminKey}`)
        .replace(/^sleep 1$/, LISTENS)
        .replaceAll(README_PORT, port);
      const seen = (text: string) => text.replaceAll(port, README_PORT);
      const printed = seen(await settled(shell, really, (text) => normalise(seen(text)) === normalise(output)));
      written.push({ command, output: printed });
      if (!update) expect(normalise(printed), command).toBe(normalise(output));
    }
  } finally {
    shell.stop();
    await hub.stop();
    rmSync(directory, { recursive: true });
  }
  if (update) writeFileSync(README, withOutputs(readme, written));
});

/** Only reading is repeated until it shows what is expected (or, on an update, until nothing is under way any more). */
async function settled(shell: Shell, command: string, expected: (text: string) => boolean): Promise<string> {
  const reads = /^(hub "?\$HUB[^ ]*"?|cat .*)$/.test(command);
  const deadline = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const printed = await shell.run(command);
    const done = update ? !isUnderWay(printed) : expected(printed);
    if (!reads || done || Date.now() > deadline) return printed;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function isUnderWay(printed: string): boolean {
  return printed === '' || /"(pending|delivering|retrying|running)"|"items":\[\]/.test(printed);
}

function withOutputs(markdown: string, steps: Step[]): string {
  const rest = steps.values();
  return markdown.replace(/^```console\n([\s\S]*?)^```$/gm, (_, block: string) => {
    const lines = readSteps(`\`\`\`console\n${block}\`\`\``).map(({ command }) => {
      const { output } = rest.next().value ?? { output: '' };
      return `$ ${command}\n${output === '' ? '' : `${output}\n`}`;
    });
    return `\`\`\`console\n${lines.join('')}\`\`\``;
  });
}
