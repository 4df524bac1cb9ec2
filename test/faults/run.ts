// `npm run faults [-- --seeds 50 --only kill-bridge --seconds 6]`: every scenario with many seeds, as a table.
import { parseArgs } from 'node:util'
import { startPrivateServer } from '../setup/private-server.ts'
import type { Verdict } from './ledger.ts'
import { churn, cutConnections, killBridge, killPostgres, stopLeader, type Trouble } from './scenarios.ts'
import { type World, withWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '6' },
    only: { type: 'string' },
    from: { type: 'string', default: '1' },
  },
})

interface Plan {
  readonly scenario: (world: World, trouble: Trouble) => Promise<Verdict>
  readonly seeds: number
  readonly seconds: number
}
const seeds = Number(values.seeds)
const seconds = Number(values.seconds)
const few = Math.max(1, Math.round(seeds / 10))
const plans: Readonly<Record<string, Plan>> = {
  'kill-bridge': { scenario: killBridge, seeds, seconds },
  'stop-leader': { scenario: stopLeader, seeds: few, seconds },
  'cut-connections': { scenario: cutConnections, seeds: few, seconds },
  'kill-postgres': { scenario: killPostgres, seeds: few, seconds },
  churn: { scenario: churn, seeds: 1, seconds: Math.max(seconds, 120) },
}

const say = (line: string) => process.stdout.write(`${line}\n`)
const columns = ['committed', 'unknown', 'lost', 'phantom', 'duplicated', 'reordered', 'dead'] as const
const sizeOf = (value: number | readonly string[]) => (typeof value === 'number' ? value : value.length)

say(`scenario          seed  ${columns.join('  ')}`)
let broken = 0
for (const [name, plan] of Object.entries(plans)) {
  if (values.only !== undefined && values.only !== name) continue
  const server = await startPrivateServer({ version: 18 })
  const totals = columns.map(() => 0)
  try {
    for (let seed = Number(values.from); seed < Number(values.from) + plan.seeds; seed++) {
      const verdict = await withWorld({ server, seed, subjects: 100 }, (world) => plan.scenario(world, plan))
      const counts = columns.map((column) => sizeOf(verdict[column]))
      counts.forEach((count, index) => {
        totals[index] = (totals[index] ?? 0) + count
      })
      const bad = counts.slice(2).some((count) => count > 0)
      if (bad) {
        broken += 1
        say(
          `${name.padEnd(17)} ${String(seed).padStart(4)}  ${counts.map((count, index) => String(count).padStart(columns[index]?.length ?? 0)).join('  ')}`,
        )
        for (const column of ['lost', 'phantom', 'duplicated', 'reordered'] as const)
          if (verdict[column].length > 0) say(`  ${column}: ${verdict[column].slice(0, 5).join(', ')}`)
      }
    }
  } finally {
    await server.stop()
  }
  say(
    `${name.padEnd(17)} ×${String(plan.seeds).padStart(3)}  ${totals.map((count, index) => String(count).padStart(columns[index]?.length ?? 0)).join('  ')}`,
  )
}
process.exitCode = broken > 0 ? 97 : 0
