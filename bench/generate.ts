// `node bench/generate.ts`: events that one core generates, as objects and as NDJSON lines, and from a scenario with references,
// per second of its time (other processes then matter less) and, in brackets, per second on the wall. Medians.
import { readFileSync } from 'node:fs'
import { formatCloudEvent } from '../src/core/codec/cloudevents.ts'
import { createRegistry } from '../src/core/registry.ts'
import { createGenerator } from '../src/generators/generator.ts'
import { parseScenario } from '../src/generators/scenario/parse-scenario.ts'
import { createScenarioGenerator } from '../src/generators/scenario/scenario-generator.ts'
import { contracts } from '../src/services/icons/contracts.ts'

const registry = createRegistry(contracts)
const count = 200_000
const runs = 5

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function rate(work: () => number): string {
  const measured = Array.from({ length: runs }, () => {
    const [start, used] = [performance.now(), process.cpuUsage()]
    const done = work()
    const { user, system } = process.cpuUsage(used)
    return { core: done / ((user + system) / 1e6), wall: done / ((performance.now() - start) / 1e3) }
  })
  const [core, wall] = [median(measured.map((one) => one.core)), median(measured.map((one) => one.wall))]
  return `${Math.round(core).toLocaleString('en')}/s (${Math.round(wall).toLocaleString('en')})`
}

const generatorOf = (type: string) => createGenerator({ registry, types: [type], seed: 7, nowMs: 1_760_000_000_000 })

let bytes = 0
for (const type of ['user.created', 'document.*', '*']) {
  const [events, lines, single] = [generatorOf(type), generatorOf(type), generatorOf(type)]
  const made = rate(() => {
    for (let i = 0; i < count; i++) if (events.next().version > 9) bytes += 1
    return count
  })
  bytes = 0
  const line = rate(() => {
    for (let i = 0; i < count; i++) bytes += formatCloudEvent(lines.next()).length
    return count
  })
  const size = Math.round(bytes / (runs * count))
  const one = single.next()
  const format = rate(() => {
    for (let i = 0; i < count; i++) bytes += formatCloudEvent(one).length
    return count
  })
  process.stdout.write(`${type.padEnd(14)} next ${made}   next + line ${line} (${size} B)   line alone ${format}\n`)
}

const scenarioFile = new URL('../fixtures/scenarios/working-day.yaml', import.meta.url)
const workingDay = parseScenario(readFileSync(scenarioFile, 'utf8'), 'working-day.yaml')
const scenario = createScenarioGenerator({ registry, scenarios: [workingDay], seed: 7, nowMs: 1_760_000_000_000 })
const played = rate(() => {
  for (let i = 0; i < count; i++) if (scenario.next() === undefined) throw new Error('a scenario without end ended')
  return count
})
process.stdout.write(`${'working-day'.padEnd(14)} next ${played}\n`)

const events = Array.from(
  { length: 10_000 },
  (
    (generator) => () =>
      generator.next()
  )(generatorOf('*')),
)
const validated = rate(() => {
  for (let i = 0; i < 20; i++) for (const event of events) registry.validate(event)
  return events.length * 20
})
process.stdout.write(`${'validate'.padEnd(14)} ${validated}\n`)
process.stdout.write(`${'memory'.padEnd(14)} ${Math.round(process.memoryUsage().rss / 1_048_576)} MiB resident\n`)
