import type { Store } from './connection.ts'
import type { TextRow } from './event-row.ts'
import { dayOf } from './inbox.ts'
import { openReading, type Reading } from './reading.ts'

/** How one handler came to one event; times by the server's clock, ms since the epoch. */
export interface HandlerStages {
  readonly handler: string
  /** When the transaction began that holds its effect. */
  readonly begunMs: number
  /** When that transaction committed; only a server with track_commit_timestamp keeps it. */
  readonly committedMs: number | undefined
}

/** What the store knows of one event's way; times by the server's clock, ms since the epoch. */
export interface EventStages {
  /** Undefined: not sequenced, as far as this reader has seen. */
  readonly sequenced: { readonly atMs: number; readonly position: bigint } | undefined
  /** Those that wrote down its effect in the inbox, by the order of their beginning. */
  readonly handlers: readonly HandlerStages[]
}

/** An event as `observeOutbox` gives it. */
export interface StagedEvent {
  readonly id: string
  /** RFC 3339: decides where the inbox keeps it. */
  readonly time: string
  readonly position?: bigint | undefined
  readonly sequencedMs?: number | undefined
  /** Of an event that had no position when it was read. */
  readonly seq?: string | undefined
}

export interface StageReader {
  /** False: no `committedMs` can be known on this server. */
  readonly knowsCommits: boolean
  /** For each event, what is known at `nowMs`, the server's clock. */
  read(events: readonly StagedEvent[]): Promise<{ readonly nowMs: number; readonly stages: readonly EventStages[] }>
  close(): Promise<void>
}

/** Entries of the log that were read and not asked for yet: those that a filter leaves out are never asked for. */
const mostAhead = 100_000
const logPage = 10_000

/**
 * To be opened before the events are observed: what has no position by then is looked for behind the head of then. Reads
 * only, in transactions of single statements.
 */
export async function openStageReader(store: Store): Promise<StageReader> {
  const reading = openReading(store, 'evt stages')
  try {
    const text = `select evt.head(), current_setting('track_commit_timestamp') = 'on' and not pg_is_in_recovery()`
    const [head, knowsCommits] = (await reading.rows('stages start', text, []))[0] as TextRow
    const log = createLogTail(reading, head as string)
    return {
      knowsCommits: knowsCommits === 't',
      async read(events) {
        const handlers = await readHandlers(reading, events, knowsCommits === 't')
        // Not before: what a handler had was sequenced.
        const sequenced = await log.find(events.flatMap(({ seq }) => seq ?? []))
        return {
          nowMs: handlers.nowMs,
          stages: events.map((event) => ({
            sequenced: event.seq === undefined ? sequencedOf(event) : sequenced.get(event.seq),
            handlers: handlers.of(event.id),
          })),
        }
      },
      close: () => reading.close(),
    }
  } catch (error) {
    await reading.close()
    throw error
  }
}

const sequencedOf = ({ position, sequencedMs }: StagedEvent): EventStages['sequenced'] =>
  position === undefined || sequencedMs === undefined ? undefined : { position, atMs: sequencedMs }

interface LogTail {
  /** Where these events of the outbox stand in the log, as far as it goes now. Each can be found once more. */
  find(seqs: readonly string[]): Promise<ReadonlyMap<string, NonNullable<EventStages['sequenced']>>>
}

function createLogTail(reading: Reading, head: string): LogTail {
  const ahead = new Map<string, NonNullable<EventStages['sequenced']>>()
  let at = head
  return {
    async find(seqs) {
      const text = `select l.position, l.seq, date_part('epoch', l.sequenced_at) * 1000 from evt.log l
        where l.position > $1 order by l.position limit ${logPage}`
      while (seqs.some((seq) => !ahead.has(seq))) {
        const rows = await reading.rows('stages log', text, [at])
        for (const [position, seq, atMs] of rows as readonly string[][]) {
          ahead.set(seq as string, { position: BigInt(position as string), atMs: Number(atMs) })
          at = position as string
        }
        if (rows.length < logPage) break
      }
      const found = new Map(
        seqs.flatMap((seq) => {
          const place = ahead.get(seq)
          return place ? [[seq, place] as const] : []
        }),
      )
      for (const seq of ahead.keys()) {
        if (ahead.size <= mostAhead) break
        ahead.delete(seq)
      }
      return found
    },
  }
}

interface Handlers {
  readonly nowMs: number
  of(id: string): readonly HandlerStages[]
}

async function readHandlers(
  reading: Reading,
  events: readonly StagedEvent[],
  knowsCommits: boolean,
): Promise<Handlers> {
  const committed = knowsCommits ? `date_part('epoch', pg_xact_commit_timestamp(i.xmin)) * 1000` : 'null::float8'
  const text = `select date_part('epoch', clock_timestamp()) * 1000, e.id, i.handler,
      date_part('epoch', i.handled_at) * 1000, ${committed}
    from (select) one left join (unnest($1::text[], $2::date[]) e (id, day) cross join evt.groups g
      join evt.inbox i on i.handler = g.name and i.event_id = e.id and i.day = e.day) on true
    order by i.handled_at`
  const days = events.map(({ time }) => dayOf(time))
  const rows = await reading.rows('stages handlers', text, [events.map(({ id }) => id), days])
  const byId = new Map<string, HandlerStages[]>()
  for (const [, id, handler, begunMs, committedMs] of rows) {
    if (id == null) continue
    const known = byId.get(id) ?? []
    byId.set(id, known)
    // A replay in another scope of its own comes later: it is the first time that counts.
    if (known.some((one) => one.handler === handler)) continue
    known.push({
      handler: handler as string,
      begunMs: Number(begunMs),
      committedMs: committedMs === null ? undefined : Number(committedMs),
    })
  }
  return { nowMs: Number(rows[0]?.[0]), of: (id) => byId.get(id) ?? [] }
}
