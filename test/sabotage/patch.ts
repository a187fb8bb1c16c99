import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';
import { build } from 'esbuild';

/** One bug put in on purpose: text of the product replaced. */
export interface Sabotage {
  name: string;
  /** What the bug is, and which promise it breaks. */
  bug: string;
  /** The rules of the history checker that it breaks: one of them at least has to find it. */
  breaks: string[];
  patches: { file: string; find: string; replace: string }[];
}

const ROOT = new URL('../../', import.meta.url);

/**
 * The text of `file` with the sabotage in it.
 *
 * @throws if the product has changed so that the bug can't be put in any more: it has to be written anew then.
 */
export function sabotaged(sabotage: Sabotage, file: string): string {
  let text = readFileSync(new URL(file, ROOT), 'utf8');
  for (const patch of sabotage.patches.filter((candidate) => candidate.file === file)) {
    const found = text.split(patch.find).length - 1;
    if (found !== 1) {
      throw new Error(
        `The sabotage "${sabotage.name}" has to replace this once in ${file}, where it is ${found} times:\n${patch.find}`,
      );
    }
    // A function, so that `$` has no meaning in what replaces.
    text = text.replace(patch.find, () => patch.replace);
  }
  return text;
}

/** An esbuild plugin that puts the sabotage into whatever is built. */
export function sabotagePlugin(sabotage: Sabotage): Plugin {
  const files = new Map(
    sabotage.patches.map(({ file }) => [fileURLToPath(new URL(file, ROOT)), sabotaged(sabotage, file)]),
  );
  return {
    name: 'sabotage',
    setup(esbuild) {
      esbuild.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = files.get(path);
        return contents === undefined ? undefined : { contents, loader: 'ts' };
      });
    },
  };
}

/** Bundles the simulation with a sabotage in it (or none) to `outfile`. */
export async function buildSimulation(sabotage: Sabotage | null, outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('test/simulation/simulate.ts', ROOT))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    logLevel: 'error',
    // The only module that looks for a file beside itself.
    define: { 'import.meta.url': JSON.stringify(new URL('test/support/node-d1.ts', ROOT).href) },
    plugins: sabotage === null ? [] : [sabotagePlugin(sabotage)],
  });
}
