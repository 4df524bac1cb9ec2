// `npm run faults [-- --only kill-bridge,churn --seeds 50 --from 1 --seconds 6]`: each scenario with many seeds, a row each.
// Exit code 1 when a promise broke, 2 for a mistake on the command line.
import { parseArgs } from 'node:util'
import { startPrivateKafka } from '../setup/private-kafka.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { startPrivateRabbit } from '../setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import type { PrivateServer } from '../setup/private-server.ts'
import { startPrivateRedisPair } from '../setup/redis-pair.ts'
import { sweepLeftovers } from '../setup/server-directory.ts'
import { brokenDownstream, mailer } from './downstream.ts'
import { type ExitVerdict, exitingHandler } from './exiting.ts'
import {
  cutRedis,
  failOverRedis,
  flushRedis,
  losePartOfCluster,
  moveSlots,
  startClusterBroker,
} from './redis-scenarios.ts'
import {
  churn,
  cutConnections,
  idleElsewhere,
  killBridge,
  killBroker,
  killPostgres,
  manyWriters,
  type Outcome,
  stopLeader,
  type Trouble,
} from './scenarios.ts'
import { startFaultServer, type World, withWorld } from './world.ts'

interface Plan extends Trouble {
  readonly seeds: number
  /** Between the store and the handlers. */
  readonly broker?: () => Promise<PrivateBroker>
  readonly sinkQuery?: string
  /** Entries. */
  readonly behind?: number
  /** Besides those that every bridge has. */
  readonly handlers?: readonly string[]
  run(world: World, plan: Plan): Promise<Outcome>
}

const deliveryMs = 50
const noticedMs = 5_000

/** What each does when it is not told otherwise: as many seeds, and as long, as research/runtime-anchors.md §4 asks. */
const plans: Readonly<Record<string, Plan>> = {
  'kill-bridge': { run: killBridge, seeds: 50, seconds: 4 },
  'stop-leader': { run: stopLeader, seeds: 5, seconds: 6 },
  'cut-connections': { run: cutConnections, seeds: 5, seconds: 6 },
  'kill-postgres': { run: killPostgres, seeds: 5, seconds: 6 },
  exit: { run: exit, seeds: 5, seconds: 0 },
  churn: { run: churn, seeds: 1, seconds: 120, everySeconds: 5 },
  'idle-elsewhere': { run: promptly, seeds: 1, seconds: 60 },
  'broken-downstream': { run: promptBreaker, seeds: 1, seconds: 60, handlers: [mailer] },
  writers: { run: manyWriters, seeds: 1, seconds: 600 },
  'churn-redis': { run: churn, seeds: 1, seconds: 120, everySeconds: 5, broker: startPrivateRedis },
  'churn-kafka': { run: churn, seeds: 1, seconds: 120, everySeconds: 5, broker: startPrivateKafka },
  'churn-rabbitmq': { run: churn, seeds: 1, seconds: 120, everySeconds: 5, broker: startPrivateRabbit },
  'kill-redis': { run: killBroker, seeds: 3, seconds: 20, broker: startPrivateRedis },
  'kill-kafka': { run: killBroker, seeds: 3, seconds: 30, broker: startPrivateKafka },
  'kill-rabbitmq': { run: killBroker, seeds: 3, seconds: 40, broker: startPrivateRabbit },
  'flush-redis': { run: flushRedis, seeds: 3, seconds: 15, broker: startPrivateRedis },
  'cut-redis': { run: cutRedis, seeds: 5, seconds: 15, broker: startPrivateRedis, sinkQuery: '?retain=1g' },
  'fail-over-redis': {
    run: failOverRedis,
    seeds: 3,
    seconds: 15,
    behind: 10_000,
    broker: startPrivateRedisPair,
    sinkQuery: '?retain=1g',
  },
  'move-slots': { run: moveSlots, seeds: 3, seconds: 20, broker: startClusterBroker, sinkQuery: '&retain=1g' },
  'cluster-down': {
    run: losePartOfCluster,
    seeds: 2,
    seconds: 20,
    broker: startClusterBroker,
    sinkQuery: '&retain=1g',
  },
}

/** A2 with its figure; it takes a machine that does nothing else. */
async function promptly(world: World, trouble: Trouble): Promise<Outcome> {
  const outcome = await idleElsewhere(world, trouble)
  if (outcome.p99Ms < deliveryMs) return outcome
  const unknown = outcome.p99BeforeMs >= deliveryMs ? 'cannot tell, because this machine is busy: ' : ''
  return { ...outcome, broken: [...outcome.broken, `${unknown}${outcome.note}; promised are ${deliveryMs} ms`] }
}

/** With its times; it takes a machine that does nothing else. */
async function promptBreaker(world: World, trouble: Trouble): Promise<Outcome> {
  const outcome = await brokenDownstream(world, trouble)
  const late = (what: string, ms: number) =>
    ms < noticedMs ? [] : [`${what} after ${Math.round(ms)} ms; promised are ${noticedMs} ms`]
  return {
    ...outcome,
    broken: [
      ...late('both bridges paused', outcome.pausedMs),
      ...late('both bridges went on', outcome.resumedMs),
      ...(outcome.trips === 1 ? [] : [`the breaker opened ${outcome.trips} times`]),
      ...(outcome.poisonTrips === 0 ? [] : ['a hot poison subject opened a breaker']),
    ],
  }
}

async function exit(world: World): Promise<Outcome> {
  const concurrency = 1 + Math.floor(world.random() * 6)
  const options = { subjects: 24, events: 6, concurrency, dieAt: 20 + Math.floor(world.random() * 60) }
  const verdict = await exitingHandler(world, options)
  const events = options.subjects * options.events
  const letters = verdict.deadLetters.map(({ guilty, attempts }) => `${guilty ? 'guilty' : 'innocent'} ×${attempts}`)
  return {
    ...{ committed: events, unknown: 0, lost: [], phantom: [], duplicated: [], sequencing: [], dead: 0 },
    reordered: verdict.reordered,
    broken: exitProblems(verdict, letters, events),
    note: `${concurrency} workers, ${verdict.lanesHit} lanes hit, bystanders tried at most ${verdict.mostTries} times`,
  }
}

function exitProblems(verdict: ExitVerdict, letters: readonly string[], events: number): string[] {
  const { deaths, mostTries, handledOnce } = verdict
  return [
    ...(letters.join() === 'guilty ×5' && deaths === 5 ? [] : [`${deaths} deaths, dead letters: ${letters.join()}`]),
    ...(mostTries <= 3 ? [] : [`a bystander was tried ${mostTries} times`]),
    ...(handledOnce === events - 1 ? [] : [`${handledOnce} of ${events - 1} bystanders were handled once`]),
  ]
}

const counted = ['lost', 'phantom', 'duplicated', 'reordered', 'sequencing', 'broken'] as const
const say = (line: string) => process.stdout.write(`${line}\n`)
const cell = (value: number | string) => String(value).padStart(11)

function show(name: string, seed: number, outcome: Outcome, seconds: number): void {
  const sums = counted.slice(0, 4).map((column) => cell(outcome[column].length))
  const first = `${name.padEnd(16)} ${String(seed).padStart(5)} ${cell(outcome.committed)} ${cell(outcome.unknown)}`
  say(`${first} ${sums.join(' ')} ${cell(seconds.toFixed(1))}  ${outcome.note}`)
  for (const column of counted) {
    const found = outcome[column]
    if (found.length > 0) say(`  ${column}: ${found.slice(0, 5).join('; ')}${found.length > 5 ? '; …' : ''}`)
  }
  if (outcome.dead > 0) say(`  dead letters: ${outcome.dead}`)
}

const isBroken = (outcome: Outcome) => outcome.dead > 0 || counted.some((column) => outcome[column].length > 0)

interface Asked {
  readonly names: readonly string[]
  readonly from: number
  readonly seeds?: number
  readonly seconds?: number
}

function parse(): Asked {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { seeds: text, seconds: text, only: text, from: text } })
  const number = (flag: 'seeds' | 'seconds' | 'from') => {
    const given = values[flag]
    if (given === undefined) return {}
    const value = Number(given)
    if (!Number.isFinite(value) || value <= 0) throw new Error(`--${flag} ${given} is no number above 0`)
    return { [flag]: value }
  }
  const names = values.only?.split(',') ?? Object.keys(plans)
  const unknown = names.find((name) => !(name in plans))
  if (unknown !== undefined)
    throw new Error(`there is no scenario ${unknown}; there are ${Object.keys(plans).join(', ')}`)
  return { from: 1, ...number('from'), ...number('seeds'), ...number('seconds'), names }
}

let server: PrivateServer | undefined
let broker: PrivateBroker | undefined

/** How many seeds broke. */
async function runPlan(name: string, plan: Plan, from: number): Promise<number> {
  const outcomes: Outcome[] = []
  const started = performance.now()
  server = await startFaultServer()
  broker = await plan.broker?.()
  try {
    for (let seed = from; seed < from + plan.seeds; seed++) {
      const begun = performance.now()
      const own = server
      const { sinkQuery = '', handlers = [] } = plan
      const options = { server: own, seed, subjects: 100, sinkQuery, handlers, ...(broker ? { broker } : {}) }
      const outcome = await withWorld(options, (world) => plan.run(world, plan))
      outcomes.push(outcome)
      show(name, seed, outcome, (performance.now() - begun) / 1000)
    }
  } finally {
    await Promise.all([server.stop(), broker?.stop()])
  }
  const sum = (count: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + count(outcome), 0)
  const sums = counted.slice(0, 4).map((column) => `${sum((outcome) => outcome[column].length)} ${column}`)
  const broken = outcomes.filter(isBroken).length
  say(
    `${name}: ${plan.seeds} seeds, ${sum((outcome) => outcome.committed)} committed, ${sums.join(', ')}, ${broken} seeds broke, ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
  )
  return broken
}

async function main(asked: Asked): Promise<void> {
  await sweepLeftovers()
  say(
    `${'scenario'.padEnd(16)}  seed ${['committed', 'unknown', ...counted.slice(0, 4), 'seconds'].map(cell).join(' ')}`,
  )
  let broken = 0
  for (const name of asked.names) broken += await runPlan(name, { ...(plans[name] as Plan), ...asked }, asked.from)
  say(
    broken === 0
      ? 'every promise held'
      : `${broken} seeds broke a promise; repeat one with --only NAME --from SEED --seeds 1`,
  )
  process.exitCode = broken === 0 ? 0 : 1
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => void Promise.all([server?.stop(), broker?.stop()]).finally(() => process.exit(code)))

try {
  await main(parse())
} catch (error) {
  const isUsage = server === undefined
  process.stderr.write(`cannot run the faults: ${isUsage ? (error as Error).message : (error as Error).stack}\n`)
  process.exitCode = isUsage ? 2 : 70
}
