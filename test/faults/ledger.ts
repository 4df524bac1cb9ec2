import { readFileSync } from 'node:fs'
import type { SqlExecutor } from '../../src/transports/transport.ts'

/** What one scenario proved; every list names event ids. Empty lists are the promise. */
export interface Verdict {
  readonly committed: number
  readonly unknown: number
  readonly lost: readonly string[]
  /** Effects of events that nobody committed. */
  readonly phantom: readonly string[]
  readonly duplicated: readonly string[]
  /** `handler subject: before → after` where the order of a subject broke. */
  readonly reordered: readonly string[]
  /** Where the log is not what one leader after the other makes: positions left out, events with two. */
  readonly sequencing: readonly string[]
  readonly dead: number
}

interface Ledger {
  readonly committed: ReadonlySet<string>
  readonly unknown: ReadonlySet<string>
}

function readLedger(file: string): Ledger {
  const sets = { C: new Set<string>(), R: new Set<string>(), U: new Set<string>() }
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [outcome, id] = line.split(' ')
    if (id && (outcome === 'C' || outcome === 'R' || outcome === 'U')) sets[outcome].add(id)
  }
  return { committed: sets.C, unknown: sets.U }
}

interface Effect {
  readonly handler: string
  readonly event_id: string
  readonly subject: string
  readonly sequence: string
}

/** Compares the ledger, which stands outside the system, with the effects of `handlers`. */
export async function judge(sql: SqlExecutor, ledgerFile: string, handlers: readonly string[]): Promise<Verdict> {
  const ledger = readLedger(ledgerFile)
  const { rows } = await sql.query('select handler, event_id, subject, sequence from faults.effects order by id')
  const { rows: dead } = await sql.query('select count(*)::int as dead from evt.dead_letters')
  const effects = rows as unknown as readonly Effect[]
  return {
    committed: ledger.committed.size,
    unknown: ledger.unknown.size,
    lost: handlers.flatMap((handler) => missing(ledger.committed, effects, handler)),
    phantom: effects
      .filter(({ event_id: id }) => !ledger.committed.has(id) && !ledger.unknown.has(id))
      .map((effect) => `${effect.handler} ${effect.event_id}`),
    duplicated: twice(effects),
    reordered: disordered(effects),
    sequencing: await missequenced(sql),
    dead: Number(dead[0]?.dead),
  }
}

function missing(committed: ReadonlySet<string>, effects: readonly Effect[], handler: string): string[] {
  const seen = new Set(effects.filter((effect) => effect.handler === handler).map((effect) => effect.event_id))
  return [...committed].filter((id) => !seen.has(id)).map((id) => `${handler} ${id}`)
}

function twice(effects: readonly Effect[]): string[] {
  const seen = new Set<string>()
  return effects.flatMap(({ handler, event_id }) => {
    const key = `${handler} ${event_id}`
    if (seen.has(key)) return [key]
    seen.add(key)
    return []
  })
}

/** The writers number each subject without gaps, and serialise on it: handlers must see exactly that order. */
function disordered(effects: readonly Effect[]): string[] {
  const last = new Map<string, number>()
  return effects.flatMap(({ handler, subject, sequence }) => {
    const key = `${handler} ${subject}`
    const before = last.get(key) ?? 0
    const now = Number(sequence)
    last.set(key, now)
    return now === before + 1 ? [] : [`${key}: ${before} → ${now}`]
  })
}

async function missequenced(sql: SqlExecutor): Promise<string[]> {
  const { rows } = await sql.query(
    `select count(*)::int as events, count(distinct (class, day, xid, seq))::int as different, coalesce(max(position), 0)::int as head
     from evt.log`,
  )
  const { events, different, head } = rows[0] as { events: number; different: number; head: number }
  return [
    ...(events === head ? [] : [`${events} events up to position ${head}`]),
    ...(events === different ? [] : [`${events - different} events were sequenced twice`]),
  ]
}

/** True when every committed event has its effect at each handler: nothing more will come. */
export async function isComplete(sql: SqlExecutor, ledgerFile: string, handlers: readonly string[]): Promise<boolean> {
  const { rows } = await sql.query(
    `select count(*)::int as missing from unnest($1::text[]) l (event), unnest($2::text[]) h (name)
     where not exists (select from faults.effects e where e.event_id = l.event and e.handler = h.name)`,
    [[...readLedger(ledgerFile).committed], handlers],
  )
  return Number(rows[0]?.missing) === 0
}
