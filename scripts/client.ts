/**
 * npm run client: makes the package `millrace` in dist/millrace, ready for `npm pack` and `npm publish`. Before that it writes
 * src/client/wire.ts anew from the schemas of the HTTP interface; a test says when that has to be checked in.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildClient } from './client-package.ts';
import { clientTypes } from './client-types.ts';
import { ROOT } from './hub/wrangler.ts';

writeFileSync(join(ROOT, 'src', 'client', 'wire.ts'), await clientTypes());
const folder = join(ROOT, 'dist', 'millrace');
buildClient(folder);
console.log(`The package is in dist/millrace: npm pack ./dist/millrace`);
