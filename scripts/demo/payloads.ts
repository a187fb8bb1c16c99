import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../hub/wrangler.ts';

const EXAMPLES = join(ROOT, 'node_modules', '@octokit', 'webhooks-examples');

export interface DemoEvent {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  subject?: string;
  time: string;
  datacontenttype: 'application/json';
  data: Payload;
}

interface Payload {
  action?: string;
  repository?: { full_name?: string };
}

/**
 * Every webhook payload of @octokit/webhooks-examples (what GitHub really sent, of github.com and of each Enterprise
 * release in the package) as a CloudEvent. The ids are stable: the place of the payload in the package.
 */
export function githubEvents(): DemoEvent[] {
  const time = new Date().toISOString();
  const collections = readdirSync(EXAMPLES).filter((name) => statSync(join(EXAMPLES, name)).isDirectory());
  return collections.sort().flatMap((collection) => {
    const events: { name: string; examples: Payload[] }[] = JSON.parse(
      readFileSync(join(EXAMPLES, collection, 'index.json'), 'utf8'),
    );
    return events.flatMap(({ name, examples }) =>
      examples.map((data, index): DemoEvent => {
        const subject = data.repository?.full_name;
        return {
          specversion: '1.0',
          id: `${collection}/${name}/${index + 1}`,
          source: `/github/${collection}`,
          type: `com.github.${name}${data.action === undefined ? '' : `.${data.action}`}`,
          ...(subject === undefined ? {} : { subject }),
          time,
          datacontenttype: 'application/json',
          data,
        };
      }),
    );
  });
}
