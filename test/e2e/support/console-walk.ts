import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** A command of a ```console block and the output pasted below it. */
export interface Step {
  command: string;
  output: string;
}

/** The commands of all console blocks of a page, in order. A command goes on over lines that don't start with `$ ` while a quote is open. */
export function readSteps(markdown: string): Step[] {
  const blocks = [...markdown.matchAll(/^```console\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(([, block = '']) => {
    const steps: Step[] = [];
    for (const line of block.trimEnd().split('\n')) {
      const last = steps.at(-1);
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: '' });
      else if (last !== undefined && last.output === '' && quoteIsOpen(last.command)) last.command += `\n${line}`;
      else if (last !== undefined) last.output += `${line}\n`;
    }
    return steps;
  });
}

function quoteIsOpen(command: string): boolean {
  return (command.match(/'/g) ?? []).length % 2 === 1;
}

/** What differs from run to run, made the same: times, ids, keys, latencies, ports. */
export function normalise(output: string): string {
  return output
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME')
    .replace(/\b(dl|rpl)_[a-z0-9]{26}\b/g, '$1_ID')
    .replace(/\bmr_[\w.-]+/g, 'mr_KEY')
    .replace(/\b[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\b/g, 'UUID')
    .replace(/"latencyMs":\d+/g, '"latencyMs":0')
    .replace(/"webhook-timestamp":"\d+"/g, '"webhook-timestamp":"0"')
    .trim();
}

/** A bash that keeps its variables and functions from command to command. */
export class Shell {
  readonly #bash: ChildProcessWithoutNullStreams;
  #output = '';

  constructor(cwd: string) {
    this.#bash = spawn('bash', ['--noprofile', '--norc'], { cwd, detached: true });
    for (const stream of [this.#bash.stdout, this.#bash.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    }
  }

  /** Runs a command and gives what it printed. */
  async run(command: string): Promise<string> {
    const mark = `--- end of ${Math.random()} ---`;
    this.#output = '';
    this.#bash.stdin.write(`${command}\necho; echo '${mark}'\n`);
    while (!this.#output.includes(`${mark}\n`)) await new Promise((resolve) => setTimeout(resolve, 10));
    return this.#output.slice(0, this.#output.indexOf(mark)).trimEnd();
  }

  /** Ends it and what it started in the background. */
  stop(): void {
    if (this.#bash.pid !== undefined) process.kill(-this.#bash.pid, 'SIGKILL');
  }
}
