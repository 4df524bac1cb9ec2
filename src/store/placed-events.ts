import { isMissingTable } from './errors.ts'
import { eventColumns, type StoredEvent, storedEvent, type TextRow } from './event-row.ts'
import { outboxLeaf } from './partition-names.ts'
import type { Reading } from './reading.ts'

/** Where an event lies; all as text. `key` is the caller's number for it. */
export interface EventPlace {
  readonly key: string
  readonly class: string
  readonly day: string
  readonly xid: string
  readonly seq: string
}

/**
 * Events by the caller's key; those that retention has removed are missing. Tables are found by their names: history that came back from
 * an archive belongs to no partitioned table.
 */
export async function readPlaced(
  reading: Reading,
  places: readonly EventPlace[],
): Promise<ReadonlyMap<string, StoredEvent>> {
  const byLeaf = new Map<string, EventPlace[]>()
  for (const place of places) {
    const leaf = outboxLeaf(place.class, place.day)
    const of = byLeaf.get(leaf)
    if (of) of.push(place)
    else byLeaf.set(leaf, [place])
  }
  const found = new Map<string, StoredEvent>()
  for (const [leaf, of] of byLeaf) await readLeaf(reading, { leaf, of, found })
  return found
}

/** Of a row that begins with key, class, day, xid and seq. */
export function placeIn(row: TextRow): EventPlace {
  const text = (column: number) => row[column] as string
  return { key: text(0), class: text(1), day: text(2), xid: text(3), seq: text(4) }
}

interface Leaf {
  readonly leaf: string
  readonly of: readonly EventPlace[]
  readonly found: Map<string, StoredEvent>
}

async function readLeaf(reading: Reading, { leaf, of, found }: Leaf): Promise<void> {
  const text = `select k.key, ${eventColumns} from unnest($1::bigint[], $2::xid8[], $3::bigint[]) k (key, xid, seq)
    join only ${leaf} o on o.xid = k.xid and o.seq = k.seq`
  try {
    const keys = [of.map(({ key }) => key), of.map(({ xid }) => xid), of.map(({ seq }) => seq)]
    for (const row of await reading.rows(`placed ${leaf}`, text, keys)) found.set(row[0] as string, storedEvent(row, 1))
  } catch (error) {
    // That day is gone.
    if (!isMissingTable(error)) throw error
  }
}
