import { formatAge } from '../core/duration.ts'
import { formatCount } from '../core/quantity.ts'
import { visible } from '../core/visible.ts'
import { type Outcome, outcomeOf } from '../output/exit-codes.ts'
import { problemOf } from '../output/problem.ts'
import type { ContractDrift } from '../store/contracts.ts'
import type { Scheduled } from '../store/scheduled.ts'
import type { SinkState, SourceState } from '../watch/read-carried.ts'
import type { WaitingForPeople } from '../watch/read-waiting.ts'
import type { Snapshot, StoppedHandler } from '../watch/snapshot.ts'
import { whyStopped } from '../watch/why-stopped.ts'
import { defineCommand } from './command.ts'
import { formatOptions, storeOptions } from './line/options.ts'
import { findStore, hasProject, type StorePlace, storesElsewhere, withStore } from './line/store.ts'
import type { Runtime } from './runtime.ts'

interface Bridge {
  readonly instance: string
  readonly leader: boolean
  readonly handlers: number
  /** Since its last sign of life. */
  readonly ageMs: number
}

/** Where evt stands in this directory. */
interface Standing extends Partial<WaitingForPeople> {
  readonly store: { readonly url: string; readonly origin: string; readonly problem?: string } | null
  /** Where embedded stores run, when there is none here and more than one elsewhere. */
  readonly elsewhere: readonly string[]
  readonly profile: string | null
  readonly head: string | null
  readonly bridges: readonly Bridge[]
  /** Committed and without a position; null where the relay leads, or nothing is known. */
  readonly unsequenced: { readonly events: number; readonly oldestMs: number | null } | null
  readonly sinks: readonly SinkState[]
  readonly sources: readonly SourceState[]
  /** Versions of contracts that running bridges do not agree about. */
  readonly contractDrift: readonly ContractDrift[]
  /** Handlers that are paused, that wait for their breaker, or that no bridge runs. */
  readonly stopped: readonly StoppedHandler[]
  readonly deadLetters: number | null
  /** Events that are held until their `deliverAt`. */
  readonly scheduled: Scheduled | null
  readonly largestLag: {
    readonly handler: string
    readonly lagEvents: number
    readonly oldestAgeMs: number | null
  } | null
  /** The next useful command. */
  readonly next: string
}

export default defineCommand({
  name: 'status',
  section: 'watch',
  summary: 'where it stands: store, bridges, dead letters; the same as bare `evt`',
  examples: [
    { line: 'evt', says: 'where it stands, and what to do next' },
    { line: 'evt status --json', says: 'the same for a script' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    const place = await findStore(runtime)
    const { standing, outcome } = place ? await look(place, runtime) : { standing: await nowhere(runtime) }
    runtime.output.result({
      status: outcome ? 'fail' : 'pass',
      data: standing,
      render: () => render(standing, runtime),
    })
    return outcome
  },
})

const nothingYet = ({ config }: Runtime): Standing => ({
  store: null,
  elsewhere: [],
  profile: config.profile?.name ?? null,
  head: null,
  bridges: [],
  unsequenced: null,
  sinks: [],
  sources: [],
  contractDrift: [],
  stopped: [],
  deadLetters: null,
  scheduled: null,
  largestLag: null,
  next: 'evt demo',
})

async function nowhere(runtime: Runtime): Promise<Standing> {
  if (await hasProject(runtime.cwd)) return { ...nothingYet(runtime), next: 'evt up' }
  const elsewhere = await storesElsewhere()
  const [first] = elsewhere
  return { ...nothingYet(runtime), elsewhere, ...(first ? { next: `cd ${inShell(first)} && evt status` } : {}) }
}

const inShell = (path: string) => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)

interface Look {
  readonly standing: Standing
  /** Why there is nothing to see. */
  readonly outcome?: Outcome
}

/** Throws what is wrong with the command line itself: then there is no store to speak of. */
async function look(place: StorePlace, runtime: Runtime): Promise<Look> {
  const store = { url: place.shown, origin: place.origin }
  try {
    const standing = await withStore(runtime, { command: 'status', max: 2 }, async (opened) => {
      const { readSnapshot } = await import('../watch/read-snapshot.ts')
      const { readSinks, sourcesOf } = await import('../watch/read-carried.ts')
      const snapshot = await readSnapshot(opened)
      const { instances } = snapshot
      const { readContractDrift, readKnownTypes } = await import('../store/contracts.ts')
      const contractDrift = await readContractDrift(opened)
      const { readScheduled } = await import('../store/scheduled.ts')
      const scheduled = await readScheduled(opened)
      const { readWaiting } = await import('../watch/read-waiting.ts')
      const carried = {
        ...(await readWaiting(opened)),
        contractDrift,
        scheduled,
        sinks: await readSinks(opened, instances),
        sources: sourcesOf(instances),
      }
      const types = snapshot.head.position === '0' ? await readKnownTypes(opened) : []
      return { ...standingOf(store, { snapshot, types }, runtime), ...carried }
    })
    return { standing }
  } catch (error) {
    const { code, message, hint = 'evt config show --origin' } = problemOf(error)
    if (code === 'usage' || code === 'internal') throw error
    return {
      standing: { ...nothingYet(runtime), store: { ...store, problem: message }, next: hint },
      outcome: outcomeOf(code),
    }
  }
}

function standingOf(
  store: { url: string; origin: string },
  { snapshot, types }: { readonly snapshot: Snapshot; readonly types: readonly string[] },
  { config }: Runtime,
): Omit<Standing, 'sinks' | 'sources' | 'contractDrift' | 'scheduled'> {
  const alive = snapshot.instances.filter((instance) => instance.alive)
  const [slowest] = [...snapshot.backlog].sort((a, b) => b.lagEvents - a.lagEvents)
  return {
    store,
    elsewhere: [],
    profile: config.profile?.name ?? null,
    head: snapshot.head.position,
    bridges: alive.map(({ instance, leader, handlers, ageMs }) => ({
      instance,
      leader,
      handlers: handlers.length,
      ageMs: Math.round(ageMs),
    })),
    unsequenced: isLed(snapshot)
      ? null
      : { events: snapshot.head.outboxPending, oldestMs: snapshot.head.oldestPendingMs },
    stopped: snapshot.stopped,
    deadLetters: snapshot.dead.open,
    largestLag: slowest && slowest.lagEvents > 0 ? slowest : null,
    next: nextStep(alive.length, snapshot, types),
  }
}

const isLed = ({ instances }: Snapshot) => instances.some(({ leader }) => leader)

function nextStep(bridges: number, snapshot: Snapshot, types: readonly string[]): string {
  if (bridges === 0 || !isLed(snapshot)) return 'evt up'
  if (snapshot.stopped.some(({ state }) => state === 'broken' || state === 'unhealthy')) return 'evt handlers list'
  if (snapshot.dead.open > 0) return 'evt dlq list'
  if (snapshot.head.position === '0') return `evt gen ${firstOf(types)} --count 10`
  return 'evt dash'
}

/** Something that begins, of what the running services know. */
const firstOf = (types: readonly string[]): string =>
  ['user.created', 'user.registered'].find((type) => types.includes(type)) ??
  types.find((type) => type.endsWith('.created')) ??
  types[0] ??
  'user.created'

function render(standing: Standing, { output, now }: Runtime): string {
  const { store, elsewhere, bridges, largestLag } = standing
  const none = `none is configured and no embedded one runs${elsewhere.length > 0 ? ' here' : ''}`
  const rows: [string, string][] = [['store', store ? `${store.url} (${store.origin})` : none]]
  for (const directory of elsewhere) rows.push(['runs elsewhere', directory])
  if (store?.problem) rows.push(['problem', store.problem])
  if (standing.profile) rows.push(['profile', standing.profile])
  if (standing.head !== null) {
    rows.push(['head', `position ${formatCount(BigInt(standing.head))}`])
    rows.push(['bridges', bridges.length === 0 ? 'none runs' : bridges.map(bridgeText).join(', ')])
    rows.push(...leaderRows(standing))
    for (const sink of standing.sinks) rows.push(['sink', sinkText(sink)])
    for (const source of standing.sources) rows.push(['source', sourceText(source)])
    for (const drift of standing.contractDrift) rows.push(['contract differs', driftText(drift)])
    rows.push(...stoppedRows(standing, now()))
    rows.push(...waitingRows(standing))
    rows.push(['dead letters', formatCount(standing.deadLetters ?? 0)])
    const { events = 0, next } = standing.scheduled ?? {}
    if (events > 0) rows.push(['held', `${formatCount(events)} events, the next until ${next}`])
  }
  if (largestLag) {
    const age = largestLag.oldestAgeMs === null ? '' : `, oldest ${formatAge(largestLag.oldestAgeMs)}`
    rows.push([
      'largest lag',
      `${largestLag.handler}: ${formatCount(largestLag.lagEvents)} positions of the log to pass${age}`,
    ])
  }
  rows.push(['next', output.paint('bold', standing.next)])
  return rows.map(([name, text]) => `${name.padEnd(16)}${name === 'next' ? text : visible(text)}`).join('\n')
}

function leaderRows({ unsequenced, bridges }: Standing): [string, string][] {
  if (!unsequenced || (unsequenced.events === 0 && bridges.length === 0)) return []
  const { events, oldestMs } = unsequenced
  const age = oldestMs === null ? '' : `, the oldest for ${formatAge(oldestMs)}`
  const waits = events === 0 ? 'what is published waits' : `${formatCount(events)} events wait${age}`
  return [['relay', `nobody leads, ${waits}: evt up`]]
}

function waitingRows({ stuckSagas = [], restingReplays = [], parked, alerts }: Standing): [string, string][] {
  const rows: [string, string][] = []
  const stuck = stuckSagas.map(({ saga, count }) => `${formatCount(count)} of ${saga}`)
  if (stuck.length > 0) rows.push(['stuck sagas', `${stuck.join(', ')}: evt saga list --status stuck`])
  if (restingReplays.length > 0)
    rows.push(['replays rest', `${restingReplays.join(', ')}: evt replay resume ${restingReplays[0]}`])
  const { contract = 0, deadLetter = 0 } = parked ?? {}
  const queues = [
    ...(contract > 0 ? [`${formatCount(contract)} for a contract`] : []),
    ...(deadLetter > 0 ? [`${formatCount(deadLetter)} behind a dead letter`] : []),
  ]
  if (queues.length > 0) rows.push(['subjects wait', `${queues.join(', ')}: evt parked list`])
  const { firing = 0, critical = 0, names = [] } = alerts ?? {}
  const severe = critical > 0 ? `, ${formatCount(critical)} critical` : ''
  if (firing > 0) rows.push(['alerts', `${formatCount(firing)} fire${severe} (${names.join(', ')}): evt alerts list`])
  return rows
}

/** Without any bridge all handlers wait for one, which is said already. */
function stoppedRows({ stopped, bridges }: Standing, nowMs: number): [string, string][] {
  const rows: [string, string][] = stopped.flatMap((one) =>
    one.state === 'nobody' ? [] : [[one.state, `${one.handler}: ${whyStopped(one, nowMs) ?? 'by its bridge'}`]],
  )
  const unrun = stopped.filter(({ state }) => state === 'nobody').map(({ handler }) => handler)
  if (bridges.length > 0 && unrun.length > 0) rows.push(['run by nobody', unrun.join(', ')])
  return rows
}

/** They give one a second: later than this, one may have been killed. */
const doubtAfterMs = 2_000

function bridgeText({ instance, leader, handlers, ageMs }: Bridge): string {
  const silence = ageMs > doubtAfterMs ? `, last sign of life ${formatAge(ageMs)} ago` : ''
  return `${instance} (${leader ? 'leads, ' : ''}${handlers} ${handlers === 1 ? 'handler' : 'handlers'}${silence})`
}

function sinkText({ sink, target, position, lagEvents, carriedBy, isRead, waitsFor }: SinkState): string {
  const lag = lagEvents === 0 ? '' : `, ${formatCount(lagEvents)} events behind`
  const reader = isRead ? ', read by handlers' : ''
  const trouble = carriedBy === null ? ', nobody carries it' : waitsFor === null ? '' : `, waits: ${waitsFor}`
  return `${sink} (${target}): position ${formatCount(BigInt(position))}${lag}${reader}${trouble}`
}

const driftText = ({ type, version, bridges }: ContractDrift) =>
  `${type} v${version} is not the same in ${bridges.map((names) => names.join(' and ')).join(' as in ')}: deploy one of them again`

function sourceText({ source, taken, readBy, waitsFor }: SourceState): string {
  const trouble = waitsFor === null ? '' : `, waits: ${waitsFor}`
  return `${source}: ${formatCount(taken)} events taken in by ${readBy.join(', ')}${trouble}`
}
