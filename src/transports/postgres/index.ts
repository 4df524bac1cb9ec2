// Transport postgres: the store's log as the topic `log`, read over lanes; and NOTIFY channels of others, observed.
// It alone, among transports, knows the store: there is one place that reads the log.
import { EvtError } from '../../core/errors.ts'
import { openStore, placeOf, type Store } from '../../store/connection.ts'
import { createLogReader, type LogReader } from '../../store/log.ts'
import { salvageEntry } from '../../store/salvage.ts'
import type { Capabilities, LaneOptions, Transport, TransportOptions } from '../transport.ts'
import { createChannelTransport } from './channels.ts'
import { createTableTransport } from './dead-letter-table.ts'
import { historyOf } from './history.ts'
import { inspectLog } from './inspect.ts'
import { type LogLanes, openLogLanes } from './lanes.ts'
import { observeLog } from './observe.ts'
import { parsePostgresUrl } from './options.ts'
import { createLogProblems } from './problems.ts'
import { settleInSql } from './progress.ts'
import { publishToLog } from './publish.ts'
import { readAround } from './read-around.ts'

export const logCapabilities: Capabilities = {
  order: 'per-key',
  durable: true,
  history: true,
  // It drops what it stored before, but only when it sequences: `publish` cannot say so.
  deduplicates: false,
  transactional: true,
  shared: true,
  marksStarted: true,
  content: 'events',
  seeks: ['start', 'time', 'position'],
  ownMark: false,
  deadLetters: false,
  removes: false,
}

/** `postgres://…` is the log of that database, `…?channel=name` a NOTIFY channel, `…?table=name` another system's dead letters. Throws `connect`, `usage`. */
export async function openPostgres(url: string, options: TransportOptions = {}): Promise<Transport> {
  const { storeUrl, channel, table } = parsePostgresUrl(url)
  const store = await openStore(storeUrl, { applicationName: 'evt transport', max: 4 })
  if (table !== undefined) return createTableTransport(store, table)
  return channel === undefined ? createLogTransport(store, options) : createChannelTransport(store, channel)
}

/** Over the store's database; connections of its own are opened when they are first needed. Closes the store with itself. */
export function createLogTransport(store: Store, options: TransportOptions = {}): Transport {
  const reader = createLogReader(store)
  const closing = new AbortController()
  let opened: Promise<LogLanes> | undefined
  let owned: ReadonlySet<unknown> = new Set()
  let closed: Promise<void> | undefined

  async function open(): Promise<LogLanes> {
    const opening = opened ?? openLogLanes(store, salvaging(), options)
    opened = opening
    try {
      const logLanes = await opening
      owned = logLanes.owned
      return logLanes
    } catch (error) {
      if (opened === opening) opened = undefined
      throw error
    }
  }

  /** For handlers: what cannot be read must not vanish. Observers write nothing, and are told instead. */
  function salvaging(): LogReader {
    const place = placeOf(store.connectionString)
    const problems = createLogProblems({ place, signal: closing.signal, onProblem: options.onProblem })
    const whole = readAround(reader, problems, (after, error) => salvageEntry(store, after, error))
    return options.history ? historyOf(whole, options.history) : whole
  }

  function assertOpen(topics: readonly string[]): void {
    if (closing.signal.aborted) throw new EvtError('closed', 'cannot use the log: the transport was closed')
    const other = topics.find((topic) => topic !== 'log')
    if (other !== undefined) throw new EvtError('usage', `cannot use topic ${other}: this transport has the topic log`)
  }

  async function* lanes(topics: readonly string[], group: string, options: LaneOptions) {
    assertOpen(topics)
    const logLanes = await open()
    yield* logLanes.lanes(group, options)
  }

  async function closeAll(): Promise<void> {
    closing.abort()
    const logLanes = await opened?.catch(() => undefined)
    await logLanes?.close()
    await reader.close()
    await store.close()
  }

  return {
    name: 'postgres',
    capabilities: logCapabilities,
    named: ['log'],
    observes: 'pages of the log by position, no group',
    lanes,
    async ensure(topics) {
      assertOpen(topics.map(({ name }) => name))
      await store.query('select from evt.groups limit 1')
      return []
    },
    async publish(topic, batch, signal) {
      assertOpen([topic])
      return publishToLog(store, batch, signal)
    },
    settleIn: (sql, progress) => settleInSql(sql, owned, progress),
    async *observe(selector, options) {
      assertOpen(selector.topics)
      const signal = AbortSignal.any([options.signal, closing.signal])
      yield* observeLog(reader, selector, { ...options, signal })
    },
    async inspect(topics) {
      assertOpen(topics)
      return inspectLog(store)
    },
    close() {
      closed ??= closeAll()
      return closed
    },
  }
}
