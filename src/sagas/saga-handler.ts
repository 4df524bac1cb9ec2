import type { EncodedEvent } from '../core/codec.ts'
import { EvtError, toError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { Keyring } from '../core/protection.ts'
import type { OpenedState } from '../core/state-sealing.ts'
import type { HandlerContext, HandlerDefinition } from '../handle/handler.ts'
import { publishEncoded } from '../store/outbox.ts'
import {
  type Entered,
  enterSaga,
  hadItsSaga,
  keepEarlyEvent,
  noteSaga,
  type SagaRow,
  saveSaga,
} from '../store/sagas.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { advance } from './advance.ts'
import { createStateGuard, type StateGuard } from './guard-state.ts'
import { checkedState } from './run-code.ts'
import { contractsOf, type SagaConfig, type StepConfig, typesOf } from './saga-config.ts'
import { consume } from './take.ts'
import { type Due, timeOut } from './time-out.ts'
import { hasEnded, holderOf, isoOf, keyOf, note, type Offer, stick, type Turn, timersOf } from './turn.ts'

/** What sagas need of the process that runs them. */
export interface SagaHost {
  readonly instance: string
  /** Of sagas that say none themselves. */
  readonly timeoutMs: number
  /** For sagas whose state is encrypted. */
  readonly keyring: Keyring | undefined
  /** An event of the log as the saga's code gets it; undefined when the log has it no more or nobody can read it. */
  readEvent(config: SagaConfig, position: bigint): Promise<EvtEvent | undefined>
  /** An event that the saga of that name publishes, as it is written. Throws what publishing it would. */
  prepare(saga: string, event: NewEvent): Promise<EncodedEvent>
  /** A timer of these many ms was set. */
  onTimer(delayMs: number): void
}

/** What the timers of a saga publish. */
const dueTypeOf = (saga: string) => `saga.due.${saga}`

/** Deliveries of one event; the last of them finds out that the ones before never came back. */
const mostDeliveries = 5

/**
 * The saga as a handler: its events move it, one transaction each, with all promises that handlers have. Throws EvtError('config') where its
 * state is encrypted and there are no keys.
 */
export function createSagaHandler(config: SagaConfig, host: SagaHost): HandlerDefinition {
  const guard = createStateGuard(config, host.keyring)
  const dueType = dueTypeOf(config.name)
  return {
    name: config.name,
    on: [...contractsOf(config), dueType],
    // Two events of one transaction could wait for each other's keys.
    transaction: 'event',
    concurrency: config.concurrency,
    timeout: config.runTimeout,
    retry: { attempts: mostDeliveries, initial: '200ms', max: '1m' },
    start: config.start,
    async handle(event: EvtEvent, ctx) {
      const at = { config, host, guard, ctx, event, sql: executorOf(ctx) }
      if (event.type === dueType) return takeDue(at, event.data as Due)
      const startKey = event.type === config.startsOn.type ? keyOf(config, event, config.correlate) : null
      const stepKeys = stepsFor(config, event.type).map((step) => keyOf(config, event, step.correlate))
      const { cancelledBy } = config
      if (cancelledBy?.event.type === event.type) stepKeys.push(keyOf(config, event, cancelledBy.correlate))
      const keys = new Set([startKey, ...stepKeys].filter((key) => key !== null))
      // In one order, so that two events cannot wait for each other.
      for (const key of [...keys].sort())
        await takeEvent(at, { key, starts: key === startKey, answers: stepKeys.includes(key) })
    },
  }
}

const stepsFor = ({ steps }: SagaConfig, type: string): readonly StepConfig[] =>
  [...steps.values()].filter((step) => typesOf(step).includes(type))

interface At {
  readonly config: SagaConfig
  readonly host: SagaHost
  readonly guard: StateGuard
  readonly ctx: HandlerContext
  readonly event: EvtEvent
  readonly sql: SqlExecutor
}

interface Place {
  readonly key: string
  readonly starts: boolean
  readonly answers: boolean
}

const executorOf = ({ sql }: HandlerContext): SqlExecutor => ({
  query: async (text, values) => ({ rows: await sql.query(text, values) }),
})

async function takeEvent(at: At, { key, starts, answers }: Place): Promise<void> {
  const { config, host, event, sql } = at
  const entered = await enterSaga(sql, config.name, key)
  const { found } = entered
  const about = { eventId: event.id, type: event.type }
  if (found && found.endedAt === null) {
    const turn = await turnOf(at, entered, found)
    if (starts && !answers) {
      if (found.startedBy !== event.id) note(turn, 'ignored', { ...about, detail: 'it has begun already' })
    } else turn.offers.add(offerOf(at))
    return move(at, turn)
  }
  if (config.once && !found && (await hadItsSaga(sql, config.name, key))) return
  if (starts && !(config.once && found)) {
    const turn = await turnOf(at, entered, newRow(at, key, entered))
    note(turn, 'started', about)
    return move(at, turn)
  }
  if (starts && found)
    return noteSaga(sql, found.id, host.instance, { what: 'ignored', ...about, detail: 'once per key' })
  if (found && (event.correlationId === undefined || event.correlationId === found.correlationId))
    return noteSaga(sql, found.id, host.instance, { what: 'ignored', ...about, detail: 'it had ended' })
  await keepEarlyEvent(sql, { saga: config.name, key, keepMs: config.keepEarlyMs }, keptOf(offerOf(at)))
}

async function takeDue(at: At, due: Due): Promise<void> {
  const entered = await enterSaga(at.sql, at.config.name, due.key)
  const { found } = entered
  if (found?.id !== due.saga || found.endedAt !== null) return
  const turn = await turnOf(at, entered, found)
  if (due.kind === 'timeout') await timeOut(turn, due)
  await move(at, turn)
}

/** Everything that this event does to the saga, and its row. */
async function move({ config, host, sql }: At, turn: Turn): Promise<void> {
  const { row } = turn
  const erased = turn.opened?.erased ?? []
  if (erased.length > 0) note(turn, 'erased', { detail: erased.join(', ') })
  try {
    checkedState(config, row.state)
  } catch (error) {
    const why = erased.length > 0 ? `its ${erased.join(', ')} was erased with its key: ` : ''
    if (row.status !== 'stuck') stick(turn, { reason: why + toError(error).message })
  }
  await advance(turn)
  for (const offer of turn.offers) settle(turn, offer)
  const timers = timersOf(turn)
  const kept = { ...row, state: await closedState(turn) }
  const change = { row: kept, history: turn.history, by: host.instance, timers, used: turn.used, kept: turn.kept }
  await Promise.all([publishEncoded(sql, turn.published), saveSaga(sql, change)])
  for (const { due } of timers) host.onTimer(Date.parse(due) - turn.nowMs)
}

async function closedState({ guard: { sealer }, row, opened }: Turn): Promise<unknown> {
  if (!sealer) return row.state
  await sealer.loadOwners(row.state, holderOf(row), opened)
  return sealer.close(row.state, holderOf(row), opened)
}

/** What no step has taken: kept for a later one, or of no use. */
function settle(turn: Turn, offer: Offer): void {
  const { row } = turn
  if (hasEnded(row)) {
    consume(turn, offer)
    if (offer.isNew) note(turn, 'ignored', { eventId: offer.eventId, type: offer.type, detail: 'it had ended' })
    return
  }
  if (!offer.isNew) return
  const isWanted =
    offer.type === turn.config.cancelledBy?.event.type ||
    row.plan.stages.flat().some((name) => {
      const step = turn.config.steps.get(name)
      return step && row.steps[name]?.status !== 'done' && typesOf(step).includes(offer.type)
    })
  const about = { eventId: offer.eventId, type: offer.type }
  if (row.phase === 'running' && isWanted) {
    turn.kept.push(keptOf(offer))
    note(turn, 'came-early', about)
  } else note(turn, 'ignored', { ...about, detail: 'no step awaits it any more' })
}

const keptOf = ({ eventId, type, position, correlationId }: Offer) => ({ eventId, type, position, correlationId })

function offerOf({ event, ctx }: At): Offer {
  if (ctx.position === undefined)
    throw new EvtError('internal', `cannot keep ${event.type} for a saga: it has no position in the log`)
  return {
    eventId: event.id,
    type: event.type,
    position: ctx.position,
    correlationId: event.correlationId,
    isNew: true,
    read: async () => event,
  }
}

/** Opens the state of a saga that is under way. */
async function turnOf(
  { config, host, guard, ctx, event }: At,
  { found, nowMs, early }: Entered,
  row: SagaRow,
): Promise<Turn> {
  let opened: OpenedState | undefined
  if (guard.sealer && row === found) {
    await guard.sealer.loadKept(row.state)
    opened = guard.sealer.open(row.state)
    row.state = opened.state
  }
  const offers = early.map(
    (one): Offer => ({
      ...one,
      correlationId: undefined,
      isNew: false,
      read: () => host.readEvent(config, one.position),
    }),
  )
  const isOpen = row.status !== 'stuck'
  return {
    config,
    ctx,
    event,
    row,
    guard,
    opened,
    nowMs,
    timeoutMs: config.timeoutMs ?? host.timeoutMs,
    // After an attempt that did not come back, one piece at a time: so the guilty one is known.
    runsLeft: ctx.attempt > 1 ? 1 : Number.POSITIVE_INFINITY,
    isSpent: isOpen && ctx.attempt >= mostDeliveries,
    goesOn: false,
    offers: new Set(offers),
    history: [],
    used: [],
    kept: [],
    published: [],
    prepare: (given) => host.prepare(config.name, given),
  }
}

/** Throws EvtError('contract') when the event gives no state that fits. */
function newRow({ config, guard, event }: At, key: string, { nowMs, nextId = '' }: Entered): SagaRow {
  return {
    id: nextId,
    saga: config.name,
    key,
    status: 'running',
    phase: 'running',
    version: config.version,
    plan: {
      stages: config.stages,
      sensitive: guard.sensitive,
      subject: event.subject,
      ...(config.once ? { once: true } : {}),
    },
    stage: 0,
    steps: {},
    state: checkedState(config, config.begin(event)),
    reason: null,
    stuck: null,
    due: null,
    correlationId: event.correlationId ?? event.id,
    tenant: event.tenant ?? null,
    startedBy: event.id,
    startedAt: isoOf(nowMs),
    endedAt: null,
  }
}
