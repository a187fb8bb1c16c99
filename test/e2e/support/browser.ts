import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where Linux distributions and macOS have it. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The machine's own Chromium. @throws if there is none: a test that needs it fails, and says what to install. */
function chromiumPath(): string {
  const { CHROMIUM = PLACES.find((path) => existsSync(path)) } = process.env;
  if (CHROMIUM !== undefined) return CHROMIUM;
  throw new Error('There is no Chromium: apt-get install chromium, or say where it is in the variable CHROMIUM.');
}

/** Headless. */
export function startBrowser(): Promise<Browser> {
  // Chromium's sandbox refuses to run as root, and containers have a /dev/shm that is too small for it.
  const args = ['--disable-dev-shm-usage', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])];
  return chromium.launch({ executablePath: chromiumPath(), args });
}

if (import.meta.main) console.log(chromiumPath());
