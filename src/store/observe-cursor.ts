import type { Store } from './connection.ts'
import { eventColumns, type StoredEvent, storedEvent, type TextRow } from './event-row.ts'
import { openReading, type Reading } from './reading.ts'

/** An event that had no position when it was read. */
export interface UnsequencedEvent extends StoredEvent {
  /** Its place among all that was written; the log names it. */
  readonly seq: string
}

/** A snapshot-difference cursor held in memory: the relay's own method, without writing it down. */
export interface UnsequencedReader {
  /** The log's end at the moment of opening: what this reader gives lies beyond it. */
  readonly head: bigint
  /** Takes a new snapshot: `next` goes on with what became visible since the last one. Only after `next` gave []. */
  advance(): Promise<void>
  /**
   * The next events up to that snapshot, in the order in which they were written; [] when there are no more. When it
   * throws, the same events come with the next call.
   */
  next(max: number): Promise<readonly UnsequencedEvent[]>
  close(): Promise<void>
}

interface Start {
  readonly head: bigint
  /** Everything visible in it was given. */
  readonly since: string
  /** What became visible between the two is being given; places up to `afterSeq` were. Absent: nothing begun. */
  readonly upto: string | undefined
  readonly afterSeq: string
  /** The partitions that the sequencer's cursor looks at: not those of today when no bridge has run for days. */
  readonly leaves: readonly string[]
}

interface Key {
  readonly leaf: string
  readonly xid: string
  readonly seq: string
}

/** Keys are fetched ahead, rows are not: keys are small, and finding them costs a look at all that is left. */
const keysAhead = 50_000
/** Tomorrow's partitions are among the leaves, so this may be long; it also bounds how late a new class is noticed. */
const leavesForMs = 10_000

/** From `now`, or from where the sequencer's cursor stands. */
export async function openUnsequencedReader(store: Store, from: 'now' | 'cursor'): Promise<UnsequencedReader> {
  const reading = openReading(store, 'evt observe')
  const start = await startAt(reading, from)
  const leaves = createLeaves(reading, () => atStart)
  let { since, upto, afterSeq, leaves: atStart } = start
  let keys: readonly Key[] = []
  let used = 0

  const fill = async (): Promise<void> => {
    used = 0
    keys = []
    if (upto === undefined) return
    if (upto !== since) keys = await readKeys(reading, await leaves(), since, upto, afterSeq)
    afterSeq = keys.at(-1)?.seq ?? afterSeq
    if (keys.length === keysAhead) return
    // A step that had begun is read to its end first; what it left out lies in them as well.
    if (start.upto !== upto) atStart = []
    since = upto
    upto = undefined
    afterSeq = '0'
  }
  return {
    head: start.head,
    async advance() {
      if (upto !== undefined || used < keys.length) return
      upto = (await reading.rows('snapshot', 'select pg_current_snapshot()', []))[0]?.[0] as string
    },
    async next(max) {
      if (used >= keys.length) await fill()
      const page = keys.slice(used, used + max)
      const events = await readEvents(reading, page)
      // Not before: what could not be read is asked for again.
      used += page.length
      return events
    },
    close: () => reading.close(),
  }
}

async function startAt(reading: Reading, from: 'now' | 'cursor'): Promise<Start> {
  const text = `select head, snapshot, next_snapshot, after_seq, pg_current_snapshot(),
    array_to_json((near_leaves || far_leaves)::text[]) from evt.ticks order by tick desc limit 1`
  const [head, snapshot, next, after, now, leaves] = (await reading.rows('start', text, []))[0] as TextRow
  const at = BigInt(head as string)
  if (from === 'now') return { head: at, since: now as string, upto: undefined, afterSeq: '0', leaves: [] }
  return {
    head: at,
    since: snapshot as string,
    upto: next ?? undefined,
    afterSeq: after as string,
    leaves: JSON.parse(leaves as string) as string[],
  }
}

/** The partitions that writers write to now and those of `atStart` that are still there, and a name for this set. */
function createLeaves(reading: Reading, atStart: () => readonly string[]): () => Promise<Leaves> {
  let known: Leaves = { names: [], id: 0 }
  let askedAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (performance.now() - askedAt < leavesForMs) return known
    const text = `select leaf from unnest(evt.near_leaves()) leaf
      union select to_regclass(name) from json_array_elements_text($1::json) name where to_regclass(name) is not null`
    const rows = await reading.rows('leaves', text, [JSON.stringify(atStart())])
    askedAt = performance.now()
    const names = rows.map((row) => row[0] as string)
    if (names.join() !== known.names.join()) known = { names, id: known.id + 1 }
    return known
  }
}

interface Leaves {
  /** As the server prints them: qualified and quoted. */
  readonly names: readonly string[]
  readonly id: number
}

async function readKeys(
  reading: Reading,
  { names, id }: Leaves,
  since: string,
  upto: string,
  afterSeq: string,
): Promise<readonly Key[]> {
  if (names.length === 0) return []
  const branches = names.flatMap((leaf, i) => [
    `select ${i} as leaf, xid, seq from only ${leaf} where seq > $3 and xid >= pg_snapshot_xmax($1::pg_snapshot)
       and xid < pg_snapshot_xmax($2::pg_snapshot) and pg_visible_in_snapshot(xid, $2::pg_snapshot)`,
    `select ${i} as leaf, xid, seq from only ${leaf} where seq > $3 and xid = any ((select list from ended)::xid8[])`,
  ])
  const text = `with ended as materialized (
      select array(select x from pg_snapshot_xip($1::pg_snapshot) x where pg_visible_in_snapshot(x, $2::pg_snapshot)) as list
    )
    select k.leaf, k.xid, k.seq from (${branches.join(' union all ')}) k order by k.seq limit ${keysAhead}`
  const rows = await reading.rows(`keys ${id}`, text, [since, upto, afterSeq])
  return rows.map((row) => ({ leaf: names[Number(row[0])] as string, xid: row[1] as string, seq: row[2] as string }))
}

async function readEvents(reading: Reading, page: readonly Key[]): Promise<readonly UnsequencedEvent[]> {
  const byLeaf = Map.groupBy(page, (key) => key.leaf)
  const found = new Map<string, UnsequencedEvent>()
  for (const [leaf, keys] of byLeaf) {
    const text = `select k.seq, ${eventColumns} from unnest($1::xid8[], $2::bigint[]) k (xid, seq)
      join only ${leaf} o on o.xid = k.xid and o.seq = k.seq`
    const rows = await reading.rows(`events ${leaf}`, text, [keys.map((key) => key.xid), keys.map((key) => key.seq)])
    for (const row of rows) {
      const seq = row[0] as string
      found.set(seq, Object.assign(storedEvent(row, 1), { seq }))
    }
  }
  return page.flatMap((key) => found.get(key.seq) ?? [])
}
