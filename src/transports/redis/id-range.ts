import type { Message } from '../transport.ts'

/** In one case and one shape, so that their order is the same for every server, whatever its locale. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A member of a set takes less than a run of few. */
const minRun = 8

interface IdRange {
  /** Of all ids, when all are UUIDs; else ''. */
  readonly least: string
  /** Of those that are UUIDs; '' for none. */
  readonly greatest: string
  /**
   * All ids when each is a UUID and greater than the one before it, and they are more than a few; else ''. As the duplicate window
   * keeps them: `<greatest> … <least>`, with spaces between.
   */
  readonly run: string
}

export function rangeOfIds(batch: readonly Pick<Message, 'id'>[]): IdRange {
  let [least, greatest] = ['', '']
  let [all, growing] = [true, batch.length >= minRun]
  for (const { id } of batch) {
    if (!uuid.test(id)) {
      all = false
      continue
    }
    if (least === '' || id < least) least = id
    if (id > greatest) greatest = id
    else growing = false
  }
  const run = all && growing ? batch.map(({ id }) => id).reverse() : []
  return { least: all ? least : '', greatest, run: run.join(' ') }
}
