// Servers for work at the desk: `npm run services -- up|down|status [name…]`. The same private servers that the tests start, kept
// running until `down`. Tests and commands use them through the variables that `up` prints.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { argv, env, exit, stderr, stdout } from 'node:process'
import { findStartable, startFrom } from '../test/setup/find-servers.ts'
import { keptOwner, mainProcessOf, removeServer, runsInDocker } from '../test/setup/server-directory.ts'
import { remedy, type ServerName, serverFacts, serverNames } from '../test/setup/server-names.ts'

const home = env.EVT_SERVICES_HOME || join(dirname(import.meta.dirname), '.cache', 'services')

interface Kept {
  readonly url: string
  readonly directory: string
}

const stateFile = (name: ServerName): string => join(home, `${name}.json`)

function keptOf(name: ServerName): Kept | undefined {
  return existsSync(stateFile(name)) ? (JSON.parse(readFileSync(stateFile(name), 'utf8')) as Kept) : undefined
}

/** Where it runs, in words; undefined when it does not. */
function placeOf({ directory }: Kept): string | undefined {
  const pid = mainProcessOf(directory)
  if (pid) return `process ${pid}`
  return runsInDocker(directory) ? 'Docker' : undefined
}

async function up(names: readonly ServerName[]): Promise<number> {
  mkdirSync(home, { recursive: true })
  const wanted = names.filter((name) => !isUp(name))
  const found = findStartable(wanted)
  // One after the other: they start soonest when they do not fight for the processors.
  for (const name of names) {
    const source = found.get(name)
    if (source) remember(name, await startFrom(source, name, { owner: keptOwner }))
    else if (wanted.includes(name)) stderr.write(`${serverFacts[name].title} is missing; to have it: ${remedy(name)}\n`)
    const kept = keptOf(name)
    if (kept && isUp(name)) stdout.write(`export ${serverFacts[name].variable}=${kept.url}\n`)
  }
  return found.size === wanted.length ? 0 : 1
}

function isUp(name: ServerName): boolean {
  const kept = keptOf(name)
  return kept !== undefined && placeOf(kept) !== undefined
}

function remember(name: ServerName, { url, directory }: Kept): void {
  writeFileSync(stateFile(name), `${JSON.stringify({ url, directory })}\n`, { mode: 0o600 })
}

async function down(names: readonly ServerName[]): Promise<number> {
  for (const name of names) {
    const kept = keptOf(name)
    if (kept) await removeServer(kept.directory)
    rmSync(stateFile(name), { force: true })
  }
  return status(names)
}

function status(names: readonly ServerName[]): number {
  for (const name of names) {
    const kept = keptOf(name)
    const place = kept && placeOf(kept)
    stdout.write(`${serverFacts[name].title}: ${kept && place ? `${kept.url} (${place})` : 'not running'}\n`)
  }
  return 0
}

/** A name, or the first word of several: `postgres` is both of them. */
function select(words: readonly string[]): readonly ServerName[] | undefined {
  if (words.length === 0) return serverNames
  const meant = (word: string) => serverNames.filter((name) => name === word || name.startsWith(`${word}-`))
  return words.every((word) => meant(word).length > 0) ? [...new Set(words.flatMap(meant))] : undefined
}

const verbs: Readonly<Record<string, (names: readonly ServerName[]) => number | Promise<number>>> = { up, down, status }
const verb = verbs[argv[2] ?? 'status']
const names = select(argv.slice(3))
if (!verb || !names) {
  stderr.write(`usage: npm run services -- up|down|status [name…]\nnames: postgres ${serverNames.join(' ')}\n`)
  exit(2)
}
exit(await verb(names))
