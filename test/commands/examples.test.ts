import { describe, expect, it, onTestFinished } from 'vitest'
import type { Example } from '../../src/commands/command.ts'
import { type CommandName, registry } from '../../src/commands/registry.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { createNowhere, type Ran, runHere, start } from './evt.ts'
import { createStoreFor, type Need } from './stores.ts'

/** They start servers or need a running bridge: tested where those are. So are examples that need several brokers. */
const elsewhere: readonly string[] = ['bench', 'dash', 'demo', 'handlers profile', 'up']
const names = (Object.keys(registry) as CommandName[]).filter((name) => !elsewhere.includes(name))

describe('examples of the help', () => {
  // One database a command: its examples tell a story, in their order.
  it.each(names)('of %s do what they say', async (name) => {
    const { examples } = (await registry[name].load()).default
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    const stores = new Map<Need, string | undefined>()
    for (const example of examples) {
      const need = example.needs ?? 'store'
      if (need === 'brokers' || (need === 'redis' && !hasServer('redis'))) continue
      if (!stores.has(need)) stores.set(need, (await createStoreFor(need))?.url)
      const line = await withServers(example.line)
      const ran = await perform({ ...example, line }, stores.get(need), nowhere.path)
      expect(ran, `${example.line}\n${ran.stdout}${ran.stderr}`).toMatchObject({ exit: example.exit ?? 0 })
    }
  })
})

/** What a reader has on this machine is, in a test, the server of the run, with the topic that the examples name. */
async function withServers(line: string): Promise<string> {
  if (!line.includes('redis://localhost')) return line
  const url = await serverUrl('redis')
  await runHere(['gen', 'user.created', '--target', `${url}/0?stream=orders`, '--create', '--yes'])
  return line.replace('redis://localhost', url)
}

async function perform(example: Example, store: string | undefined, cwd: string): Promise<Ran> {
  const words = wordsOf(example.line)
  if (!example.endless) return runHere(words, { store, cwd })
  const running = start(words, { store, cwd })
  await running.said(/\n/)
  running.signal('SIGINT')
  return running.ended
}

/** As a shell splits it; what a shell would expand must stand in quotes. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)]
  for (const [, , bare] of words)
    if (bare && /[*?{}<>|;&$]/.test(bare)) throw new Error(`${line}: a shell changes ${bare}`)
  return words.map(([, quoted, bare]) => quoted ?? bare ?? '').slice(1)
}
