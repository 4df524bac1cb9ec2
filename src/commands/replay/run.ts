import { randomUUID } from 'node:crypto'
import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { AnyHandlerDefinition } from '../../handle/handler.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createLog } from '../../output/log.ts'
import { createProgress } from '../../output/progress.ts'
import type { ReplayEnd } from '../../replay/held.ts'
import type { Gone, Wants } from '../../replay/history.ts'
import type { Store } from '../../store/connection.ts'
import type { HandlerProgress, Replay, ReplayLease } from '../../store/replays.ts'
import { privacyOf } from '../line/privacy.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { type Destination, withDestination } from './destination.ts'

export interface ReplayRun {
  readonly replay: Replay
  readonly wants: Wants
  /** For a replay to handlers. */
  readonly handlers: readonly AnyHandlerDefinition[]
  /** For a replay to a target, where it is open already; else it is opened here. */
  readonly destination?: Destination | undefined
  readonly gone: Gone | undefined
}

/** Takes the replay, runs it until it ends or is told to, and says what came of it. Throws `refused` while another process runs it. */
export async function runReplay(store: Store, runtime: Runtime, run: ReplayRun): Promise<Outcome | undefined> {
  const { endReplay, leaveReplay, takeReplay } = await import('../../store/replays.ts')
  const { replay } = run
  const instance = `replay-${replay.id}-${randomUUID().slice(0, 4)}`
  const lease = await takeReplay(store, replay.id, instance)
  if (!lease)
    throw new EvtError('refused', `cannot run replay ${replay.id}: another process does`, {
      hint: 'evt replay list says who; one that was killed is free after 15 s',
    })
  let over = false
  try {
    const result = await (replay.kind === 'handlers' ? toHandlers : toTarget)(store, runtime, {
      ...run,
      lease,
      instance,
    })
    over = result.end === 'done' || result.end === 'stopped'
    if (result.end === 'done' || result.end === 'stopped')
      await endReplay(store, replay, { status: result.end, done: result.done })
    return report(runtime, store, run, result)
  } catch (error) {
    if (!over && !(error instanceof EvtError && error.code === 'fenced'))
      runtime.output.warn(
        `replay ${replay.id} rests, and retention keeps what it needs`,
        `evt replay resume ${replay.id} goes on with it; evt replay stop ${replay.id} gives it up`,
      )
    throw error
  } finally {
    if (!over) await leaveReplay(store, lease).catch(() => {})
  }
}

interface Result {
  readonly end: ReplayEnd
  readonly done: number
  readonly data: object
  readonly lines: readonly string[]
  readonly failed: boolean
}

interface LeasedRun extends ReplayRun {
  readonly lease: ReplayLease
  readonly instance: string
}

/** So that live traffic keeps most of the server. */
const connections = 4

async function toHandlers(store: Store, runtime: Runtime, run: LeasedRun): Promise<Result> {
  const { replayToHandlers } = await import('../../replay/to-handlers.ts')
  const { replayHandlerName } = await import('../../store/replays.ts')
  const { createStorePublisher } = await import('../../publish/publisher.ts')
  const { createRecorder } = await import('../../watch/recorder.ts')
  const { openGuarded } = await import('../../bridge/guarded.ts')
  const { config, terminal, output, now, signal } = runtime
  const { replay, instance } = run
  const registry = await openGuarded(await loadRegistry(runtime), {
    options: { privacy: privacyOf(runtime), drafts: runtime.config.get('drafts').value },
    store,
  })
  const publisher = createStorePublisher({ store, registry, source: instance })
  const log = await createLog({
    level: config.get('logLevel').value,
    stderr: terminal.stderr,
    paint: output.paintNotice,
    now,
  })
  const progress = createProgress({
    stderr: terminal.stderr,
    verb: 'replaying',
    total: Number(replay.upto - replay.after),
    now,
  })
  const recorder = createRecorder()
  const { end, before, handlers } = await replayToHandlers({
    ...run,
    store,
    registry,
    recorder,
    log: output.format === 'text' ? log : { debug() {}, info() {}, warn() {}, error() {} },
    connections,
    signal,
    publish: (sql, events) => publisher.publish(sql, events),
    onProgress: (position) => progress.update(Number(position - replay.after)),
  }).finally(progress.end)
  const dead = sum(handlers, ({ dead }) => dead)
  const waiting = sum(handlers, ({ waiting, retrying }) => waiting + retrying)
  const earlier = before > 0 ? [`handled in earlier runs ${formatCount(before)}`] : []
  const lines = [...earlier, ...handlers.map((one) => `${one.handler}: ${outcomeLine(one)}`)]
  if (waiting > 0 && end === 'paused')
    output.notice(`${formatCount(waiting)} wait behind a dead letter, or for a contract: the replay is not done`)
  if (dead > 0)
    output.notice(
      `the dead ones are of ${handlers
        .filter((one) => one.dead > 0)
        .map(({ handler }) => replayHandlerName(handler, replay.id))
        .join(
          ', ',
        )}: see \`evt dlq list\`; after \`evt dlq replay\`, \`evt replay resume ${replay.id}\` gives them to it again`,
    )
  return {
    end,
    done: before + sum(handlers, ({ handled }) => handled),
    data: {
      handledBefore: before,
      handlers: handlers.map(({ position, ...one }) => ({ ...one, position: String(position) })),
    },
    lines,
    failed: dead > 0,
  }
}

const outcomeLine = ({ handled, dead, retrying, waiting }: HandlerProgress) =>
  [
    `handled ${formatCount(handled)}`,
    `dead ${formatCount(dead)}`,
    ...(retrying > 0 ? [`to be tried again ${formatCount(retrying)}`] : []),
    ...(waiting > 0 ? [`waiting ${formatCount(waiting)}`] : []),
  ].join(' · ')

const sum = <T>(all: readonly T[], of: (one: T) => number) => all.reduce((total, one) => total + of(one), 0)

async function toTarget(store: Store, runtime: Runtime, run: LeasedRun): Promise<Result> {
  if (run.destination) return publishTo(store, runtime, { ...run, destination: run.destination })
  return withDestination(runtime, run.replay.target ?? '', (destination) =>
    publishTo(store, runtime, { ...run, destination }),
  )
}

async function publishTo(
  store: Store,
  runtime: Runtime,
  run: LeasedRun & { readonly destination: Destination },
): Promise<Result> {
  const { replayToTarget } = await import('../../replay/to-target.ts')
  const { createLogReader } = await import('../../store/log.ts')
  const { terminal, now, signal, output } = runtime
  const { replay, destination } = run
  const progress = createProgress({ stderr: terminal.stderr, verb: 'replaying', total: replay.matched, now })
  const reader = createLogReader(store)
  try {
    const { transport, topicOf, messageOf } = destination
    const to = { transport, topicOf, messageOf }
    const sent = await replayToTarget({ ...run, ...to, store, reader, signal, onProgress: progress.update })
    const { end, why, ...counts } = sent
    if (why) output.warn(`some were refused: ${why.message}`, why.hint)
    const { asked, confirmed, duplicates, refused } = counts
    return {
      end,
      done: replay.done + confirmed + duplicates,
      data: counts,
      lines: [
        `asked ${formatCount(asked)} · confirmed ${formatCount(confirmed)} · duplicates ${formatCount(duplicates)} · refused ${formatCount(refused)}`,
      ],
      failed: refused > 0,
    }
  } finally {
    progress.end()
    await reader.close()
  }
}

function report({ output }: Runtime, store: Store, { replay, gone }: ReplayRun, result: Result): Outcome | undefined {
  const { end, data, lines, failed } = result
  const passed = end === 'done' && !failed && !gone
  output.result({
    status: passed ? 'pass' : 'fail',
    data: { replayId: replay.id, end, matched: replay.matched, ...data, ...(gone ? { gone: goneData(gone) } : {}) },
    meta: { store: store.url },
    render: () => [`replay ${replay.id} ${endings[end]}`, ...lines].join('\n'),
  })
  if (end === 'paused' || end === 'interrupted') output.notice(`evt replay resume ${replay.id} goes on with it`)
  if (end === 'interrupted') return 'interrupted'
  if (end !== 'done' || gone) return 'partial'
  if (!failed) return undefined
  return replay.kind === 'handlers' ? 'failed' : 'partial'
}

const endings: Readonly<Record<ReplayEnd, string>> = {
  done: 'is done',
  paused: 'is paused',
  stopped: 'was stopped',
  interrupted: 'was interrupted',
}

export const goneData = ({ events, from, to }: Gone) => ({ events, from: String(from), to: String(to) })
